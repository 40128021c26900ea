// What an answer looks like: its form by Accept and _format, its headers, what a conditional read says, and history.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let path: string;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  path = `DocumentReference/${(await client.post('DocumentReference', documentReference())).json.id}`;
});
afterAll(() => server.stop());

describe('the form of an answer', () => {
  it.each([
    ['application/fhir+json', 'application/fhir+json'], ['application/json', 'application/json'], ['text/json', 'text/json'], ['application/json+fhir', 'application/fhir+json'], ['*/*', 'application/fhir+json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'application/fhir+json'], ['application/fhir+xml;q=0.9, application/fhir+json;q=1.0', 'application/fhir+json'],
    ['application/fhir+xml', 'application/fhir+xml'], ['application/xml', 'application/xml'], ['text/xml', 'text/xml'], ['application/xml+fhir', 'application/fhir+xml'], ['application/fhir+json;q=0, */*', 'application/fhir+xml'],
  ])('Accept: %s is answered as %s', async (accept, type) => {
    const answer = await client.get(path, { accept });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, `${type}; charset=utf-8`]);
    expect(answer.text).toMatch(type.includes('json') ? /^\{"resourceType":"DocumentReference"/ : /^<DocumentReference xmlns="http:\/\/hl7\.org\/fhir"/);
  });

  it.each([['image/png'], ['application/fhir+turtle'], ['application/fhir+json;q=0'], ['application/fhir+json; fhirVersion=3.0']])('Accept: %s is 406, told in JSON', async (accept) => {
    const answer = await client.get(path, { accept });
    expect([answer.status, answer.json.resourceType]).toEqual([406, 'OperationOutcome']);
  });

  it.each([
    ['json', 200], ['application/json', 200], ['application/fhir+json', 200], ['application/fhir%2Bjson', 200], ['text/json', 200], ['xml', 200], ['application/fhir+xml', 200], ['text/xml', 200], ['application/xml', 200], ['image/png', 406], ['ttl', 406],
  ])('_format=%s decides before Accept: %i', async (format, status) => {
    const answer = await client.get(`${path}?_format=${format}`, { accept: status === 200 ? 'image/png' : 'application/fhir+json' });
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.headers.get('content-type')).toBe(`application/fhir+${format.includes('xml') ? 'xml' : 'json'}; charset=utf-8`);
  });

  it.each([
    ['text/plain', 415], ['application/fhir+turtle', 415], ['application/fhir+json; charset=iso-8859-1', 415], ['application/fhir+json; fhirVersion=3.0', 415], ['application/fhir+xml', 400],
    ['application/fhir+json; charset=UTF-8', 201], ['application/json', 201], ['text/json', 201], ['application/fhir+json; fhirVersion=4.0', 201],
  ])('JSON declared as %s is %i', async (type, status) => {
    expect((await client.post('DocumentReference', JSON.stringify(documentReference()), { 'content-type': type })).status).toBe(status);
  });

  it('_format never changes how the body is read, and a byte order mark is told', async () => {
    expect((await client.post('DocumentReference?_format=json', JSON.stringify(documentReference()), { 'content-type': 'application/fhir+json' })).status).toBe(201);
    expect((await client.post('DocumentReference', `\ufeff${JSON.stringify(documentReference())}`, { 'content-type': 'application/fhir+json' })).status).toBe(400);
  });
});

