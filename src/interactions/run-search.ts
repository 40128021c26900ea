// A search as all its interactions run it: one page of matches, its links and its total, read in one transaction. The
// record names what was shown, one event for each patient.
import type { AccessEntity } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { preference } from '../fhir/prefer.ts';
import { isRecordType, type SearchMatch } from '../resources/search-source.ts';
import { parseCursor, printCursor, searchFingerprint, type Keyset } from '../search/page-cursor.ts';
import { takeResultParameters, type ResultParameters } from '../search/result-parameters.ts';
import { ESTIMATE_MAX } from '../search/search-query.ts';
import { printSearchset, searchUrl, type SearchLink } from '../search/searchset.ts';
import type { FhirRequest, InteractionContext, Outcome } from './interaction.ts';
import { planSearch, type SearchedTypes, type SearchPlan } from './plan-search.ts';
import { readForm } from './read-form.ts';
import { FHIR_JSON_TYPE } from './representation.ts';
import { keysetOfMatch, readMatches, type MatchPage } from './search-matches.ts';
import { patientEntity } from './write-outcome.ts';

export interface SearchParts {
  fhirBase: string;
  cursorKey: Buffer;
}

/** The parameters of the URL and of the form, in this order. */
export async function readPairs(request: FhirRequest): Promise<[string, string][]> {
  const form = request.method === 'POST' ? await readForm(request) : [];
  return [...request.query.map(([name, value]): [string, string] => [name, value]), ...form];
}

export async function runSearch(tx: Transaction, context: InteractionContext, parts: SearchParts, searched: SearchedTypes, pairs: readonly (readonly [string, string])[]): Promise<Outcome> {
  const result = takeResultParameters(pairs);
  const strict = preference(context.request.header('prefer'), 'handling') === 'strict';
  const plan = planSearch(context, searched, result, strict, parts.fhirBase);
  const place = placeOf(context, parts, searched, plan, result);
  const totalAlone = plan.count === 0 || result.summary === 'count';
  const page = totalAlone ? { matches: [], more: false } : await readMatches(tx, { ...plan, from: place.from, backwards: place.backwards });
  const complete = place.from === undefined && !page.more && !totalAlone;
  const total = complete ? page.matches.length : await readTotal(tx, plan, totalAlone);
  const text = printSearchset({
    links: pageLinks(place, page, plan.merged),
    ...(total === undefined ? {} : { total }),
    entries: page.matches.map((match) => ({ fullUrl: `${parts.fhirBase}/${match.type}/${match.id}`, text: match.text })),
    notes: plan.notes,
  });
  return { response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: text }, ...shownEntities(page.matches) };
}

/** Where in the result a page stands, and what its links are made of. */
interface Place {
  /** What took effect, without the cursor. */
  used: readonly (readonly [string, string])[];
  form: readonly (readonly [string, string])[];
  url: string;
  from: Keyset | undefined;
  backwards: boolean;
  cursor: string | undefined;
  print: (keyset: Keyset) => string;
}

function placeOf({ org }: InteractionContext, { fhirBase, cursorKey }: SearchParts, searched: SearchedTypes, plan: SearchPlan, result: ResultParameters): Place {
  const fingerprint = searchFingerprint(org.id, searched.path, plan.used);
  const cursor = result.before ?? plan.cursor;
  return {
    used: [...plan.used, ...result.used], form: result.form, url: searched.path === '' ? fhirBase : `${fhirBase}/${searched.path}`,
    from: cursor === undefined ? undefined : parseCursor(cursorKey, fingerprint, cursor),
    backwards: result.before !== undefined, cursor,
    print: (keyset) => printCursor(cursorKey, fingerprint, keyset),
  };
}

function pageLinks(place: Place, page: MatchPage, merged: boolean): SearchLink[] {
  const { from, backwards, cursor } = place;
  const url = (more: readonly (readonly [string, string])[]): string => searchUrl(place.url, [...place.used, ...more, ...place.form]);
  const links: SearchLink[] = [{ relation: 'self', url: url(cursor === undefined ? [] : [[backwards ? '_before' : '_cursor', cursor]]) }];
  const [first, last] = [page.matches[0], page.matches.at(-1)];
  const beyond = from !== undefined;
  const [hasPrevious, hasNext] = backwards ? [page.more, beyond] : [beyond, page.more];
  if (hasPrevious || hasNext) links.push({ relation: 'first', url: url([]) });
  if (hasPrevious && first !== undefined) links.push({ relation: 'previous', url: url([['_before', place.print(keysetOfMatch(first, merged))]]) });
  if (hasNext && last !== undefined) links.push({ relation: 'next', url: url([['_cursor', place.print(keysetOfMatch(last, merged))]]) });
  return links;
}

/** Exact when asked for, capped for an estimate, exact as well where the total is all that is answered, else not given. */
async function readTotal(tx: Transaction, plan: SearchPlan, totalAlone: boolean): Promise<number | undefined> {
  const exact = plan.total === 'accurate' || (totalAlone && plan.total === 'none');
  if (!exact && plan.total === 'none') return undefined;
  let total = 0;
  for (const source of plan.sources) total += await source.count(tx, exact);
  return exact ? total : Math.min(total, ESTIMATE_MAX);
}

/**
 * What was shown by patient; what is about nobody here stands alone. Matches in the record itself are not named: a look
 * into it would otherwise grow with each look before it.
 */
function shownEntities(shown: readonly SearchMatch[]): Pick<Outcome, 'entities' | 'byPatient'> {
  const entities: AccessEntity[] = [];
  const byPatient = new Map<string, AccessEntity[]>();
  for (const match of shown) {
    if (isRecordType(match.type)) continue;
    const entity: AccessEntity = { reference: `${match.type}/${match.id}/_history/${match.version}`, role: 'data' };
    const [patient] = patientEntity(match.patient);
    if (patient === undefined) { entities.push(entity); continue; }
    const others = byPatient.get(patient.reference);
    if (others === undefined) byPatient.set(patient.reference, [entity]);
    else others.push(entity);
  }
  return { entities, byPatient };
}
