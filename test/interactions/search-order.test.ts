// The order of a result (R4 search.html 3.1.1.6.1): each sortable parameter, several keys, what has no value, and pages
// in both directions that neither lose nor repeat.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { isSortable } from '../../src/search/parse-search.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
const MARK = randomUUID();
const PATIENT = `Patient/${MARK}`;

interface Kept { id: string; date?: string; description?: string; status: string; context?: { period?: { start?: string; end?: string } } }

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  const words = ['Zebra', 'apfel', 'Äpfel', undefined, 'banane', 'Banane', undefined];
  for (let n = 0; n < 21; n += 1) {
    const description = words[n % words.length];
    const { date: _date, ...rest } = documentReference({ subject: { reference: PATIENT }, status: n % 3 === 0 ? 'superseded' : 'current' });
    const body = {
      ...rest, id: `${String(n).padStart(2, '0')}-${MARK}`, ...(description === undefined ? {} : { description }), ...(n % 4 === 3 ? {} : { date: `202${n % 4}-01-01T00:00:00Z` }),
      ...(n % 5 === 4 ? {} : { context: { period: n % 5 === 3 ? { end: '2020' } : { start: `201${n % 5}` } } }),
    };
    expect((await client.put(`DocumentReference/${body.id}`, body)).status).toBe(201);
  }
});
afterAll(() => server.stop());

const entries = (answer: Answer): Kept[] => (answer.json.entry ?? []).filter((entry: { search: { mode: string } }) => entry.search.mode === 'match').map((entry: { resource: Kept }) => entry.resource);
const link = (answer: Answer, relation: string): string | undefined => answer.json.link.find((one: { relation: string }) => one.relation === relation)?.url;

/** Forwards page by page, then back again: both ways must be the whole, in the same order. */
async function sorted(sort: string): Promise<Kept[]> {
  const all: Kept[] = [];
  let last: Answer | undefined;
  for (let url: string | undefined = `DocumentReference?patient=${PATIENT}&_sort=${sort}&_count=4`; url !== undefined;) {
    const page: Answer = await client.get(url, { prefer: 'handling=strict' });
    expect([sort, page.status]).toEqual([sort, 200]);
    all.push(...entries(page));
    last = page;
    url = link(page, 'next');
  }
  const back: Kept[] = last === undefined ? [] : entries(last);
  for (let url = last === undefined ? undefined : link(last, 'previous'); url !== undefined;) {
    const page: Answer = await client.get(url);
    back.unshift(...entries(page));
    url = link(page, 'previous');
  }
  expect(back.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
  expect(new Set(all.map(({ id }) => id)).size).toBe(21);
  return all;
}

const plain = (text: string | undefined): string => (text ?? '').normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
const order = (left: string | number, right: string | number): number => (left < right ? -1 : left > right ? 1 : 0);
const begin = ({ context }: Kept): number => (context?.period?.start === undefined ? -Infinity : Date.parse(context.period.start));

describe('_sort', () => {
  it.each<[string, (left: Kept, right: Kept) => number]>([
    ['_id', (a, b) => order(a.id, b.id)],
    ['-_id', (a, b) => order(b.id, a.id)],
    ['date', (a, b) => order(a.date ?? '', b.date ?? '') || order(a.id, b.id)],
    ['-date', (a, b) => order(b.date ?? '', a.date ?? '') || order(b.id, a.id)],
    ['-date,_id', (a, b) => order(b.date ?? '', a.date ?? '') || order(a.id, b.id)],
    ['description', (a, b) => order(plain(a.description), plain(b.description)) || order(a.id, b.id)],
    ['-description', (a, b) => order(plain(b.description), plain(a.description)) || order(b.id, a.id)],
    ['status,-date,description', (a, b) => order(a.status, b.status) || order(b.date ?? '', a.date ?? '') || order(plain(a.description), plain(b.description)) || order(a.id, b.id)],
    ['-description,status,-_id', (a, b) => order(plain(b.description), plain(a.description)) || order(a.status, b.status) || order(b.id, a.id)],
    ['period,-_id', (a, b) => order(begin(a), begin(b)) || order(b.id, a.id)],
    ['-period,date', (a, b) => order(begin(b), begin(a)) || order(a.date ?? '', b.date ?? '') || order(a.id, b.id)],
  ])('%s: equals are told apart by id, what has no value is the least, and pages part the whole', async (sort, compare) => {
    const found = await sorted(sort);
    expect(found.map(({ id }) => id)).toEqual([...found].sort(compare).map(({ id }) => id));
  });

  it.each(SEARCH_PARAMETERS.DocumentReference.filter(isSortable).flatMap(({ name }) => [name, `-${name}`]))('%s parts the whole in pages', async (sort) => {
    await sorted(sort);
  });

  it('is the same on every page while others write', async () => {
    const before = (await sorted('description,-date')).map(({ id }) => id);
    const seen: string[] = [];
    for (let url: string | undefined = `DocumentReference?patient=${PATIENT}&_sort=description,-date&_count=4`; url !== undefined;) {
      const page: Answer = await client.get(url);
      seen.push(...entries(page).map(({ id }) => id));
      url = link(page, 'next');
      await client.post('DocumentReference', documentReference({ subject: { reference: PATIENT }, description: 'apfel' }));
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => before.includes(id))).toEqual(before);
  });

  it.each(['category', 'author', 'nothing', 'date,', '--date', 'date,category'])('by %j is no order: left out and told when lenient, 400 when strict', async (sort) => {
    const lenient = await client.get(`DocumentReference?patient=${PATIENT}&_sort=${sort}`);
    expect([lenient.status, lenient.json.entry.at(-1).search.mode]).toEqual([200, 'outcome']);
    expect((await client.get(`DocumentReference?patient=${PATIENT}&_sort=${sort}`, { prefer: 'handling=strict' })).status).toBe(400);
  });

  it('a cursor of one order does not open another', async () => {
    const next = link(await client.get(`DocumentReference?patient=${PATIENT}&_sort=description,-date&_count=4`), 'next') ?? '';
    expect((await client.get(next)).status).toBe(200);
    expect((await client.get(next.replace('description,-date', 'description,date'))).status).toBe(400);
  });
});
