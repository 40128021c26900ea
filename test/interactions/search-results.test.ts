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

it('HEAD of a search has the headers of GET and no body', async () => {
  const path = `DocumentReference?_id=${randomUUID()}`;
  const [head, get] = [await client.call(path, { method: 'HEAD' }), await client.get(path)];
  expect([head.status, head.bytes.length, head.headers.get('content-type'), head.headers.get('content-length')]).toEqual([200, 0, get.headers.get('content-type'), String(get.bytes.length)]);
});

it('a search that finds nothing is recorded with the patients whom it names', async () => {
  const mark = randomUUID();
  const patientsOf = async (path: string): Promise<string[][]> => {
    const requestId = randomUUID();
    expect((await client.get(path, { 'x-request-id': requestId })).json.total).toBe(0);
    const events = await client.auditOf(requestId);
    return events.map((event) => event.entity.filter((entity: Json) => entity.role?.code === '1').map((entity: Json) => entity.what.reference));
  };
  expect(await patientsOf(`DocumentReference?patient=${mark}`)).toEqual([[`Patient/${mark}`]]);
  expect(await patientsOf(`DocumentReference?subject=${server.fhirBase}/Patient/${mark}&_summary=count`)).toEqual([[`Patient/${mark}`]]);
  expect(await patientsOf(`Media?patient=${mark},b-${mark}`)).toEqual([[`Patient/${mark}`, `Patient/b-${mark}`]]);
  expect(await patientsOf(`Patient/${mark}/Media`)).toEqual([[`Patient/${mark}`]]);
  expect(await patientsOf(`DocumentReference?identifier=${mark}`)).toEqual([[]]);
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

  it('holds the accesses to the patient, and those that a practitioner made', async () => {
    const user = `Practitioner/reader-${patient}`;
    const reader = fhirClient(server.fhirBase, await server.token({ user }));
    await reader.get(made['about'] ?? '');
    for (const path of [`Patient/${patient}/AuditEvent`, `Patient/${patient}/Provenance`, `${user}/AuditEvent`, `${user}/Provenance`]) {
      const answer = await client.get(`${path}?_count=100`);
      const resources = answer.json.entry.map((entry: Json) => entry.resource);
      expect([path, resources.some((one: Json) => JSON.stringify(one).includes(user))]).toEqual([path, true]);
      expect(resources.every((one: Json) => one.resourceType === path.split('/')[2])).toBe(true);
    }
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

const included = (answer: Answer): string[] => withMode(answer, 'include').sort();

describe('includes', () => {
  const mark = randomUUID();
  const identifier = [{ system: 'urn:include', value: mark }];
  const made: Record<string, string> = {};
  const reference = (name: string): { reference: string } => ({ reference: made[name] ?? '' });
  beforeAll(async () => {
    made['first'] = ref(await stored('DocumentReference', documentReference({ subject: { reference: `Patient/a-${mark}` } })));
    made['second'] = ref(await stored('DocumentReference', documentReference({ relatesTo: [{ code: 'appends', target: reference('first') }] })));
    made['image'] = ref(await stored('Media', media({ subject: { reference: `Patient/b-${mark}` } })));
    made['third'] = ref(await stored('DocumentReference', documentReference({ identifier, subject: { reference: `Patient/c-${mark}` }, relatesTo: [{ code: 'appends', target: { reference: `${server.fhirBase}/${made['second']}` } }], context: { related: [reference('image'), { reference: `Observation/x` }] } })));
    made['fourth'] = ref(await stored('DocumentReference', documentReference({ identifier, relatesTo: [{ code: 'signs', target: reference('third') }, { code: 'appends', target: reference('second') }] })));
  });
  const ask = async (query: string): Promise<Answer> => {
    const answer = await client.get(`DocumentReference?${query}`);
    expect([query, answer.status, answer.status === 200 ? '' : answer.text]).toEqual([query, 200, '']);
    return answer;
  };
  const of = (...names: string[]): string[] => names.map((name) => made[name] ?? '').sort();
  const idOf = (name: string): string => made[name]?.split('/')[1] ?? '';

  it('bring what a match refers to, once, beside the matches and not among their total', async () => {
    const answer = await ask(`identifier=urn:include|${mark}&_include=DocumentReference:relatesto&_include=DocumentReference:related`);
    expect([answer.json.total, matches(answer).sort(), included(answer)]).toEqual([2, of('third', 'fourth'), of('second', 'image')]);
    expect(answer.json.entry.map((entry: Json) => entry.fullUrl)).toEqual(answer.json.entry.map((entry: Json) => `${server.fhirBase}/${ref(entry.resource)}`));
    expect(new URL(link(answer, 'self') ?? '').searchParams.getAll('_include')).toEqual(['DocumentReference:relatesto', 'DocumentReference:related']);
    expect(included(await ask(`_id=${idOf('third')}&_include=DocumentReference:related:Media`))).toEqual(of('image'));
    expect(included(await ask(`_id=${idOf('third')}&_include=DocumentReference:related:Observation`))).toEqual([]);
    expect(included(await ask(`_id=${idOf('third')}&_include=*`))).toEqual(of('second', 'image'));
    expect(included(await ask(`_id=${idOf('third')}&_include=DocumentReference:subject`))).toEqual([]);
  });

  it('bring what refers to a match', async () => {
    expect(included(await ask(`_id=${idOf('second')}&_revinclude=DocumentReference:relatesto`))).toEqual(of('third', 'fourth'));
    expect(included(await client.get(`Media?_id=${idOf('image')}&_revinclude=DocumentReference:related`))).toEqual(of('third'));
    const answer = await client.post('DocumentReference/_search', `_id=${idOf('second')}&_revinclude=*`, FORM);
    expect(included(answer).filter((one) => one.startsWith('DocumentReference/'))).toEqual(of('third', 'fourth'));
    expect(included(answer).filter((one) => one.startsWith('AuditEvent/')).length).toBeGreaterThan(0);
  });

  it('with :iterate follow what was included, in both directions, and a circle ends', async () => {
    expect(included(await ask(`_id=${idOf('fourth')}&_include=DocumentReference:relatesto`))).toEqual(of('second', 'third'));
    expect(included(await ask(`_id=${idOf('fourth')}&_include:iterate=DocumentReference:relatesto`))).toEqual(of('first', 'second', 'third'));
    expect(included(await ask(`_id=${idOf('first')}&_revinclude:iterate=DocumentReference:relatesto`))).toEqual(of('second', 'third', 'fourth'));
    expect(included(await ask(`_id=${idOf('third')}&_include:iterate=*&_revinclude:iterate=DocumentReference:relatesto`))).toEqual(of('first', 'second', 'fourth', 'image'));
  });

  it('_revinclude=Provenance:target brings the Provenances of writes, however often it was read', async () => {
    const { id } = await stored('DocumentReference', documentReference({ identifier: [{ system: 'urn:include', value: `p-${mark}` }] }));
    await client.put(`DocumentReference/${id}`, { ...documentReference({ identifier: [{ system: 'urn:include', value: `p-${mark}` }] }), id });
    for (let n = 0; n < 5; n += 1) await client.get(`DocumentReference/${id}`);
    const answer = await ask(`_id=${id}&_revinclude=Provenance:target`);
    const provenances = answer.json.entry.filter((entry: Json) => entry.search.mode === 'include').map((entry: Json) => entry.resource);
    expect(provenances.map((one: Json) => [one.resourceType, one.activity.coding[0].code, one.target[0].reference])).toEqual([
      ['Provenance', 'UPDATE', `DocumentReference/${id}/_history/2`], ['Provenance', 'CREATE', `DocumentReference/${id}/_history/1`],
    ]);
    const back = await client.get(`Provenance?_id=${provenances[0].id}&_include=Provenance:target`);
    expect(included(back)).toContain(`DocumentReference/${id}`);
  });

  it('that are not known are left out with a note, or 400 when strict', async () => {
    for (const include of ['_include=DocumentReference:nope', '_include=Nope:x', '_include=DocumentReference:type', '_include=DocumentReference:relatesto:Media', '_include=DocumentReference', '_revinclude=Provenance:agent', '_revinclude=Media:x:y:z']) {
      const answer = await ask(`_id=${idOf('third')}&${include}`);
      expect([include, included(answer), notes(answer).includes('warning')]).toEqual([include, [], true]);
      expect(link(answer, 'self')).not.toContain('include');
      expect([include, (await client.get(`DocumentReference?${include}`, { prefer: 'handling=strict' })).status]).toEqual([include, 400]);
    }
    expect((await client.get('DocumentReference?_include:nope=DocumentReference:relatesto')).status).toBe(400);
  });

  it('of types that the caller may not have are absent', async () => {
    const narrow = fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.rs' }));
    const answer = await narrow.get(`DocumentReference?_id=${idOf('third')}&_include=*&_revinclude=Provenance:target&_revinclude=AuditEvent:entity`);
    expect(included(answer)).toEqual(of('second'));
    const practitioner = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'] }));
    const kinds = new Set(included(await practitioner.get(`DocumentReference?_id=${idOf('third')}&_revinclude=Provenance:target&_revinclude=AuditEvent:entity`)).map((one) => one.split('/')[0]));
    expect(kinds).toEqual(new Set(['Provenance']));
    const elsewhere = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    const { json } = await elsewhere.post('DocumentReference', documentReference({ relatesTo: [{ code: 'appends', target: reference('first') }] }));
    expect(included(await elsewhere.get(`DocumentReference?_id=${json.id}&_include=DocumentReference:relatesto`))).toEqual([]);
  });

  it('are recorded as seen, under their own patient', async () => {
    const requestId = randomUUID();
    await client.get(`DocumentReference?_id=${idOf('third')}&_include=DocumentReference:related`, { 'x-request-id': requestId });
    const events = await client.auditOf(requestId);
    const seen = events.map((event) => event.entity.flatMap((entity: Json) => entity.what?.reference ?? []));
    expect(seen.map((one) => one.sort()).sort()).toEqual([[`Patient/c-${mark}`, `${made['third']}/_history/1`].sort(), [`Patient/b-${mark}`, `${made['image']}/_history/1`].sort()].sort());
  });

  it('every one that is declared is understood, and each reference parameter of the types is declared', async () => {
    const { json } = await client.get('metadata');
    let declared = 0;
    for (const { type, searchInclude = [], searchRevInclude = [] } of json.rest[0].resource) {
      for (const [name, values] of [['_include', searchInclude], ['_revinclude', searchRevInclude]]) {
        for (const value of values) {
          declared += 1;
          const answer = await client.get(`${type}?_count=1&${name}=${value}`, { prefer: 'handling=strict' });
          expect([type, name, value, answer.status]).toEqual([type, name, value, 200]);
        }
      }
    }
    expect(declared).toBeGreaterThan(10);
    expect(json.rest[0].resource.find((one: Json) => one.type === 'DocumentReference').searchRevInclude).toContain('Provenance:target');
  });
});

describe('parts of resources', () => {
  it('_summary and _elements narrow the matches alone, with the mark SUBSETTED', async () => {
    const target = ref(await stored('DocumentReference', documentReference({ description: 'kept whole' })));
    const { id } = await stored('DocumentReference', documentReference({ description: 'a part', relatesTo: [{ code: 'appends', target: { reference: target } }] }));
    const answer = await client.get(`DocumentReference?_id=${id}&_elements=identifier&_include=DocumentReference:relatesto`);
    const [match, include] = answer.json.entry.map((entry: Json) => entry.resource);
    expect([match.description, match.identifier.length, match.status, match.meta.tag[0].code]).toEqual([undefined, 1, 'current', 'SUBSETTED']);
    expect([include.description, include.meta.tag]).toEqual(['kept whole', undefined]);
    expect(link(answer, 'self')).toContain('_elements=identifier');
    const summary = await client.get(`DocumentReference?_id=${id}&_summary=true`);
    expect([summary.json.entry[0].resource.meta.tag[0].code, summary.json.total]).toEqual(['SUBSETTED', 1]);
    const whole = await client.get(`DocumentReference?_id=${id}&_summary=false`);
    expect(whole.json.entry[0].resource.meta.tag).toBeUndefined();
    const event = await client.get('AuditEvent?_count=1&_elements=recorded');
    expect(event.json.entry[0].resource.meta.tag[0].code).toBe('SUBSETTED');
  });

  it('_summary=count is the total alone; _summary=text has nothing included and says so', async () => {
    const { id } = await stored('DocumentReference', documentReference());
    const counted = await client.get(`DocumentReference?_id=${id}&_summary=count`);
    expect([counted.json.total, counted.json.entry, counted.json.link.map((one: Json) => one.relation)]).toEqual([1, undefined, ['self']]);
    const text = await client.get(`DocumentReference?_id=${id}&_summary=text&_revinclude=Provenance:target`);
    expect([matches(text).length, included(text), notes(text).includes('_summary=text')]).toEqual([1, [], true]);
    for (const query of ['_summary=maybe', '_elements=a b', '_summary=true&_elements=status']) expect([query, (await client.get(`DocumentReference?${query}`)).status]).toEqual([query, 400]);
  });
});
