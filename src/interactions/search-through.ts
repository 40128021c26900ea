// search-type (R4 http.html 3.1.0.11) of what is passed on: HAPI's matches in a searchset of ours, with links of ours.
import { patientAlone } from '../access/restriction.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import { preference } from '../fhir/prefer.ts';
import { parsePassedCursor, printPassedCursor } from '../search/passed-cursor.ts';
import { searchFingerprint } from '../search/page-cursor.ts';
import { ignoredNotes, printSearchset, searchUrl, type SearchLink } from '../search/searchset.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import type { OutsidePage, OutsideReading, OutsideResource, OutsideStart } from './outside-resources.ts';
import { readSearchForm } from './read-search-form.ts';
import { FHIR_JSON_TYPE } from './representation.ts';

type Pairs = readonly (readonly [string, string])[];

interface Asked {
  pairs: Pairs;
  page: OutsidePage;
}

export function searchThrough(outside: OutsideReading, fhirBase: string, cursorKey: Buffer): Interaction {
  return defineInteraction({
    code: 'search-type',
    kind: 'read',
    async prepare(context): Promise<Asked> {
      const { request } = context;
      const pairs = request.method === 'POST' ? [...request.query, ...await readSearchForm(request)] : request.query;
      return { pairs, page: await ask(outside, context, pairs, cursorKey) };
    },
    run: (_tx, context, asked) => Promise.resolve(outcomeOf(asked, context, fhirBase, cursorKey)),
  });
}

/** The parameter by which what is a patient's is found, of the types that are in a patient's compartment. */
const OWN: Readonly<Record<string, string>> = { Patient: '_id', Encounter: 'patient', RelatedPerson: 'patient', Device: 'patient' };

async function ask(outside: OutsideReading, { request, org, principal, restriction }: InteractionContext, asked: Pairs, cursorKey: Buffer): Promise<OutsidePage> {
  const nothing: OutsidePage = { matches: [], included: [], next: undefined, total: 0, used: [], ignored: [] };
  const patient = patientAlone(restriction);
  const own = patient === undefined ? undefined : OWN[request.type];
  // A right that the mirror cannot be asked to narrow shows nothing.
  if (restriction.kind !== 'none' && own === undefined) return nothing;
  const cursor = cursorOf(asked);
  // The links carry it on, and it is added once.
  const isBound = asked.some(([name, value]) => name === own && value === patient);
  const pairs: Pairs = own === undefined || patient === undefined || isBound ? asked : [...asked, [own, patient]];
  const page = await outside.search({ org, principal }, {
    type: request.type,
    pairs,
    strict: preference(request.header('prefer'), 'handling') === 'strict',
    start: (used) => (cursor === undefined ? undefined : parsePassedCursor(cursorKey, searchFingerprint(org.id, request.type, used), cursor)),
  });
  if (patient === undefined) return page;
  return { ...page, matches: page.matches.filter((one) => one.patient === `Patient/${patient}`) };
}

function cursorOf(pairs: Pairs): string | undefined {
  return pairs.find(([name, value]) => name === '_cursor' && value !== '')?.[1];
}

function outcomeOf({ pairs, page }: Asked, { request, org }: InteractionContext, fhirBase: string, cursorKey: Buffer): Outcome {
  const { matches, included, total, ignored } = page;
  const body = printSearchset({
    links: linksOf(page, pairs, `${fhirBase}/${request.type}`, (start) => printPassedCursor(cursorKey, searchFingerprint(org.id, request.type, page.used), start)),
    ...(total === undefined ? {} : { total }),
    entries: [...matches.map((one) => ({ ...entryOf(one, fhirBase), mode: 'match' as const })), ...included.map((one) => ({ ...entryOf(one, fhirBase), mode: 'include' as const }))],
    notes: ignoredNotes(ignored),
  });
  return { response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body }, ...entitiesOf([...matches, ...included]) };
}

/** HAPI keeps no way back: from the first page on there is only next. */
function linksOf({ used, next }: OutsidePage, pairs: Pairs, base: string, print: (start: OutsideStart) => string): SearchLink[] {
  const form = pairs.filter(([name]) => name === '_format' || name === '_pretty');
  const url = (more: Pairs): string => searchUrl(base, [...used, ...more, ...form]);
  const cursor = cursorOf(pairs);
  return [
    { relation: 'self', url: url(cursor === undefined ? [] : [['_cursor', cursor]]) },
    ...(cursor === undefined && next === undefined ? [] : [{ relation: 'first' as const, url: url([]) }]),
    ...(next === undefined ? [] : [{ relation: 'next' as const, url: url([['_cursor', print(next)]]) }]),
  ];
}

function entryOf({ type, id, text }: OutsideResource, fhirBase: string): { fullUrl: string; text: string } {
  return { fullUrl: `${fhirBase}/${type}/${id}`, text };
}

/** One event for each patient (IHE BALP); those about nobody stand alone. */
function entitiesOf(shown: readonly OutsideResource[]): Pick<Outcome, 'entities' | 'byPatient'> {
  const entities: AccessEntity[] = [];
  const byPatient = new Map<string, AccessEntity[]>();
  for (const { type, id, version, patient } of shown) {
    const entity: AccessEntity = { reference: `${type}/${id}/_history/${version}`, role: 'data' };
    if (patient === undefined) entities.push(entity);
    else byPatient.set(patient, [...(byPatient.get(patient) ?? []), entity]);
  }
  return { entities, byPatient };
}
