// Search as R4 says it: every form of a value, prefixes of dates, pages that neither lose nor repeat.
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

async function stored(type: string, body: Record<string, unknown>): Promise<any> { // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into any shape
  const created = await client.post(type, body);
  expect([created.status, created.status === 201 ? '' : created.text]).toEqual([201, '']);
  return created.json;
}

const matches = (answer: Answer): string[] => (answer.json.entry ?? []).filter((entry: { search: { mode: string } }) => entry.search.mode === 'match').map((entry: { resource: { id: string } }) => entry.resource.id);
const link = (answer: Answer, relation: string): string | undefined => answer.json.link.find((one: { relation: string }) => one.relation === relation)?.url;
const parameters = (answer: Answer): [string, string][] => [...new URL(link(answer, 'self') ?? '').searchParams];

async function total(query: string): Promise<number> {
  const answer = await client.get(`DocumentReference?${query}&_total=accurate`);
  expect([query, answer.status]).toEqual([query, 200]);
  return answer.json.total;
}

describe('tokens', () => {
  const mark = `t-${randomUUID()}`;
  beforeAll(async () => {
    await stored('DocumentReference', documentReference({ identifier: [{ system: 'urn:s', value: mark }, { value: `${mark}-bare` }], masterIdentifier: { system: 'urn:m', value: `${mark}-master` }, type: { coding: [{ system: 'http://loinc.org', code: mark }, { system: 'urn:local', code: `${mark}-2` }], text: `${mark}-text` } }));
  });

  it.each([
    [`identifier=${mark}`, 1], [`identifier=urn:s|${mark}`, 1], [`identifier=urn:m|${mark}-master`, 1], [`identifier=|${mark}-bare`, 1], [`identifier=|${mark}`, 0],
    [`identifier=urn:other|${mark}`, 0], [`type=${mark}`, 1], [`type=http://loinc.org|${mark}`, 1], [`type=${mark}-2`, 1], [`type=${mark}-text`, 0],
    [`type=http://loinc.org|&identifier=${mark}`, 1], [`type=urn:nothing|&identifier=${mark}`, 0], [`identifier=${mark}&status=current`, 1], [`identifier=${mark}&status=http://hl7.org/fhir/document-reference-status|current`, 1],
    [`identifier=${mark}&status=urn:x|current`, 0], [`identifier=${mark}&status=superseded,current`, 1], [`identifier=${mark}&status=current&status=superseded`, 0], [`identifier=nothing-${mark},${mark}`, 1],
    [`identifier=${mark}&identifier=${mark}-bare`, 1], [`identifier=${mark.toUpperCase()}`, 0],
  ])('%s finds %i', async (query, count) => {
    expect(await total(query.replaceAll(mark, query === `identifier=${mark.toUpperCase()}` ? mark.toUpperCase() : mark))).toBe(count);
  });

  it('an escaped comma belongs to the value', async () => {
    const value = `a,b|c$d\\e-${mark}`;
    await stored('DocumentReference', documentReference({ identifier: [{ value }] }));
    expect(await total(`identifier=${encodeURIComponent(value.replace(/([,|$\\])/g, '\\$1'))}`)).toBe(1);
    expect(await total(`identifier=${encodeURIComponent(value)}`)).toBe(0);
  });
});

