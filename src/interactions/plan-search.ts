// From the parameters of a request to the types that are searched and how: of one type, of several at once, or of a
// compartment. What the caller may not search is left out, and where that is everything, refused.
import { authorize } from '../access/authorize.ts';
import type { Restriction } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { parseLinkedSearch } from '../resources/resolve-links.ts';
import { searchSource, type SearchSource } from '../resources/search-source.ts';
import { compartmentClauses, type Compartment } from '../search/compartment.ts';
import { parseIncludes, type Include } from '../search/parse-include.ts';
import type { Reachable } from '../search/parse-links.ts';
import { parseSearch, type ParsedSearch, type SearchClause } from '../search/parse-search.ts';
import type { ResultParameters } from '../search/result-parameters.ts';
import { SEARCH_PARAMETERS, type SearchableType } from '../search/search-parameters.ts';
import { ignoredNotes, type SearchNote } from '../search/searchset.ts';
import type { InteractionContext } from './interaction.ts';

/** What a search is over. */
export interface SearchedTypes {
  types: readonly SearchableType[];
  /** A search over several types takes `_type`, and the parameters that begin with an underscore. */
  several: boolean;
  /** Path below the base, for links. */
  path: string;
  compartment?: Compartment;
}

export interface SearchPlan {
  sources: SearchSource[];
  /** Whether matches are merged by time from sources of several types. */
  merged: boolean;
  count: number;
  descending: boolean;
  total: ParsedSearch['total'];
  cursor: string | undefined;
  notes: SearchNote[];
  /** Name and value of each parameter that decides which matches there are. */
  used: [string, string][];
  includes: Include[];
  /** The includes that took effect, as sent. */
  shown: [string, string][];
  /** Patients of this server whom the request names: `Patient/1`. */
  patients: string[];
}

/** What is included, and what cannot be. Raises 400 under strict handling. */
function planIncludes(types: readonly SearchableType[], result: ResultParameters, strict: boolean): Pick<SearchPlan, 'includes' | 'shown' | 'notes'> {
  const { includes, ignored, used } = parseIncludes(result.includes, types);
  if (strict && ignored.length > 0) throw fhirError('invalid-parameter', `Not supported here: ${ignored.join(', ')}`);
  const notes = ignoredNotes(ignored);
  // A summary of texts has nothing included (R4 search.html 3.1.1.6.3).
  if (result.summary?.kind !== 'text' || used.length === 0) return { includes, shown: used, notes };
  return { includes: [], shown: [], notes: [...notes, ...ignoredNotes(used.map(([name]) => `${name} with _summary=text`))] };
}

const CONTROLS: ReadonlySet<string> = new Set(['_count', '_total', '_cursor', '_sort']);

function withCompartment(parsed: ParsedSearch, type: SearchableType, compartment: Compartment | undefined): ParsedSearch {
  if (compartment === undefined) return parsed;
  const clauses = compartmentClauses(type, compartment);
  const [only] = clauses;
  return clauses.length === 1 && only !== undefined ? { ...parsed, clauses: [...parsed.clauses, only] } : { ...parsed, anyOf: [...(parsed.anyOf ?? []), clauses] };
}

/** Patients that the record names where the result has none. */
const NAMED_PATIENTS_MAX = 10;

/** Whom the search is about by its own words: patient, subject, or the compartment. */
function namedPatients(clauses: readonly SearchClause[], compartment: Compartment | undefined): string[] {
  const named = clauses.filter(({ parameter, negated }) => ['patient', 'subject'].includes(parameter.name) && negated !== true)
    .flatMap(({ values }) => values.flatMap((value) => (value.kind === 'reference' && value.keys.length === 1 ? value.keys : [])));
  const all = compartment?.type === 'Patient' ? [`Patient/${compartment.id}`, ...named] : named;
  return [...new Set(all.filter((key) => /^Patient\/[^/]+$/.test(key)))].slice(0, NAMED_PATIENTS_MAX);
}

function sourceOf(type: SearchableType, parsed: ParsedSearch, context: InteractionContext, restriction: Restriction, searched: SearchedTypes, fhirBase: string): SearchSource {
  return searchSource(type, withCompartment(parsed, type, searched.compartment), { org: context.org.id, restriction, fhirBase });
}

/** What a search needs from elsewhere, which was asked for before its transaction. */
export interface SearchLinks {
  reachable: Reachable;
  /** What other servers found, by questionKey. */
  outside: ReadonlyMap<string, readonly string[]>;
}

