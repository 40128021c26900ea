// From a resource to the values that its search parameters find it by. Pure.
import { createHash } from 'node:crypto';
import { parseDateRange, periodRange, type DateRange } from '../fhir/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { parseLocalReference, referenceKey } from '../fhir/reference.ts';
import { codeKey, exactTextKey, indexHash, logicalReferenceKey, ofTypeKey, relationKey, tokenKeys } from './index-hash.ts';
import { indexedBeginning, normalizeText } from './normalize-text.ts';
import { compileExpression, valuesAt, type SearchPath } from './search-expression.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchParameter } from './search-parameters.ts';
import { absoluteUri, canonicalForms } from './search-uri.ts';

export interface HashRow { param: number; hash: bigint }
export interface TextRow { param: number; text: string }
export interface DateRow { param: number; range: DateRange }

export interface IndexValues {
  status: string | null;
  /** Key of the Patient: its id here, its address elsewhere. */
  patient: string | null;
  date: DateRange | null;
  /** One bit for each parameter that has a value (presenceBit); null = the type has no parameters. */
  present: bigint | null;
  /** Texts that no index row finds, one line each (textLine); null = there is none. */
  words: string | null;
  tokens: HashRow[];
  references: HashRow[];
  composites: HashRow[];
  strings: TextRow[];
  uris: TextRow[];
  dates: DateRow[];
}

export const NO_VALUES: Readonly<IndexValues> = {
  status: null, patient: null, date: null, present: null, words: null, tokens: [], references: [], composites: [], strings: [], uris: [], dates: [],
};

/** A range longer than this has a second row, the end first, so that a search by its end finds it. */
export const LONG_RANGE_MS = 86_400_000;

/** The bit of a parameter among those of its type. */
export function presenceBit(parameter: SearchParameter): bigint {
  return BigInt.asIntN(64, 1n << BigInt(parameter.number % 64));
}

/** The beginning of the line that says that a value of the parameter begins with `text`. */
export function textLine(parameter: SearchParameter, text: string): string {
  return `\n${parameter.number}\t${text.replace(/[\n\t]/g, ' ')}`;
}

/** A uri or media type as an index row holds it: whole, or its beginning with the digest of the whole. */
export function indexedUri(uri: string): string {
  const beginning = indexedBeginning(uri);
  return beginning === uri ? uri : `${beginning}\t${createHash('sha256').update(uri).digest('base64url')}`;
}