describe('headers', () => {
  it('HEAD has those of GET, and no body', async () => {
    for (const target of [path, `${path}/_history/1`, `${path}/_history`, 'DocumentReference?_count=1', 'metadata']) {
      const [get, head] = [await client.get(target), await client.call(target, { method: 'HEAD' })];
      const shown = (answer: Answer): (string | null)[] => ['etag', 'last-modified', 'content-type', 'content-length'].map((name) => answer.headers.get(name));
      expect([target, head.status, head.bytes.length, shown(head)]).toEqual([target, get.status, 0, shown(get)]);
      if (get.headers.get('content-encoding') === null) expect(Number(get.headers.get('content-length'))).toBe(get.bytes.length);
    }
  });

  it('each answer has a Date, is private to its reader, and varies by what chose it', async () => {
    for (const answer of [await client.get(path), await client.get('DocumentReference/unknown'), await client.call(path, { token: null })]) {
      expect(answer.headers.get('date')).toMatch(/^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/);
      expect(answer.headers.get('cache-control')).toMatch(/private|no-store/);
      expect(answer.headers.get('vary')).toMatch(/Accept.*Authorization/);
      expect(answer.headers.get('x-powered-by')).toBeNull();
    }
  });

  it('names and ids are told apart by case; what is not offered says what is', async () => {
    expect((await client.get(path.replace('DocumentReference', 'documentreference'))).status).toBe(404);
    expect((await client.get(path.toUpperCase().replace('DOCUMENTREFERENCE', 'DocumentReference'))).status).toBe(404);
    expect((await client.get('DocumentReference/a_b')).status).toBe(404);
    const badId = await client.put('DocumentReference/a_b', { ...documentReference(), id: 'a_b' });
    expect([badId.status, badId.json.issue[0].code]).toEqual([400, 'value']);
    for (const [method, target, allow] of [['POST', 'AuditEvent', 'GET, HEAD, OPTIONS'], ['PUT', 'Provenance/x', 'GET, HEAD, OPTIONS'], ['DELETE', 'AuditEvent/x', 'GET, HEAD, OPTIONS'], ['PATCH', 'Binary/x', 'GET, HEAD, PUT, DELETE, OPTIONS'], ['GET', 'Binary?_id=x', 'POST, OPTIONS'], ['POST', path, 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS']] as const) {
      const answer = await client.call(target, { method });
      expect([method, target, answer.status, answer.headers.get('allow')?.split(', ').sort()]).toEqual([method, target, 405, allow.split(', ').sort()]);
    }
  });
});

describe('a conditional read', () => {
  it('If-Modified-Since is 304 from Last-Modified on, 200 before, and has no say beside If-None-Match', async () => {
    const modified = (await client.get(path)).headers.get('last-modified') ?? '';
    const before = new Date(Date.parse(modified) - 1_000).toUTCString();
    const status = async (headers: Record<string, string>, target = path): Promise<number> => (await client.get(target, headers)).status;
    expect([await status({ 'if-modified-since': modified }), await status({ 'if-modified-since': before }), await status({ 'if-modified-since': 'yesterday' })]).toEqual([304, 200, 200]);
    expect(await status({ 'if-modified-since': modified }, `${path}/_history/1`)).toBe(304);
    expect(await status({ 'if-modified-since': modified, 'if-none-match': 'W/"2"' })).toBe(200);
  });

  it('a version that followed another within the same second is not taken for it', async () => {
    const { json: first } = await client.post('Media', media());
    const second = await client.put(`Media/${first.id}`, { ...first, note: [{ text: 'changed' }] });
    const since = { 'if-modified-since': second.headers.get('last-modified') ?? '' };
    await server.sql("update resource set last_updated = date_trunc('second', last_updated) + interval '0.9 s' where id = $1", [first.id]);
    // A superseded version does not change: its time is set past the guard.
    const supersededAt = (time: string): Promise<unknown> => server.sql(`begin; set local session_replication_role = 'replica'; update resource_history set last_updated = ${time} where id = '${first.id}'; commit`);
    await supersededAt(`(select date_trunc('second', last_updated) from resource where id = '${first.id}')`);
    expect((await client.get(`Media/${first.id}`, since)).status).toBe(200);
    await supersededAt("last_updated - interval '1 s'");
    expect((await client.get(`Media/${first.id}`, since)).status).toBe(304);
  });

  it.each(['W/"1"', '"1"', '1', 'W/"7", W/"1"', '*'])('If-None-Match: %s is 304 with the ETag and no body', async (tag) => {
    const answer = await client.get(path, { 'if-none-match': tag });
    expect([answer.status, answer.headers.get('etag'), answer.bytes.length]).toEqual([304, 'W/"1"', 0]);
  });

  it.each(['W/"2"', '"11"', 'x'])('If-None-Match: %s is answered', async (tag) => {
    expect((await client.get(path, { 'if-none-match': tag })).status).toBe(200);
  });

  it('an unknown id, a deleted one and a version that never was are told apart', async () => {
    const { json } = await client.post('Media', media());
    await client.delete(`Media/${json.id}`);
    const codes = async (target: string): Promise<unknown[]> => { const answer = await client.get(target); return [answer.status, answer.json.issue[0].code]; };
    expect(await codes('Media/unknown')).toEqual([404, 'not-found']);
    expect(await codes(`Media/${json.id}`)).toEqual([410, 'deleted']);
    expect(await codes(`Media/${json.id}/_history/2`)).toEqual([410, 'deleted']);
    for (const version of ['3', '999999999', '99999999999999', 'abc', '0', '-1', '1.0']) expect([version, ...(await codes(`Media/${json.id}/_history/${version}`))]).toEqual([version, 404, 'not-found']);
  });
});

describe('the history of a document', () => {
  it('is newest first, page by page the same, and no two entries share a version', async () => {
    const { json } = await client.post('DocumentReference', documentReference());
    const instance = `DocumentReference/${json.id}`;
    for (let n = 2; n <= 7; n += 1) await client.put(instance, { ...json, description: String(n) });
    await client.delete(instance);
    await client.put(instance, { ...json, description: 'back' });
    const whole = await client.get(`${instance}/_history`);
    expect([whole.json.type, whole.json.total, whole.json.entry.length]).toEqual(['history', 9, 9]);
    const tags = whole.json.entry.map((entry: { response: { etag: string } }) => entry.response.etag);
    expect(tags).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1].map((version) => `W/"${version}"`));
    expect(whole.json.entry.map((entry: { response: { status: string } }) => entry.response.status)).toEqual(['201', '204', '200', '200', '200', '200', '200', '200', '201']);
    expect(whole.json.entry.map((entry: { request: { method: string; url: string } }) => `${entry.request.method} ${entry.request.url}`).at(-1)).toBe('POST DocumentReference');
    expect(new Set(whole.json.entry.map((entry: { fullUrl: string }) => entry.fullUrl))).toEqual(new Set([`${server.fhirBase}/${instance}`]));
    const paged: string[] = [];
    for (let url: string | undefined = `${instance}/_history?_count=2`; url !== undefined;) {
      const page: Answer = await client.get(url);
      expect([page.json.total, page.json.entry.length <= 2]).toEqual([9, true]);
      paged.push(...page.json.entry.map((entry: { response: { etag: string } }) => entry.response.etag));
      url = page.json.link.find((link: { relation: string }) => link.relation === 'next')?.url;
    }
    expect(paged).toEqual(tags);
  });

  it('of an id that never was is 404, and _count that is no number is 400', async () => {
    expect((await client.get(`DocumentReference/${randomUUID()}/_history`)).status).toBe(404);
    for (const count of ['x', '-1', '1.5']) expect((await client.get(`${path}/_history?_count=${count}`)).status).toBe(400);
  });
});