export async function planSearch(tx: Transaction, context: InteractionContext, searched: SearchedTypes, result: ResultParameters, links: SearchLinks, strict: boolean, fhirBase: string): Promise<SearchPlan> {
  const [type] = searched.types;
  if (searched.several || type === undefined) return planSeveral(context, searched, result, strict, fhirBase);
  const rest: [string, string][] = result.types === undefined ? result.rest : [...result.rest, ['_type', result.types.join(',')]];
  const parsed = await parseLinkedSearch(tx, type, rest, { ...links, org: context.org.id, principal: context.principal, fhirBase }, strict);
  const included = planIncludes(searched.types, result, strict);
  return { ...planOf(parsed), ...included, patients: namedPatients(parsed.clauses, searched.compartment), notes: [...ignoredNotes(parsed.ignored), ...included.notes], sources: [sourceOf(type, parsed, context, context.restriction, searched, fhirBase)], merged: false };
}

function planOf(parsed: ParsedSearch): Pick<SearchPlan, 'count' | 'descending' | 'total' | 'cursor' | 'used'> {
  return { count: parsed.count, descending: parsed.sort.descending, total: parsed.total, cursor: parsed.cursor, used: parsed.used };
}

/** The types that are asked for and that the caller may search. Raises 400 for a type that cannot be searched here, 403 when none is left. */
function permittedTypes(context: InteractionContext, searched: SearchedTypes, asked: readonly string[] | undefined): { type: SearchableType; restriction: Restriction }[] {
  const unknown = asked?.find((name) => !(searched.types as readonly string[]).includes(name));
  if (unknown !== undefined) throw fhirError('invalid-parameter', `_type: ${unknown.slice(0, 64)} cannot be searched here`);
  const wanted = searched.types.filter((type) => asked === undefined || asked.includes(type));
  const permitted = wanted.flatMap((type) => {
    const decision = authorize(context.principal, { interaction: 'search-type', type });
    return decision.permit ? [{ type, restriction: decision.restriction }] : [];
  });
  if (permitted.length === 0 && wanted.length > 0) throw fhirError('forbidden', `No scope and role grants s on ${wanted.join(', ')}`, { headers: { 'WWW-Authenticate': 'Bearer realm="Muniment", error="insufficient_scope"' } });
  return permitted;
}

function has(type: SearchableType, name: string): boolean {
  return SEARCH_PARAMETERS[type].some((parameter) => parameter.name === name);
}

/** Parameters that every resource has, and those that steer the result; a name that no type here has is left out. */
function commonPairs(result: ResultParameters, types: readonly SearchableType[]): { pairs: [string, string][]; names: Set<string>; ignored: string[] } {
  const pairs: [string, string][] = [];
  const names = new Set<string>();
  const ignored: string[] = [];
  for (const [key, value] of result.rest) {
    const name = key.split(':', 1)[0] ?? '';
    if (name === '_sort' && !/^-?_lastUpdated$/.test(value)) ignored.push(`_sort=${value.slice(0, 60)}`);
    else if (CONTROLS.has(name)) pairs.push([key, value]);
    else if (name.startsWith('_') && types.some((type) => has(type, name))) {
      pairs.push([key, value]);
      names.add(name);
    } else ignored.push(key.slice(0, 60));
  }
  return { pairs, names, ignored };
}

function planSeveral(context: InteractionContext, searched: SearchedTypes, result: ResultParameters, strict: boolean, fhirBase: string): SearchPlan {
  const permitted = permittedTypes(context, searched, result.types);
  const { pairs, names, ignored } = commonPairs(result, permitted.map(({ type }) => type));
  if (strict && ignored.length > 0) throw fhirError('invalid-parameter', `Not supported on a search over several types: ${ignored.join(', ')}`);
  // A type without a parameter that is asked for has no match.
  const sources = permitted.filter(({ type }) => [...names].every((name) => has(type, name))).map(({ type, restriction }) => ({ type, restriction, parsed: parseSearch(type, pairs, fhirBase, strict) }));
  const first = sources[0]?.parsed ?? parseSearch('', pairs.filter(([name]) => CONTROLS.has(name)), fhirBase, strict);
  const used: [string, string][] = [...(result.types === undefined ? [] : [['_type', permitted.map(({ type }) => type).join(',')] satisfies [string, string]]), ...first.used];
  const included = planIncludes(permitted.map(({ type }) => type), result, strict);
  return {
    ...planOf(first), ...included, patients: namedPatients([], searched.compartment), notes: [...ignoredNotes(ignored), ...included.notes], used, merged: true,
    sources: sources.map(({ type, restriction, parsed }) => sourceOf(type, parsed, context, restriction, searched, fhirBase)),
  };
}
