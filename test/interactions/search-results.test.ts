// How results are asked for and shown: POST _search, searches across types and in compartments, links of pages, what is
// included, and what the record keeps of it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

type Json = any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into any shape

async function stored(type: string, body: Record<string, unknown>): Promise<Json> {
  const created = await client.post(type, body);
  expect([created.status, created.status === 201 ? '' : created.text]).toEqual([201, '']);
  return created.json;
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const withMode = (answer: Answer, mode: string): string[] =>
  (answer.json.entry ?? []).filter((entry: Json) => entry.search.mode === mode).map((entry: Json) => `${entry.resource.resourceType}/${entry.resource.id}`);
const matches = (answer: Answer): string[] => withMode(answer, 'match');
const link = (answer: Answer, relation: string): string | undefined => answer.json.link.find((one: Json) => one.relation === relation)?.url;
const notes = (answer: Answer): string => JSON.stringify((answer.json.entry ?? []).filter((entry: Json) => entry.search.mode === 'outcome'));
const ref = (resource: Json): string => `${resource.resourceType}/${resource.id}`;

describe('POST _search', () => {
  it('answers what GET answers: URL and form are one query, and its links are by GET', async () => {
    const patient = `p-${randomUUID()}`;
    for (let n = 0; n < 3; n += 1) await stored('DocumentReference', documentReference({ subject: { reference: `Patient/${patient}` } }));
    const byGet = await client.get(`DocumentReference?status=current&patient=${patient}&_count=2&_total=accurate`);
    const byPost = await client.post('DocumentReference/_search?status=current', `patient=${patient}&_count=2&_total=accurate`, { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' });
    expect([byPost.status, byPost.json]).toEqual([200, byGet.json]);
    const next = await client.get(link(byPost, 'next') ?? '');
    expect([next.status, matches(next).length]).toEqual([200, 1]);
  });

  it.each([
    ['application/json', '{}', 415], ['application/fhir+json', '{"resourceType":"Parameters"}', 415], ['multipart/form-data; boundary=x', '--x--', 415], ['text/plain', 'a=b', 415],
    ['application/x-www-form-urlencoded; charset=utf-16', 'a=b', 415], ['application/x-www-form-urlencoded', '_id=%E0%A4%A', 400], ['application/x-www-form-urlencoded', `_id=${'a'.repeat(20_000)}`, 413],
  ])('of %s is refused (%#)', async (type, body, status) => {
    const answer = await client.post('DocumentReference/_search', body, { 'content-type': type });
    expect([answer.status, answer.json.resourceType]).toEqual([status, 'OperationOutcome']);
  });

  it('takes ten kilobytes of ids, and stands on every searchable path', async () => {
    const { id } = await stored('Media', media());
    const many = [...Array.from({ length: 260 }, () => randomUUID()), id].join(',');
    const answer = await client.post('Media/_search', `_id=${many}`, FORM);
    expect([answer.status, matches(answer)]).toEqual([200, [`Media/${id}`]]);
    expect((await client.get(link(answer, 'self') ?? '')).status).toBe(200);
    for (const path of ['Provenance/_search', 'AuditEvent/_search', '_search', 'Patient/x/Media/_search', 'Patient/x/*/_search']) expect([path, (await client.post(path, '_count=1', FORM)).status]).toEqual([path, 200]);
    const byGet = await client.get('Media/_search');
    expect([byGet.status, byGet.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
  });

  it('is recorded with its form after an empty line, as the request was, without credentials', async () => {
    const requestId = randomUUID();
    const form = `identifier=urn:x|${randomUUID()}&_count=3`;
    await client.post('DocumentReference/_search?status=current', form, { ...FORM, 'x-request-id': requestId, 'accept': 'application/fhir+json' });
    const [event] = await client.auditOf(requestId);
    const query = event.entity.find((entity: Json) => entity.query !== undefined);
    expect(Buffer.from(query.query, 'base64').toString()).toBe(`POST DocumentReference/_search?status=current\nAccept: application/fhir+json\nX-Request-Id: ${requestId}\n\n${form}`);
    const refused = randomUUID();
    await client.post('DocumentReference/_search', 'date=abc&access_token=very-secret', { ...FORM, 'x-request-id': refused });
    const [failure] = await client.auditOf(refused);
    const kept = JSON.stringify(failure.entity.map((entity: Json) => Buffer.from(entity.query ?? '', 'base64').toString()));
    expect(kept).toContain('date=abc');
    expect(kept).not.toContain('very-secret');
  });
});

describe('links of pages', () => {
  it('lead forth and back over the same pages, while others write', async () => {
    const identifier = [{ system: 'urn:links', value: randomUUID() }];
    for (let n = 0; n < 7; n += 1) await stored('DocumentReference', documentReference({ identifier, date: `2020-01-0${n + 1}T00:00:00Z` }));
    for (const sort of ['', '&_sort=date', '&_sort=-date', '&_sort=_id']) {
      const forth: string[][] = [];
      let page = await client.get(`DocumentReference?identifier=urn:links|${identifier[0]?.value}&_count=3${sort}&_format=json`);
      expect([link(page, 'previous'), link(page, 'first') === link(page, 'self')]).toEqual([undefined, true]);
      for (;;) {
        forth.push(matches(page));
        const next = link(page, 'next');
        if (next === undefined) break;
        expect(next).toContain('_format=json');
        page = await client.get(next);
      }
      expect(forth.map((one) => one.length)).toEqual([3, 3, 1]);
      const back: string[][] = [];
      for (let url = link(page, 'previous'); url !== undefined; url = link(page, 'previous')) {
        page = await client.get(url);
        back.unshift(matches(page));
      }
      expect(back).toEqual(forth.slice(0, 2));
      expect(matches(await client.get(link(page, 'next') ?? ''))).toEqual(forth[1]);
      expect(matches(await client.get(link(page, 'first') ?? ''))).toEqual(forth[0]);
    }
  });

  it('are of use to nobody without the right, and to another client with it', async () => {
    const identifier = [{ system: 'urn:links', value: randomUUID() }];
    for (let n = 0; n < 2; n += 1) await stored('DocumentReference', documentReference({ identifier }));
    const next = link(await client.get(`DocumentReference?identifier=urn:links|${identifier[0]?.value}&_count=1`), 'next') ?? '';
    const other = fhirClient(server.fhirBase, await server.token({ client: 'another', user: 'Practitioner/other', roles: ['read-only'] }));
    expect(matches(await other.get(next))).toHaveLength(1);
    const powerless = fhirClient(server.fhirBase, await server.token({ scope: 'user/Media.rs' }));
    expect((await powerless.get(next)).status).toBe(403);
    expect((await client.get(next.replace('_cursor=', '_before='))).status).toBe(200);
    expect((await client.get(`${next}A`)).status).toBe(400);
  });

  it('handling=strict is found among other preferences, quoted, in a second header or in capitals', async () => {
    for (const prefer of ['return=minimal, handling=strict', 'handling="strict"', 'respond-async;wait=5, Handling=strict']) {
      expect([prefer, (await client.get('DocumentReference?foo=bar', { prefer })).status]).toEqual([prefer, 400]);
    }
    for (const prefer of ['handling=lenient', 'x-handling=strict', 'handling=lenient, handling=strict']) {
      expect([prefer, (await client.get('DocumentReference?foo=bar', { prefer })).status]).toEqual([prefer, 200]);
    }
  });
});

describe('a search across types', () => {
  it('merges types by time without losing or repeating a match on its way forth and back', async () => {
    const since = new Date().toISOString();
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) made.push(ref(await stored('DocumentReference', documentReference())), ref(await stored('Media', media())));
    for (const sort of ['', '&_sort=_lastUpdated']) {
      const seen: string[] = [];
      let page = await client.get(`?_type=DocumentReference,Media,Provenance&_lastUpdated=ge${since}&_count=3${sort}`);
      expect(page.status).toBe(200);
      for (let url = link(page, 'next'); ; url = link(page, 'next')) {
        seen.push(...matches(page));
        if (url === undefined || seen.length > 200) break;
        page = await client.get(url);
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(made.filter((one) => !seen.includes(one))).toEqual([]);
      expect(seen.filter((one) => one.startsWith('Provenance/')).length).toBeGreaterThanOrEqual(10);
      const before = seen.slice(0, seen.length - matches(page).length);
      const back: string[] = [];
      for (let url = link(page, 'previous'); url !== undefined; url = link(page, 'previous')) {
        page = await client.get(url);
        back.unshift(...matches(page));
      }
      // Each look into the record is a record itself and may stand before the first page by now.
      expect(back.filter((one) => seen.includes(one))).toEqual(before);
    }
    const counted = await client.post('_search', `_type=DocumentReference&_type=Media&_lastUpdated=ge${since}&_total=accurate&_count=2`, FORM);
    expect([counted.json.total, matches(counted).length]).toEqual([10, 2]);
    expect(new URL(link(counted, 'self') ?? '').pathname).toBe('/fhir');
  });

  it('takes parameters of every resource alone, and _type names what can be searched', async () => {
    const answer = await client.get('?_type=DocumentReference&status=current&_count=1');
    expect(notes(answer)).toContain('status');
    expect(link(answer, 'self')).not.toContain('status');
    expect((await client.get('?_type=DocumentReference&status=current', { prefer: 'handling=strict' })).status).toBe(400);
    for (const type of ['Binary', 'Nonsense', 'Patient']) expect([type, (await client.get(`?_type=${type}`)).status]).toEqual([type, 400]);
  });

  it('needs the right for each type: what is not granted is left out, and nothing granted is 403', async () => {
    await stored('Media', media());
    const narrow = fhirClient(server.fhirBase, await server.token({ scope: 'user/Media.rs' }));
    const answer = await narrow.get('?_count=1000');
    expect(new Set(matches(answer).map((one) => one.split('/')[0]))).toEqual(new Set(['Media']));
    expect((await narrow.get('?_type=DocumentReference')).status).toBe(403);
    expect((await fhirClient(server.fhirBase, await server.token({ scope: 'user/Binary.r' })).get('?_count=1')).status).toBe(403);
  });
});

describe('a compartment', () => {
  const patient = `p-${randomUUID()}`;
  const made: Record<string, string> = {};
  beforeAll(async () => {
    made['about'] = ref(await stored('DocumentReference', documentReference({ subject: { reference: `Patient/${patient}` } })));
    made['written'] = ref(await stored('DocumentReference', documentReference({ author: [{ reference: `Patient/${patient}` }] })));
    made['both'] = ref(await stored('DocumentReference', documentReference({ subject: { reference: `Patient/${patient}` }, author: [{ reference: `Patient/${patient}` }] })));
    made['image'] = ref(await stored('Media', media({ subject: { reference: `Patient/${patient}` }, operator: { reference: `Practitioner/o-${patient}` } })));
    made['other'] = ref(await stored('DocumentReference', documentReference({ subject: { reference: `Group/${patient}` }, context: { encounter: [{ reference: `Encounter/e-${patient}` }] }, authenticator: { reference: `Practitioner/o-${patient}` } })));
  });
  const found = async (path: string): Promise<(string | undefined)[]> => {
    const answer = await client.get(path);
    expect([path, answer.status]).toEqual([path, 200]);
    return matches(answer).map((one) => Object.keys(made).find((name) => made[name] === one)).sort();
  };

  it('holds what R4 puts into it, once, and further parameters narrow it', async () => {
    expect(await found(`Patient/${patient}/DocumentReference`)).toEqual(['about', 'both', 'written']);
    expect(await found(`Patient/${patient}/Media`)).toEqual(['image']);
    expect(await found(`Patient/${patient}/DocumentReference?status=superseded`)).toEqual([]);
    expect(await found(`Patient/${patient}/DocumentReference?patient=${patient}`)).toEqual(['about', 'both']);
    expect(await found(`Encounter/e-${patient}/DocumentReference`)).toEqual(['other']);
    expect(await found(`Practitioner/o-${patient}/DocumentReference`)).toEqual(['other']);
    expect(await found(`Practitioner/o-${patient}/Media`)).toEqual(['image']);
    expect((await client.get(`Patient/${patient}/DocumentReference?_total=accurate&_count=1`)).json.total).toBe(3);
  });

  it('answers all types at once, by pages whose links stay within it', async () => {
    const page = await client.get(`Patient/${patient}/*?_type=DocumentReference,Media&_count=3`);
    const next = await client.get(link(page, 'next') ?? '');
    expect(link(page, 'next')).toContain(`/Patient/${patient}/*?`);
    expect([...matches(page), ...matches(next)].map((one) => Object.keys(made).find((name) => made[name] === one)).sort()).toEqual(['about', 'both', 'image', 'written']);
  });

  it('of an unknown patient is empty; a type that is never in one has no such path', async () => {
    expect(await found(`Patient/${randomUUID()}/DocumentReference`)).toEqual([]);
    expect((await client.get('Encounter/x/AuditEvent')).status).toBe(404);
    expect((await client.get('Patient/x/Binary')).status).toBe(404);
    expect((await client.get('Patient/x_y/Media')).status).toBe(404);
  });

  it('is recorded as the search that it is, with its patients', async () => {
    const requestId = randomUUID();
    await client.get(`Patient/${patient}/DocumentReference?patient=${patient}`, { 'x-request-id': requestId });
    const events = await client.auditOf(requestId);
    expect(events.map((event) => [event.action, event.subtype[0].code])).toEqual([['E', 'search-type']]);
    expect(JSON.stringify(events[0].entity)).toContain(`"Patient/${patient}"`);
  });
});
