// Chains and _has, answered from the inside out: what the innermost question finds becomes the values of the parameter
// before it. Each step is bounded: a question that finds too much is refused, never answered in part.
import { authorize } from '../access/authorize.ts';
import type { Principal } from '../access/principal.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { followReferences } from '../search/follow-references.ts';
import { parseClause } from '../search/parse-clause.ts';
import { LINK_DEPTH_MAX, parseLinks, questionKey, type Link, type LinkQuestion, type Reachable } from '../search/parse-links.ts';
import { parseSearch, type ParsedSearch, type SearchClause } from '../search/parse-search.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchableType } from '../search/search-parameters.ts';
import { readResource } from './resource-text.ts';
import { searchSource, type SearchMatch } from './search-source.ts';

/** What one question may find. */
export const LINKED_MAX = 1_000;

export interface LinkScope {
  org: number;
  principal: Principal;
  fhirBase: string;
  reachable: Reachable;
  /** `Type/id` of what questions to other servers found, by questionKey. */
  outside: ReadonlyMap<string, readonly string[]>;
}

/** The search on `type` with its links resolved. Raises 400 and 403 as for searches on the types that are reached. */
export async function parseLinkedSearch(tx: Transaction, type: SearchableType, pairs: readonly (readonly [string, string])[], scope: LinkScope, strict: boolean, depth = 0): Promise<ParsedSearch> {
  const { links, rest } = parseLinks(type, pairs, scope.reachable);
  if (links.length > 0 && depth >= LINK_DEPTH_MAX) throw fhirError('invalid-parameter', `At most ${LINK_DEPTH_MAX} steps are followed`);
  const parsed = parseSearch(type, rest, scope.fhirBase, strict);
  for (const link of links) {
    if (link.kind === 'has') parsed.clauses.push(await hasClause(tx, type, link, scope, depth + 1));
    else await addChain(tx, type, parsed, link, scope, depth + 1);
  }
  return { ...parsed, used: [...links.map(({ key, value }): [string, string] => [key, value]), ...parsed.used] };
}

async function addChain(tx: Transaction, type: SearchableType, parsed: ParsedSearch, link: Link & { kind: 'chain' }, scope: LinkScope, depth: number): Promise<void> {
  const keys: string[] = [];
  for (const question of link.questions) keys.push(...await findKeys(tx, question, scope, depth));
  const reached: SearchClause = { parameter: link.parameter, values: [{ kind: 'reference', keys, text: link.value }] };
  const clauseScope = { fhirBase: scope.fhirBase, parameters: SEARCH_PARAMETERS[type] };
  if (link.logical) {
    const logical = parseClause(link.parameter, 'identifier', link.value, clauseScope);
    parsed.clauses.push({ parameter: logical.parameter, values: [...logical.values, ...reached.values] });
  } else if (link.contained !== undefined) {
    const [, modifier] = /\.[^:]*:(.*)$/.exec(link.key) ?? [];
    parsed.anyOf = [...(parsed.anyOf ?? []), [parseClause(link.contained, modifier, link.value, clauseScope), reached]];
  } else parsed.clauses.push(reached);
}

async function findKeys(tx: Transaction, question: LinkQuestion, scope: LinkScope, depth: number): Promise<readonly string[]> {
  if (!isSearchable(question.type)) return scope.outside.get(questionKey(question)) ?? [];
  const found = await findMatches(tx, { ...question, type: question.type }, scope, depth);
  return found.map(({ type, id }) => `${type}/${id}`);
}

/** Those that the resources which answer the question refer to. */
async function hasClause(tx: Transaction, type: SearchableType, link: Link & { kind: 'has' }, scope: LinkScope, depth: number): Promise<SearchClause> {
  const ids = new Set<string>();
  for (const match of await findMatches(tx, link.question, scope, depth)) {
    for (const reference of followReferences(readResource(match.text), link.parameter, scope.fhirBase)) if (reference.type === type) ids.add(reference.id);
  }
  const parameter = SEARCH_PARAMETERS[type].find(({ name }) => name === '_id');
  if (parameter === undefined) throw new Error(`${type} has no _id`);
  return { parameter, values: [...ids].map((code) => ({ kind: 'token', system: undefined, code })) };
}

async function findMatches(tx: Transaction, { type, name, value }: LinkQuestion & { type: SearchableType }, scope: LinkScope, depth: number): Promise<SearchMatch[]> {
  const decision = authorize(scope.principal, { interaction: 'search-type', type });
  if (!decision.permit) throw fhirError('forbidden', decision.reason);
  const parsed = await parseLinkedSearch(tx, type, [[name, value]], scope, true, depth);
  const source = searchSource(type, { ...parsed, count: LINKED_MAX }, { org: scope.org, restriction: decision.restriction, fhirBase: scope.fhirBase });
  const found = await source.page(tx, undefined, false);
  if (found.length > LINKED_MAX) throw fhirError('too-costly', `${type}?${name}=… finds more than ${LINKED_MAX}, which are too many to be followed; narrow it`);
  return found;
}
