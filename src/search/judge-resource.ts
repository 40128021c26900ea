// A resource in memory against a restriction, by the same extraction that indexes it. Pure.
import { testHolds, type ConsentDenial } from '../access/document-test.ts';
import { coversCategories, DOCUMENT_CATEGORIES } from '../access/policy.ts';
import type { Restriction } from '../access/restriction.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { hashesOf } from './clause-ranges.ts';
import { extractIndexValues, patientKey, type IndexValues } from './extract-index-values.ts';
import type { SearchClause, SearchValue } from './parse-clause.ts';
import { restrictionClauses, type BranchClauses } from './restriction-clauses.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchParameter } from './search-parameters.ts';

/**
 * `hidden`: outside the patient. `forbidden`: outside the query of the scope, or the categories of the role. `withheld`: by a
 * consent of the patient. `unknown`: for its label, while consents cannot be asked for.
 */
export type Verdict = 'permitted' | 'forbidden' | 'hidden' | 'withheld' | 'unknown';

interface Judged {
  id: string;
  index: IndexValues;
  fhirBase: string;
}

function columnHolds({ parameter }: SearchClause, value: SearchValue, { id, index, fhirBase }: Judged): boolean {
  if (value.kind === 'reference') return parameter.column === 'patient' && index.patient !== null && value.keys.some((key) => patientKey(key, fhirBase) === index.patient);
  if (value.kind !== 'token') return false;
  if (parameter.column === 'id') return (value.system === undefined || value.system === '') && value.code === id;
  if (parameter.column !== 'status' || (value.system !== undefined && value.system !== parameter.system)) return false;
  return value.code === '' ? index.status !== null : value.code === index.status;
}

/** The keys of the index that the clause asks for. */
const askedKeys = new WeakMap<SearchClause, ReadonlySet<string>>();

function keysOf(clause: SearchClause): ReadonlySet<string> {
  const known = askedKeys.get(clause) ?? new Set(clause.values.flatMap(hashesOf));
  askedKeys.set(clause, known);
  return known;
}

function clauseHolds(clause: SearchClause, judged: Judged): boolean {
  const { parameter, values } = clause;
  if (parameter.column !== undefined) return values.some((value) => columnHolds(clause, value, judged));
  const rows = parameter.type === 'reference' ? judged.index.references : judged.index.tokens;
  const asked = keysOf(clause);
  return rows.some(({ param, hash }) => param === parameter.number && asked.has(String(hash)));
}

/** A restriction made ready for resources of one type. */
interface Prepared {
  type: string;
  fhirBase: string;
  branches: readonly BranchClauses[];
  /** What of a resource is looked at. */
  parameters: ReadonlySet<SearchParameter>;
}

const prepared = new WeakMap<Restriction, Prepared>();

/** One restriction serves many requests: a caller's decisions are remembered. */
function prepare(restriction: Restriction & { kind: 'within' }, type: string, fhirBase: string): Prepared {
  const known = prepared.get(restriction);
  if (known?.type === type && known.fhirBase === fhirBase) return known;
  const branches = restrictionClauses(restriction, type, fhirBase);
  const asked = branches.flatMap(({ clauses, compartment = [] }) => [...clauses, ...compartment].map(({ parameter }) => parameter));
  const about = restriction.withheld === undefined || !isSearchable(type) ? [] : SEARCH_PARAMETERS[type].filter(({ column }) => column === 'patient');
  const made = { type, fhirBase, branches, parameters: new Set<SearchParameter>([...asked, ...about]) };
  prepared.set(restriction, made);
  return made;
}

const list = (value: JsonValue | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

/** The categories of the policy that a resource names; with none of them it is uncategorised. */
export function policyCategories(type: string, resource: JsonObject): string[] {
  if (type !== 'DocumentReference') return [];
  const codes = list(resource['category']).flatMap(({ coding }) => list(coding).flatMap(({ code }) => (typeof code === 'string' ? [code] : [])));
  return codes.filter((code) => (DOCUMENT_CATEGORIES as readonly string[]).includes(code));
}

export function judgeResource(restriction: Restriction, type: string, resource: JsonObject, fhirBase: string): Verdict {
  if (restriction.kind === 'none') return 'permitted';
  if (restriction.kind === 'nothing') return 'hidden';
  const { parameters, branches: asked } = prepare(restriction, type, fhirBase);
  const judged: Judged = { id: typeof resource['id'] === 'string' ? resource['id'] : '', index: extractIndexValues(resource, type, fhirBase, parameters), fhirBase };
  const branches = asked.map(({ clauses, compartment }) => ({
    reached: compartment === undefined || compartment.some((clause) => clauseHolds(clause, judged)),
    held: clauses.every((clause) => clauseHolds(clause, judged)),
  }));
  if (!branches.some(({ reached }) => reached)) return 'hidden';
  const { categories } = restriction;
  const isPermitted = branches.some(({ reached, held }) => reached && held) && (categories === undefined || coversCategories(categories, policyCategories(type, resource)));
  return isPermitted ? consentVerdict(restriction.withheld ?? [], judged.index.patient, resource) : 'forbidden';
}

function consentVerdict(withheld: readonly ConsentDenial[], patient: string | null, resource: JsonObject): Verdict {
  const denial = withheld.find(({ patients, when }) => (patients === 'any' || (patient !== null && patients.has(patient))) && testHolds(when, resource));
  return denial === undefined ? 'permitted' : denial.unknown === true ? 'unknown' : 'withheld';
}
