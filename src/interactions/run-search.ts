// A search as all its interactions run it: a page of matches, what it includes, its links and its total, read in one
// transaction. The record names what was shown, one event for each patient.
import { authorize } from '../access/authorize.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { FhirError } from '../fhir/fhir-error.ts';
import { preference } from '../fhir/prefer.ts';
import { printJson } from '../fhir/json.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import { summarise, type SummaryForm } from '../fhir/summary.ts';
import { INCLUDED_MAX, readIncluded, type Included } from '../resources/read-included.ts';
import { readResource } from '../resources/resource-text.ts';
import type { SearchMatch } from '../resources/search-source.ts';
import { lackingNotes, type Lacking } from '../search/lacking-notes.ts';
import { outsideQuestions, questionKey } from '../search/parse-links.ts';
import { isRecord } from '../search/record-type.ts';
import { takeResultParameters, type ResultParameters } from '../search/result-parameters.ts';
import { SEARCH_PARAMETERS } from '../search/search-parameters.ts';
import { ESTIMATE_MAX } from '../search/search-query.ts';
import { printSearchset, type Searchset, type SearchsetEntry } from '../search/searchset.ts';
import type { InteractionContext, Outcome } from './interaction.ts';
import type { OutsideResource, OutsideResources } from './outside-resources.ts';
import { pagePlace } from './page-links.ts';
import { planSearch, type SearchedTypes, type SearchLinks, type SearchPlan } from './plan-search.ts';
import { readSearchForm } from './read-search-form.ts';
import { FHIR_JSON_TYPE } from './representation.ts';
import { readMatches } from './search-matches.ts';
import { patientEntity } from './write-outcome.ts';

export interface SearchParts {
  fhirBase: string;
  cursorKey: Buffer;
  /** What is passed on from elsewhere; undefined where nothing is. */
  outside?: OutsideResources;
  /** Parameters that older resources may lack; none where nothing is being filled. */
  lacking?: Lacking;
}

export interface PreparedSearch {
  result: ResultParameters;
  links: SearchLinks;
}

/** Reads URL and form, in this order, and asks other servers what chains want to know of them. */
export async function prepareSearch(context: InteractionContext, { outside }: SearchParts, searched: Pick<SearchedTypes, 'types' | 'several'>): Promise<PreparedSearch> {
  const { request, org } = context;
  const form = request.method === 'POST' ? await readSearchForm(request) : [];
  const result = takeResultParameters([...request.query, ...form]);
  const [type] = searched.types;
  const held = Object.keys(SEARCH_PARAMETERS);
  const permits = (one: string): boolean => authorize(context.principal, { interaction: 'search-type', type: one }).permit;
  if (searched.several || type === undefined) return { result, links: { reachable: { types: held, permits }, outside: new Map() } };
  const chained = outside !== undefined && result.rest.some(([name]) => name.includes('.'));
  const reachable = { types: chained && await outside.serves(org) ? [...held, ...outside.types] : held, permits };
  const answers = new Map<string, readonly string[]>();
  for (const question of outsideQuestions(type, result.rest, reachable)) {
    const found = await outside?.resolveChain(context, question.type as ResourceType, [[question.name, question.value]]);
    answers.set(questionKey(question), found ?? []);
  }
  return { result, links: { reachable, outside: answers } };
}