describe('references', () => {
  const id = `p-${randomUUID()}`;
  beforeAll(async () => {
    await stored('DocumentReference', documentReference({ subject: { reference: `Patient/${id}` } }));
    await stored('DocumentReference', documentReference({ subject: { reference: `${server.fhirBase}/Patient/${id}` } }));
    await stored('DocumentReference', documentReference({ subject: { reference: `Patient/${id}/_history/2` } }));
    await stored('DocumentReference', documentReference({ subject: { reference: `https://elsewhere.example/fhir/Patient/${id}` } }));
    await stored('DocumentReference', documentReference({ subject: { reference: `Group/${id}` } }));
  });

  it('relative, absolute, http, https, bare and typed forms find the same three, a versioned one what names that version', async () => {
    const twin = server.fhirBase.replace('http:', 'https:');
    for (const form of [id, `Patient/${id}`, `${server.fhirBase}/Patient/${id}`, `${twin}/Patient/${id}`]) {
      expect([form, await total(`patient=${encodeURIComponent(form)}`)]).toEqual([form, 3]);
    }
    for (const form of [`Patient/${id}`, `${server.fhirBase}/Patient/${id}`]) expect([form, await total(`subject=${encodeURIComponent(form)}`)]).toEqual([form, 3]);
    for (const name of ['patient', 'subject']) {
      expect([name, await total(`${name}=Patient/${id}/_history/2`)]).toEqual([name, 1]);
      expect([name, await total(`${name}=${server.fhirBase}/Patient/${id}/_history/2`)]).toEqual([name, 1]);
      expect([name, await total(`${name}=Patient/${id}/_history/3`)]).toEqual([name, 0]);
    }
    expect(await total(`subject:Patient=${id}`)).toBe(3);
    expect(await total(`patient:Patient=${id}`)).toBe(3);
  });

  it('a bare id of a parameter with several types means each of them, patient never means a Group', async () => {
    expect(await total(`subject=${id}`)).toBe(4);
    expect(await total(`subject:Group=${id}`)).toBe(1);
    expect(await total(`patient=Group/${id}`)).toBe(0);
  });

  it("another server's patient is another patient, found by its address alone", async () => {
    expect(await total(`patient=https://elsewhere.example/fhir/Patient/${id}`)).toBe(1);
    expect(await total(`subject=http://elsewhere.example/fhir/Patient/${id}`)).toBe(1);
  });

  it.each(['patient:Group=x', 'subject:foo=x', 'status:foo=x', 'identifier:of-type=a|b', 'date:exact=2020', 'related=bare', 'patient.name=x'])('%s is not supported, and never finds everything by mistake', async (query) => {
    const answer = await client.get(`DocumentReference?${query}`, { prefer: 'handling=strict' });
    expect([query, answer.status]).toEqual([query, 400]);
  });
});