describe('the statement of what works', () => {
  it('lists each row of the route table and each search parameter, and needs no token', async () => {
    const { json, status } = await client.call('metadata', { token: null });
    expect([status, json.kind, json.fhirVersion, json.implementation.url]).toEqual([200, 'instance', '4.0.1', server.fhirBase]);
    const told = json.rest[0].resource.flatMap((resource: { type: string; interaction: { code: string }[] }) => resource.interaction.map(({ code }) => `${resource.type} ${code}`));
    const toldOfAll = (json.rest[0].interaction ?? []).map(({ code }: { code: string }) => `Bundle ${code}`);
    const routed = server.routes.filter((route) => route.code !== 'operation').map((route) => `${route.type} ${route.code}`);
    expect([...told, ...toldOfAll].sort()).toEqual([...new Set(routed)].sort());
    for (const resource of json.rest[0].resource as { type: string; searchParam?: { name: string; type: string }[] }[]) {
      for (const { name, type } of resource.searchParam ?? []) {
        const value = { date: '2020', reference: 'Patient/x', composite: 'replaces$x' }[type] ?? 'x';
        // What is looked up in each record is bounded by a date.
        const bound = ['AuditEvent', 'Provenance'].includes(resource.type) ? '&_lastUpdated=ge2020' : '';
        const answer = await client.get(`${resource.type}?${name}=${value}${bound}`, { prefer: 'handling=strict' });
        expect([resource.type, name, answer.status]).toEqual([resource.type, name, 200]);
      }
    }
  });
});

describe('a part of a resource', () => {
  it('is what _summary and _elements ask for, of the newest version and of an older one, tagged SUBSETTED', async () => {
    for (const target of [path, `${path}/_history/1`]) {
      const [text, elements] = [await client.get(`${target}?_summary=text`), await client.get(`${target}?_elements=type`)];
      expect(Object.keys(text.json)).toEqual(['resourceType', 'id', 'meta', 'status', 'content']);
      expect(Object.keys(elements.json)).toEqual(['resourceType', 'id', 'meta', 'status', 'type', 'content']);
      expect([text, elements].map(({ json }) => json.meta.tag.at(-1).code)).toEqual(['SUBSETTED', 'SUBSETTED']);
      expect(text.headers.get('etag')).toBe('W/"1"');
    }
    expect((await client.get(`${path}?_summary=false`)).json.meta.tag).toBeUndefined();
    for (const bad of ['_summary=maybe', '_summary=count', '_elements=a.b']) expect((await client.get(`${path}?${bad}`)).status).toBe(400);
  });

  it('cannot be stored in the place of the whole: 422', async () => {
    const { json } = await client.get(`${path}?_summary=data`);
    const put = await client.put(path, json);
    expect([put.status, put.json.issue[0].code, put.json.issue[0].expression]).toEqual([422, 'business-rule', ['DocumentReference.meta.tag']]);
    expect((await client.get(path)).headers.get('etag')).toBe('W/"1"');
  });
});