export async function runSearch(tx: Transaction, context: InteractionContext, parts: SearchParts, searched: SearchedTypes, { result, links }: PreparedSearch): Promise<Outcome> {
  const strict = preference(context.request.header('prefer'), 'handling') === 'strict';
  const plan = await planSearch(tx, context, searched, result, links, strict, parts.fhirBase);
  const place = pagePlace({
    org: context.org.id, path: searched.path, url: searched.path === '' ? parts.fhirBase : `${parts.fhirBase}/${searched.path}`, cursorKey: parts.cursorKey,
    used: plan.used, shown: [...plan.shown, ...result.used, ...result.form], cursor: plan.cursor, before: result.before,
  });
  const totalAlone = plan.count === 0 || result.summary?.kind === 'count';
  const page = totalAlone ? { matches: [], more: false } : await readMatches(tx, { ...plan, from: place.from, backwards: place.backwards });
  const complete = place.from === undefined && !page.more && !totalAlone;
  const total = complete ? page.matches.length : await readTotal(tx, plan, totalAlone);
  const included = await readIncluded(tx, page.matches, plan.includes, {
    org: context.org.id, fhirBase: parts.fhirBase, outsideTypes: parts.outside?.types ?? [],
    restriction: (type, reverse) => {
      const decision = authorize(context.principal, { interaction: reverse ? 'search-type' : 'read', type });
      return decision.permit ? decision.restriction : { kind: 'nothing' };
    },
  });
  const notes = parts.lacking === undefined ? plan.notes : [...plan.notes, ...lackingNotes(parts.lacking, searched.types, plan.used)];
  const set: Searchset = {
    links: place.links(page, plan.merged),
    ...(total === undefined ? {} : { total }),
    entries: [...page.matches.map((match) => matchEntry(match, result.summary, parts.fhirBase)), ...included.resources.map((one) => includedEntry(one, parts.fhirBase))],
    notes: included.truncated ? [...notes, { severity: 'warning', code: 'incomplete', diagnostics: `More than ${INCLUDED_MAX} resources would be included on this page; the rest was left out` }] : notes,
  };
  return searchOutcome(context, parts, set, { matches: page.matches, included, named: plan.patients });
}

function matchEntry(match: SearchMatch, form: SummaryForm | undefined, fhirBase: string): SearchsetEntry {
  const text = form === undefined ? match.text : printJson(summarise(readResource(match.text), form));
  return { fullUrl: `${fhirBase}/${match.type}/${match.id}`, text };
}

function includedEntry(one: Pick<SearchMatch, 'type' | 'id' | 'text'>, fhirBase: string): SearchsetEntry {
  return { fullUrl: `${fhirBase}/${one.type}/${one.id}`, text: one.text, mode: 'include' };
}

interface Shown {
  matches: readonly SearchMatch[];
  included: Included;
  /** Patients whom the request names. */
  named: readonly string[];
}

/** What is passed on from elsewhere is asked for when our own transaction is over. */
function searchOutcome(context: InteractionContext, parts: SearchParts, set: Searchset, shown: Shown): Outcome {
  const answer = (outside: readonly OutsideResource[], notes: Searchset['notes'] = set.notes): Outcome => ({
    response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: printSearchset({ ...set, notes, entries: [...set.entries, ...outside.map((one) => includedEntry(one, parts.fhirBase))] }) },
    ...shownEntities(shown, outside),
  });
  const { outside } = parts;
  const { included } = shown;
  if (outside === undefined || included.outside.length === 0) return answer([]);
  const found = (): Promise<Outcome> => outside.resolveOutside(context, included.outside.slice(0, INCLUDED_MAX)).then((resources) => answer(resources));
  return { ...answer([]), complete: () => found().catch((error: unknown) => {
    // Documents are served whatever else is away; that something is missing is said.
    if (error instanceof FhirError && error.detail === 'unavailable') return answer([], [...set.notes, AWAY]);
    throw error;
  }) };
}

const AWAY = { severity: 'warning', code: 'incomplete', diagnostics: 'What is passed on could not be included: its server does not answer' } as const;

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
function shownEntities({ matches, included, named }: Shown, outside: readonly OutsideResource[]): Pick<Outcome, 'entities' | 'byPatient'> {
  const entities: AccessEntity[] = [];
  const byPatient = new Map<string, AccessEntity[]>();
  const show = (reference: string, patient: string | undefined): void => {
    if (patient === undefined) { entities.push({ reference, role: 'data' }); return; }
    byPatient.set(patient, [...(byPatient.get(patient) ?? []), { reference, role: 'data' }]);
  };
  for (const one of [...matches.filter(({ type }) => !isRecord(type)), ...included.resources]) show(`${one.type}/${one.id}/_history/${one.version}`, patientEntity(one.patient)[0]?.reference);
  for (const one of outside) show(`${one.type}/${one.id}/_history/${one.version}`, one.patient);
  // Nothing was seen of anybody: then it is told whom the search was about (IHE BALP).
  if (byPatient.size === 0) entities.unshift(...named.map((reference): AccessEntity => ({ reference, role: 'patient' })));
  return { entities, byPatient };
}