describe('dates', () => {
  const mark = randomUUID();
  const instants = ['2020-01-01T00:00:00.000Z', '2020-06-15T10:30:00.500Z', '2020-06-15T23:59:59.999Z', '2021-01-01T00:00:00Z'];
  const of = async (value: string): Promise<string[]> => {
    const answer = await client.get(`DocumentReference?identifier=urn:d|${mark}&date=${encodeURIComponent(value)}&_sort=date`);
    expect([value, answer.status]).toEqual([value, 200]);
    return answer.json.entry?.map((entry: { resource: { date: string } }) => entry.resource.date) ?? [];
  };
  beforeAll(async () => {
    for (const date of instants) await stored('DocumentReference', documentReference({ identifier: [{ system: 'urn:d', value: mark }], date }));
    const { date: _date, ...undated } = documentReference({ identifier: [{ system: 'urn:d', value: mark }] });
    await stored('DocumentReference', undated);
  });

  it.each([
    ['2020', [0, 1, 2]], ['eq2020-06', [1, 2]], ['2020-06-15', [1, 2]], ['2020-06-15T10:30:00.500Z', [1]], ['2020-06-15T12:30:00.500+02:00', [1]], ['2020-06-15T12:30:00.500 02:00', [1]],
    ['2020-06-15T10:30Z', [1]], ['2020-06-15T10:30:00Z', [1]], ['ne2020', [3]], ['gt2020-06-15', [3]], ['gt2020-06-15T10:30:00.500Z', [2, 3]], ['ge2020-06-15', [1, 2, 3]], ['lt2020-06-15', [0]],
    ['le2020-06-15', [0, 1, 2]], ['lt2020-01-01', []], ['sa2020', [3]], ['eb2020-06-16', [0, 1, 2]], ['2019,2021', [3]],
  ])('%s', async (value, expected) => {
    expect(await of(value)).toEqual(expected.map((position) => instants[position]));
  });

  it('two bounds are one range, and the literal value of each document finds it', async () => {
    expect(await total(`identifier=urn:d|${mark}&date=ge2020-02&date=lt2021`)).toBe(2);
    for (const instant of instants) expect(await of(instant)).toContain(instant);
  });

  it.each(['abc', '2020-13-01', '2020-02-30', 'xx2020', '2020-01-01T25:00:00Z', '20200101', ' '])('date=%s is 400', async (value) => {
    expect((await client.get(`DocumentReference?date=${encodeURIComponent(value)}`)).status).toBe(400);
  });

  it('a period counts by its bounds, an open one without end', async () => {
    const identifier = [{ system: 'urn:p', value: mark }];
    const closed = await stored('Media', { ...media({ identifier, createdPeriod: { start: '2020-03-01', end: '2020-03-31' } }), createdDateTime: undefined });
    const open = await stored('Media', { ...media({ identifier, createdPeriod: { start: '2020-05-01' } }), createdDateTime: undefined });
    const found = async (value: string): Promise<string[]> => matches(await client.get(`Media?identifier=urn:p|${mark}&created=${value}`)).sort();
    expect(await found('2020-03')).toEqual([closed.id]);
    expect(await found('2020')).toEqual([closed.id]);
    expect(await found('ge2030')).toEqual([open.id]);
    expect(await found('sa2020-04')).toEqual([open.id]);
    expect(await found('ap2020-03-15')).toEqual([closed.id]);
    expect(await found('eb2020-04')).toEqual([closed.id]);
  });

  it('_lastUpdated to the millisecond finds what was just written', async () => {
    const { id, meta } = await stored('DocumentReference', documentReference());
    expect(await total(`_id=${id}&_lastUpdated=${meta.lastUpdated}`)).toBe(1);
    expect(await total(`_id=${id}&_lastUpdated=ge${meta.lastUpdated}`)).toBe(1);
    expect(await total(`_id=${id}&_lastUpdated=lt${meta.lastUpdated}`)).toBe(0);
    expect(await total(`_id=${id}&_lastUpdated=gt${meta.lastUpdated}`)).toBe(0);
  });

  it('sorted by date, those without one are the earliest, on every page', async () => {
    for (const [sort, first] of [['date', true], ['-date', false]] as const) {
      const seen: (string | undefined)[] = [];
      for (let url: string | undefined = `DocumentReference?identifier=urn:d|${mark}&_sort=${sort}&_count=1`; url !== undefined;) {
        const page: Answer = await client.get(url);
        seen.push(...page.json.entry.map((entry: { resource: { date?: string } }) => entry.resource.date));
        url = link(page, 'next');
      }
      expect(seen).toEqual(first ? [undefined, ...instants] : [...instants.toReversed(), undefined]);
    }
  });
});