const textOf = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);
const objects = (value: JsonValue | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

/** What was found so far. */
class Collected {
  readonly values: IndexValues = { ...NO_VALUES, present: 0n, tokens: [], references: [], composites: [], strings: [], uris: [], dates: [] };
  readonly #seen = new Set<string>();
  readonly #words: string[] = [];

  /** Whether this is the first time. */
  #first(table: string, param: number, key: string): boolean {
    const all = `${table}${param} ${key}`;
    return !this.#seen.has(all) && this.#seen.add(all) !== undefined;
  }

  hash(table: 'tokens' | 'references' | 'composites', { number }: SearchParameter, key: string): void {
    const hash = indexHash(key);
    // By the hash: it is what the row's key holds.
    if (this.#first(table, number, hash.toString())) this.values[table].push({ param: number, hash });
  }

  text(table: 'strings' | 'uris', { number }: SearchParameter, value: string): void {
    if (this.#first(table, number, value)) this.values[table].push({ param: number, text: value });
  }

  words(parameter: SearchParameter, value: string): void {
    const line = textLine(parameter, value);
    if (value !== '' && this.#first('words', parameter.number, line)) this.#words.push(line);
  }

  range(param: number, range: DateRange): void {
    if (this.#first('dates', param, `${range.lo} ${range.hi}`)) this.values.dates.push({ param, range });
  }

  mark(parameter: SearchParameter): void {
    this.values.present = (this.values.present ?? 0n) | presenceBit(parameter);
  }

  done(): IndexValues {
    // A line ends where the next begins, so the last one needs an end as well.
    return { ...this.values, words: this.#words.length === 0 ? null : `${this.#words.join('')}\n` };
  }
}

/** A code, Coding, CodeableConcept or Identifier. Answers whether it has a value. */
function addToken(into: Collected, parameter: SearchParameter, value: JsonValue): boolean {
  if (typeof value === 'string') return addCode(into, parameter, value);
  if (!isJsonObject(value)) return false;
  const text = textOf(value['text']);
  if (text !== undefined) into.words(parameter, normalizeText(text));
  const isConcept = value['coding'] !== undefined || text !== undefined;
  if (isConcept) return objects(value['coding']).map((coding) => addToken(into, parameter, coding)).includes(true) || text !== undefined;
  const display = textOf(value['display']);
  if (display !== undefined) into.words(parameter, normalizeText(display));
  const [code, system] = [textOf(value['code']) ?? textOf(value['value']), textOf(value['system'])];
  if (code !== undefined) for (const key of tokenKeys(system, code)) into.hash('tokens', parameter, key);
  if (isJsonObject(value['type'])) addIdentifierType(into, parameter, value['type'], textOf(value['value']));
  return code !== undefined || system !== undefined || display !== undefined;
}

function addCode(into: Collected, parameter: SearchParameter, code: string): boolean {
  if (parameter.mime === true) {
    into.text('uris', parameter, indexedUri(code));
    into.words(parameter, code);
  } else into.hash('tokens', parameter, codeKey(code));
  return true;
}

function addIdentifierType(into: Collected, parameter: SearchParameter, type: JsonObject, value: string | undefined): void {
  const text = textOf(type['text']);
  if (text !== undefined) into.words(parameter, normalizeText(text));
  for (const coding of objects(type['coding'])) {
    const [system, code] = [textOf(coding['system']), textOf(coding['code'])];
    if (value !== undefined && code !== undefined) into.hash('tokens', parameter, ofTypeKey(system ?? '', code, value));
  }
}

function dateRange(value: JsonValue): DateRange | undefined {
  if (typeof value === 'string') return parseDateRange(value);
  if (!isJsonObject(value)) return undefined;
  const [start, end] = [textOf(value['start']), textOf(value['end'])];
  return start === undefined && end === undefined ? undefined : periodRange(start, end);
}

/** A column holds the range itself; a long one is found by its end in the index table. */
function addDate(into: Collected, parameter: SearchParameter, value: JsonValue): boolean {
  const range = dateRange(value);
  if (range === undefined) return false;
  if (parameter.column === 'date') into.values.date ??= range;
  else into.range(parameter.number, range);
  if (range.hi - range.lo > LONG_RANGE_MS) into.range(-parameter.number, { lo: range.hi, hi: range.lo });
  return true;
}

/** The literal reference, unless it points into the resource or to another type than the path asks for. */
function literalReference(value: JsonObject, path: SearchPath, fhirBase: string): string | undefined {
  const reference = textOf(value['reference']);
  if (reference === undefined || reference.startsWith('#')) return undefined;
  if (path.onlyType === undefined) return reference;
  const type = parseLocalReference(reference, fhirBase)?.type ?? /([A-Z][A-Za-z]+)\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/.+)?$/.exec(reference)?.[1];
  return type === path.onlyType ? reference : undefined;
}

function addReference(into: Collected, parameter: SearchParameter, value: JsonValue, path: SearchPath, fhirBase: string): boolean {
  if (!isJsonObject(value)) return false;
  const reference = literalReference(value, path, fhirBase);
  const keys = reference === undefined ? [] : storedReferenceKeys(reference, fhirBase);
  if (parameter.column === 'patient') {
    if (reference !== undefined) into.values.patient ??= patientKey(reference, fhirBase);
    return reference !== undefined;
  }
  if (isJsonObject(value['identifier'])) {
    const [system, code] = [textOf(value['identifier']['system']), textOf(value['identifier']['value'])];
    if (code !== undefined) keys.push(...tokenKeys(system, code).map(logicalReferenceKey));
  }
  for (const key of keys) into.hash('references', parameter, key);
  return keys.length > 0 || textOf(value['reference']) !== undefined;
}

/** Found without a version always, and with one where it has one. */
function storedReferenceKeys(reference: string, fhirBase: string): string[] {
  const version = /\/_history\/[A-Za-z0-9\-.]{1,64}$/.exec(reference)?.[0];
  const key = referenceKey(reference, fhirBase);
  return version === undefined ? [key] : [key, `${key}${version}`];
}

function addUri(into: Collected, parameter: SearchParameter, value: JsonValue, fhirBase: string): boolean {
  if (typeof value !== 'string') return false;
  for (const form of canonicalForms(absoluteUri(value, fhirBase))) into.text('uris', parameter, indexedUri(form));
  into.words(parameter, absoluteUri(value, fhirBase));
  return true;
}

function addString(into: Collected, parameter: SearchParameter, value: JsonValue): boolean {
  if (typeof value !== 'string') return false;
  const normal = normalizeText(value);
  into.text('strings', parameter, indexedBeginning(normal));
  into.words(parameter, normal);
  into.hash('tokens', parameter, exactTextKey(value));
  return true;
}

/** A code and a reference of one element. */
function addComposite(into: Collected, parameter: SearchParameter, value: JsonValue, fhirBase: string): boolean {
  const [code, target] = parameter.components ?? [];
  if (!isJsonObject(value) || code === undefined || target === undefined) return false;
  const [codeText, reference] = [textOf(value[code.expression]), value[target.expression]];
  const literal = isJsonObject(reference) ? textOf(reference['reference']) : undefined;
  if (codeText === undefined || literal === undefined || literal.startsWith('#')) return false;
  for (const key of storedReferenceKeys(literal, fhirBase)) into.hash('composites', parameter, relationKey(codeText, key));
  return true;
}

/** A Patient of this server is known by its id alone; any other by its address. */
export function patientKey(reference: string, fhirBase: string): string {
  return referenceKey(reference, fhirBase).replace(/^Patient\//, '');
}

function addValue(into: Collected, parameter: SearchParameter, value: JsonValue, path: SearchPath, fhirBase: string): boolean {
  switch (parameter.type) {
    case 'token':
      if (parameter.column === 'status') { into.values.status ??= textOf(value) ?? null; return typeof value === 'string'; }
      return addToken(into, parameter, value);
    case 'reference': return addReference(into, parameter, value, path, fhirBase);
    case 'date': return addDate(into, parameter, value);
    case 'string': return addString(into, parameter, value);
    case 'uri': return addUri(into, parameter, value, fhirBase);
    case 'composite': return addComposite(into, parameter, value, fhirBase);
  }
}

/** What the index tables hold of `resource`; every value once. With `only`, those of its parameters alone. */
export function extractIndexValues(resource: JsonObject, type: string, fhirBase: string, only?: Iterable<SearchParameter>): IndexValues {
  if (!isSearchable(type)) return NO_VALUES;
  const into = new Collected();
  for (const parameter of only ?? SEARCH_PARAMETERS[type]) {
    if (parameter.column === 'id' || parameter.column === 'last_updated') continue;
    for (const path of compileExpression(parameter.expression)) {
      for (const value of valuesAt(resource, path)) if (addValue(into, parameter, value, path, fhirBase)) into.mark(parameter);
    }
  }
  return into.done();
}
