// From a resource to the values that its search parameters find it by. Pure.
import { parseDateRange, periodRange, type DateRange } from '../fhir/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { parseLocalReference, referenceKey } from '../fhir/reference.ts';
import { indexHash, tokenKeys } from './index-hash.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchParameter } from './search-parameters.ts';

export interface IndexValues {
  status: string | null;
  /** Key of the Patient: its id here, its address elsewhere. */
  patient: string | null;
  date: DateRange | null;
  tokens: { param: number; hash: bigint }[];
  references: { param: number; hash: bigint }[];
  dates: { param: number; range: DateRange }[];
}

interface Path {
  steps: string[];
  /** From `.where(resolve() is Type)`. */
  onlyType?: string;
}

const compiled = new Map<string, Path[]>();

/** The subset of FHIRPath in which R4 states the parameters of this server: unions of paths, with a type test. */
function compilePaths(expression: string): Path[] {
  const known = compiled.get(expression);
  if (known !== undefined) return known;
  const paths = expression.split('|').map((text): Path => {
    const [, path = '', onlyType] = /^\s*([A-Za-z.]+?)(?:\.where\(resolve\(\) is ([A-Za-z]+)\))?\s*$/.exec(text) ?? [];
    const steps = path.split('.').slice(1);
    if (steps.length === 0) throw new Error(`Search expression outside the supported subset: ${expression}`);
    return onlyType === undefined ? { steps } : { steps, onlyType };
  });
  compiled.set(expression, paths);
  return paths;
}

/** The element and, for a choice element, each variant: created → createdDateTime, createdPeriod. */
function children(node: JsonObject, step: string): JsonValue[] {
  const direct = node[step];
  if (direct !== undefined) return Array.isArray(direct) ? direct : [direct];
  const next = step.length;
  return Object.entries(node).flatMap(([key, value]) =>
    key.startsWith(step) && key.length > next && key.charCodeAt(next) >= 65 && key.charCodeAt(next) <= 90 ? [value] : []);
}

function valuesAt(resource: JsonObject, path: Path): JsonValue[] {
  let nodes: JsonValue[] = [resource];
  for (const step of path.steps) nodes = nodes.flatMap((node) => (isJsonObject(node) ? children(node, step) : []));
  return nodes;
}

const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** The system and code pairs of a code, Coding, CodeableConcept or Identifier. */
function tokenPairs(value: JsonValue, implied: string | undefined): { system: string | undefined; code: string }[] {
  if (typeof value === 'string') return [{ system: implied, code: value }];
  if (!isJsonObject(value)) return [];
  if (Array.isArray(value['coding'])) return value['coding'].flatMap((coding) => tokenPairs(coding, undefined));
  const code = text(value['code']) ?? text(value['value']);
  return code === undefined ? [] : [{ system: text(value['system']), code }];
}

function dateRange(value: JsonValue): DateRange | undefined {
  if (typeof value === 'string') return parseDateRange(value);
  return isJsonObject(value) ? periodRange(text(value['start']), text(value['end'])) : undefined;
}

function referenceTexts(value: JsonValue, path: Path, fhirBase: string): string[] {
  const reference = isJsonObject(value) ? text(value['reference']) : undefined;
  if (reference === undefined || reference.startsWith('#')) return [];
  if (path.onlyType === undefined) return [reference];
  const type = parseLocalReference(reference, fhirBase)?.type ?? /([A-Z][A-Za-z]+)\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/.+)?$/.exec(reference)?.[1];
  return type === path.onlyType ? [reference] : [];
}

function addColumn(values: IndexValues, parameter: SearchParameter, found: JsonValue[], path: Path, fhirBase: string): void {
  const first = found[0];
  if (first === undefined) return;
  if (parameter.column === 'status') values.status = text(first) ?? null;
  if (parameter.column === 'date') values.date = dateRange(first) ?? null;
  if (parameter.column === 'patient') {
    const reference = referenceTexts(first, path, fhirBase)[0];
    if (reference !== undefined) values.patient = patientKey(reference, fhirBase);
  }
}

/** A Patient of this server is known by its id alone; any other by its address. */
export function patientKey(reference: string, fhirBase: string): string {
  return referenceKey(reference, fhirBase).replace(/^Patient\//, '');
}

function addRows(values: IndexValues, parameter: SearchParameter, found: JsonValue[], path: Path, fhirBase: string): void {
  for (const value of found) {
    if (parameter.type === 'token') {
      for (const pair of tokenPairs(value, parameter.system)) {
        for (const key of tokenKeys(pair.system, pair.code)) values.tokens.push({ param: parameter.number, hash: indexHash(key) });
      }
    } else if (parameter.type === 'reference') {
      for (const reference of referenceTexts(value, path, fhirBase)) {
        values.references.push({ param: parameter.number, hash: indexHash(referenceKey(reference, fhirBase)) });
      }
    } else if (parameter.type === 'date') {
      const range = dateRange(value);
      if (range !== undefined) values.dates.push({ param: parameter.number, range });
    }
  }
}

function distinct<Row extends { param: number; hash: bigint }>(rows: Row[]): Row[] {
  return [...new Map(rows.map((row) => [`${row.param}:${row.hash}`, row])).values()];
}

/** What the index tables hold of `resource`; every value once. */
export function extractIndexValues(resource: JsonObject, type: string, fhirBase: string): IndexValues {
  const values: IndexValues = { status: null, patient: null, date: null, tokens: [], references: [], dates: [] };
  if (!isSearchable(type)) return values;
  for (const parameter of SEARCH_PARAMETERS[type]) {
    if (parameter.column === 'id' || parameter.column === 'last_updated') continue;
    for (const path of compilePaths(parameter.expression)) {
      const found = valuesAt(resource, path);
      if (parameter.column === undefined) addRows(values, parameter, found, path, fhirBase);
      else addColumn(values, parameter, found, path, fhirBase);
    }
  }
  return { ...values, tokens: distinct(values.tokens), references: distinct(values.references) };
}