describe('pages', () => {
  it('partition the result while others write: nothing twice, nothing missed', async () => {
    const mark = randomUUID();
    const identifier = [{ system: 'urn:page', value: mark }];
    const before = await Promise.all(Array.from({ length: 45 }, (_, n) => stored('DocumentReference', documentReference({ identifier, date: `20${10 + (n % 7)}-01-01T00:00:00Z` }))));
    for (const sort of ['', '&_sort=_lastUpdated', '&_sort=-date', '&_sort=date,_id', '&_sort=_id']) {
      const seen: string[] = [];
      for (let url: string | undefined = `DocumentReference?identifier=urn:page|${mark}${sort}&_count=7`; url !== undefined;) {
        const page: Answer = await client.get(url);
        expect(page.json.entry.length).toBeLessThanOrEqual(7);
        seen.push(...matches(page));
        url = link(page, 'next');
        await stored('DocumentReference', documentReference({ identifier }));
      }
      expect([sort, new Set(seen).size]).toEqual([sort, seen.length]);
      expect(before.map((one) => one.id).filter((id: string) => !seen.includes(id))).toEqual([]);
    }
  });

  it('the self link holds what took effect, and nothing else', async () => {
    const answer = await client.get('DocumentReference?foo=bar&status=current&_count=100000&status=&Status=current&_format=json');
    expect(parameters(answer)).toEqual([['status', 'current'], ['_sort', '-_lastUpdated'], ['_count', '1000'], ['_format', 'json']]);
    const outcome = answer.json.entry.at(-1);
    expect([outcome.search.mode, outcome.resource.issue[0].severity, outcome.fullUrl]).toEqual(['outcome', 'warning', expect.stringMatching(/^urn:uuid:[0-9a-f-]{36}$/)]);
    expect(outcome.resource.issue.map((issue: { diagnostics: string }) => issue.diagnostics).join()).toMatch(/foo.*Status/);
    expect(link(answer, 'self')).toMatch(new RegExp(`^${server.fhirBase}/DocumentReference\\?`));
    expect(link(await client.get('?_type=DocumentReference,Media&_count=1'), 'self')).toContain('_type=DocumentReference,Media&');
  });

  it('an unknown parameter is left out when lenient and 400 when strict; a broken value is 400 either way', async () => {
    expect((await client.get('DocumentReference?foo=bar', { prefer: 'handling=lenient' })).status).toBe(200);
    expect((await client.get('DocumentReference?foo=bar', { prefer: 'return=minimal, handling=strict' })).status).toBe(400);
    expect((await client.get('DocumentReference?_sort=nope', { prefer: 'handling=strict' })).status).toBe(400);
    for (const query of ['_count=-1', '_count=x', '_count=1.5', '_total=maybe']) expect([query, (await client.get(`DocumentReference?${query}`)).status]).toEqual([query, 400]);
  });

  it('a forged cursor, or one of another search or organisation, is 400', async () => {
    await stored('DocumentReference', documentReference());
    const next = link(await client.get('DocumentReference?status=current&_count=1'), 'next') ?? '';
    const cursor = new URL(next).searchParams.get('_cursor') ?? '';
    expect((await client.get(next)).status).toBe(200);
    expect((await client.get(next.replace('status=current', 'status=superseded'))).status).toBe(400);
    for (const forged of [`${cursor}A`, cursor.slice(4), 'x', `${Buffer.from('a~1~b').toString('base64url')}.${cursor.split('.')[1]}`]) {
      expect((await client.get(`DocumentReference?status=current&_count=1&_cursor=${encodeURIComponent(forged)}`)).status).toBe(400);
    }
    const foreign = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    expect((await foreign.get(next)).status).toBe(400);
  });

  it('_count=0 answers the total alone; no match is 200 without entry', async () => {
    const mark = randomUUID();
    for (let n = 0; n < 3; n += 1) await stored('DocumentReference', documentReference({ identifier: [{ value: mark }] }));
    const counted = await client.get(`DocumentReference?identifier=${mark}&_count=0`);
    expect([counted.json.total, counted.json.entry, counted.json.link.length]).toEqual([3, undefined, 1]);
    const page = await client.get(`DocumentReference?identifier=${mark}&_count=1&_total=accurate`);
    expect([page.json.total, page.json.entry.length]).toEqual([3, 1]);
    const none = await client.get('DocumentReference?patient=nobody-at-all');
    expect([none.status, none.json.total, 'entry' in none.json]).toEqual([200, 0, false]);
  });

  it('a page over three hundred patients is one answer and three hundred events', async () => {
    const mark = randomUUID();
    for (let n = 0; n < 300; n += 50) await Promise.all(Array.from({ length: 50 }, () => stored('DocumentReference', documentReference({ identifier: [{ value: mark }], content: [{ attachment: { url: 'https://elsewhere.example/x' } }] }))));
    const requestId = randomUUID();
    const answer = await client.get(`DocumentReference?identifier=${mark}&_count=1000`, { 'x-request-id': requestId });
    expect([answer.status, answer.json.total]).toEqual([200, 300]);
    expect(await server.sql('select count(*)::int as events from access_event where request_id = $1', [requestId])).toEqual([{ events: 300 }]);
  });

  it('an updated document is found by its new values alone, a deleted one by none', async () => {
    const [old, fresh] = [randomUUID(), randomUUID()];
    const { id } = await stored('DocumentReference', documentReference({ identifier: [{ value: old }] }));
    await client.put(`DocumentReference/${id}`, { ...documentReference({ identifier: [{ value: fresh }] }), id });
    expect([await total(`identifier=${old}`), await total(`identifier=${fresh}`)]).toEqual([0, 1]);
    await client.delete(`DocumentReference/${id}`);
    expect(await total(`identifier=${fresh}`)).toBe(0);
    const left = await server.sql('select (select count(*) from search_token where id = $1)::int + (select count(*) from search_reference where id = $1)::int as rows', [id]);
    expect(left).toEqual([{ rows: 0 }]);
  });
});
