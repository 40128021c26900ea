// What searches over our own types want to know of what HAPI holds: the resources of references, and who matches a chain.
import { fhirError } from '../fhir/fhir-error.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { isPassed, PASSED_TYPES, type PassedType } from '../search/passed-parameters.ts';
import { mayPass, passedRight, type Pairs, type PassedAccesses, type ReadThroughAsking } from './passed-access.ts';
import type { ShownResource } from './shown-resource.ts';

const CHAIN_MAX = 1_000;
/** References that are asked for at once. */
const IDS_MAX = 50;

/** Those of the references (`Type/id`) that there are and that may be read, each once. */
export async function resolveReferences(accesses: PassedAccesses, asking: ReadThroughAsking, references: readonly string[]): Promise<ShownResource[]> {
  if (!(await accesses.serves(asking.org))) return [];
  const groups = PASSED_TYPES.flatMap((type) => {
    const right = passedRight(asking.principal, 'read', type);
    return right === undefined ? [] : idGroups(references, type).map((ids) => ({ type, ids, right }));
  });
  return (await Promise.all(groups.map(async ({ type, ids, right: { patient } }) => {
    const found = await resolveIds(accesses, asking, type, ids);
    return patient === undefined ? found : found.filter((one) => one.patient === `Patient/${patient}`);
  }))).flat();
}

function idGroups(references: readonly string[], type: PassedType): string[][] {
  const ids = [...new Set(references)].filter((one) => one.startsWith(`${type}/`)).map((one) => one.slice(type.length + 1)).filter((id) => ID_PATTERN.test(id));
  return Array.from({ length: Math.ceil(ids.length / IDS_MAX) }, (_, at) => ids.slice(at * IDS_MAX, (at + 1) * IDS_MAX));
}

async function resolveIds(accesses: PassedAccesses, asking: ReadThroughAsking, type: PassedType, ids: readonly string[]): Promise<ShownResource[]> {
  const access = await accesses.begin(asking, type);
  const { matches } = await access.collect(access.parse([['_id', ids.join(',')], ['_count', String(ids.length)]], true), undefined);
  return matches.filter(({ id }) => ids.includes(id));
}

/** `Type/id` of all that match. Raises 400 `invalid-parameter`, 403, 400 `too-costly` past 1,000. */
export async function resolveMatches(accesses: PassedAccesses, asking: ReadThroughAsking, type: string, criteria: Pairs): Promise<string[]> {
  if (!mayPass(asking.principal, 'search-type', type)) throw fhirError('forbidden', `This search looks into ${type}, which the scope or the role does not allow`);
  if (!isPassed(type) || !(await accesses.serves(asking.org))) throw fhirError('invalid-parameter', `A chain through ${type.slice(0, 64)} is not supported for this organisation`);
  const access = await accesses.begin(asking, type);
  const search = access.parse(criteria, true);
  if (search.criteria.length === 0) throw fhirError('invalid-parameter', `Which ${type} is meant is not said`);
  const { matches, next } = await access.collect({ ...search, includes: [], sort: [], bare: true, form: undefined, count: CHAIN_MAX + 1, total: 'none' }, undefined);
  if (matches.length > CHAIN_MAX || next !== undefined) throw fhirError('too-costly', `More than ${CHAIN_MAX} ${type} match ${criteria.map(([name]) => name.slice(0, 60)).join(', ')}; narrow the search`);
  return matches.map(({ id }) => `${type}/${id}`);
}
