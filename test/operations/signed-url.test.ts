// Signed URLs as an app, a browser and a device see them: what they lend, to whom, how long, and what the record says of it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { addGrantKey } from '../../src/resources/grant-keys.ts';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- rendered resources */

let server: TestMuniment;
let admin: FhirClient;
let doctor: FhirClient;

beforeAll(async () => {
  server = await startMuniment({ TRUSTED_PROXIES: '127.0.0.1' });
  admin = fhirClient(server.fhirBase, await server.token());
  doctor = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/doctor', client: 'ward-app' }));
});
afterAll(() => server.stop());

const TEXT = 'The bytes of a document, long enough for ranges.';
const parametersOf = (values: Record<string, unknown>): object => ({
  resourceType: 'Parameters',
  parameter: Object.entries(values).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one: unknown) => ({ name, [typeof one === 'number' ? 'valuePositiveInt' : 'valueString']: one }))),
});
const valuesOf = ({ json }: Answer): Record<string, string> => Object.fromEntries(json.parameter.map(({ name, ...value }: any) => [name, Object.values(value)[0]]));

interface Signed { url: string; grant: string; 'expires-at': string; answer: Answer }

async function sign(client: FhirClient, path: string, values: Record<string, unknown> = {}): Promise<Signed> {
  const answer = await client.post(`${path}/$signed-url`, Object.keys(values).length === 0 ? undefined : parametersOf(values));
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return { ...valuesOf(answer) as unknown as Signed, answer };
}

async function newDocument(client = doctor, overrides: Record<string, unknown> = {}): Promise<{ id: string; binary: string; patient: string }> {
  const attachment = { contentType: 'text/plain', data: Buffer.from(TEXT).toString('base64'), title: 'Note' };
  const { json } = await client.post('DocumentReference', documentReference({ content: [{ attachment }], ...overrides }));
  return { id: json.id, binary: json.content[0].attachment.url.split('/').at(-1), patient: json.subject.reference };
}

async function newBinary(client = doctor, body = randomUUID()): Promise<string> {
  return (await client.post('Binary', body, { 'content-type': 'text/plain' })).json.id;
}

/** Without any token, as a browser does. */
const open = (url: string, call: Call = {}): Promise<Answer> => doctor.call(url, { ...call, token: null });
const put = (url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> => open(url, { method: 'PUT', body, headers: { 'content-type': 'text/plain', ...headers } });

describe('$signed-url', () => {
  it('answers one URL below /files, when it ends and its grant; the URL shows the bytes to whoever has no token', async () => {
    const { id, binary } = await newDocument();
    for (const path of [`DocumentReference/${id}`, `Binary/${binary}`]) {
      const { url, grant, 'expires-at': expires, answer } = await sign(doctor, path);
      expect(url).toMatch(new RegExp(`^${server.fhirBase.replace(/fhir$/, 'files')}/[\\w-]{72}$`));
      expect(grant).toMatch(/^[0-9a-f-]{36}$/);
      expect(answer.headers.get('cache-control')).toContain('no-store');
      expect(Date.parse(expires) - Date.now()).toBeGreaterThan(59 * 60_000);
      expect(Date.parse(expires) - Date.now()).toBeLessThanOrEqual(60 * 60_000);
      const shown = await open(url, { headers: { origin: 'https://app.example' } });
      expect([shown.status, shown.text, shown.headers.get('content-type')]).toEqual([200, TEXT, 'text/plain']);
      expect(Object.fromEntries(['cross-origin-resource-policy', 'referrer-policy', 'access-control-allow-origin', 'x-content-type-options', 'content-disposition'].map((name) => [name, shown.headers.get(name)]))).toEqual({
        'cross-origin-resource-policy': 'cross-origin', 'referrer-policy': 'no-referrer', 'access-control-allow-origin': '*', 'x-content-type-options': 'nosniff', 'content-disposition': 'attachment; filename="Note.txt"',
      });
      expect(shown.headers.get('cache-control')).toContain('no-store');
      expect(shown.headers.get('repr-digest')).toBe(`sha-256=:${createHash('sha256').update(TEXT).digest('base64')}:`);
    }
  });

  it('gives HEAD, ranges, If-Range, conditions and 416 as /fhir/Binary does', async () => {
    const { binary } = await newDocument();
    const { url } = await sign(doctor, `Binary/${binary}`);
    const whole = await open(url);
    const etag = whole.headers.get('etag') ?? '';
    const head = await open(url, { method: 'HEAD' });
    expect([head.status, head.bytes.length, head.headers.get('content-length')]).toEqual([200, 0, String(TEXT.length)]);
    const part = await open(url, { headers: { range: 'bytes=4-8', 'if-range': etag } });
    expect([part.status, part.text, part.headers.get('content-range')]).toEqual([206, TEXT.slice(4, 9), `bytes 4-8/${TEXT.length}`]);
    expect((await open(url, { headers: { range: 'bytes=4-8', 'if-range': '"another"' } })).status).toBe(200);
    expect((await open(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
    const outside = await open(url, { headers: { range: 'bytes=900-' } });
    expect([outside.status, outside.headers.get('content-type'), outside.json.code, outside.headers.get('cross-origin-resource-policy')]).toEqual([416, 'application/problem+json', 'range', 'cross-origin']);
    expect((await open(url, { method: 'OPTIONS', headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' } })).status).toBe(204);
  });

  it.each([
    ['text/plain', 'A note', 'inline', "default-src 'none'; sandbox"],
    ['application/pdf', '%PDF-1.4\n%%EOF', 'inline', "default-src 'none'"],
    ['text/html', '<p>x</p>', 'attachment', "default-src 'none'; sandbox"],
    ['image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'attachment', "default-src 'none'; sandbox"],
  ])('%s that was asked for inline is shown as its type allows', async (type, text, disposition, policy) => {
    const created = await doctor.post('Binary', text, { 'content-type': type });
    expect(created.status).toBe(201);
    const shown = await open((await sign(doctor, `Binary/${created.json.id}`, { disposition: 'inline' })).url);
    expect([shown.headers.get('content-disposition'), shown.headers.get('content-security-policy')]).toEqual([disposition, policy]);
  });

  it('refuses limits that are wrong, foreign to the method or misspelt, so that none is lost', async () => {
    const path = `Binary/${(await newDocument()).binary}`;
    const wrong: Record<string, unknown>[] = [
      { 'expires-in': 61 }, { 'expires-in': '0' }, { 'expires-in': '1.5' }, { 'expires-in': [5, 6] }, { 'allowed-ip': '10.0.0.0/33' }, { 'allowed-ip': ['10.0.0.0/8', 'ward'] }, { 'allowed_ip': '10.0.0.0/8' },
      { disposition: 'open' }, { method: 'DELETE' }, { uses: '-1' }, { uses: 'many' }, { size: 5 }, { method: 'PUT', disposition: 'inline' }, { method: 'PUT', 'sha-256': 'abc' }, { method: 'PUT', 'content-type': 'text' },
    ];
    for (const values of wrong) expect([values, (await doctor.post(`${path}/$signed-url`, parametersOf(values))).status]).toEqual([values, 400]);
    expect((await doctor.post(`${path}/$signed-url`, { resourceType: 'Parameters', parameter: [{ name: 'uses', valueBoolean: true }] })).status).toBe(400);
    expect((await doctor.post(`${path}/$signed-url`, { resourceType: 'Patient' })).status).toBe(400);
    expect((await doctor.post(`${path}/$signed-url?expires-in=90`, undefined)).status).toBe(400);
    expect((await doctor.get(`${path}/$signed-url`)).status).toBe(405);
    const minutes = valuesOf(await doctor.post(`${path}/$signed-url?expires-in=5`, undefined))['expires-at'] ?? '';
    expect(Date.parse(minutes) - Date.now()).toBeLessThanOrEqual(5 * 60_000);
  });

  it('is for whoever may read and grant: 403 for other roles, 404 for what is unknown or another organisation’s, 422 without bytes', async () => {
    const { id, binary } = await newDocument();
    const as = async (options: Parameters<TestMuniment['token']>[0]): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token(options));
    const ask = async (client: FhirClient, path: string): Promise<number> => (await client.post(`${path}/$signed-url`, undefined)).status;
    for (const path of [`DocumentReference/${id}`, `Binary/${binary}`]) {
      for (const roles of [['read-only'], ['nurse'], ['billing'], ['auditor']]) expect([roles, await ask(await as({ roles }), path)]).toEqual([roles, 403]);
      expect(await ask(await as({ scope: 'user/DocumentReference.s' }), path)).toBe(403);
      expect(await ask(await as({ org: 'elsewhere' }), path)).toBe(404);
      expect(await ask(await as({ scope: 'patient/*.cruds', patient: 'somebody-else', roles: [], user: 'Patient/somebody-else' }), path)).toBe(404);
    }
    expect((await doctor.call(`Binary/${binary}/$signed-url`, { method: 'POST', token: null })).status).toBe(401);
    expect([await ask(doctor, 'Binary/none'), await ask(doctor, 'DocumentReference/none')]).toEqual([404, 404]);
    const linkless = await newDocument(doctor, { content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/x' } }] });
    expect(await ask(doctor, `DocumentReference/${linkless.id}`)).toBe(422);
  });

  it('answers a repetition with the same Idempotency-Key with the same URL', async () => {
    const path = `Binary/${(await newDocument()).binary}/$signed-url`;
    const body = parametersOf({ 'expires-in': 7 });
    const key = { 'idempotency-key': randomUUID() };
    expect((await doctor.post(path, body, key)).text).toBe((await doctor.post(path, body, key)).text);
  });
});

describe('a signed URL', () => {
  it('is refused with any character changed, and recorded like a 401 without the token', async () => {
    const { url } = await sign(doctor, `Binary/${(await newDocument()).binary}`);
    const token = url.split('/').at(-1) ?? '';
    const base = url.slice(0, -token.length);
    for (let at = 0; at < token.length; at += 1) {
      const forged = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect([at, (await open(`${base}${forged}`)).status]).toEqual([at, 401]);
    }
    for (const path of ['x', 'a/b', `${token}x`, `${token}/`, encodeURIComponent(`${token}/../x`)]) expect([path, [401, 200]]).toEqual([path, expect.arrayContaining([(await open(`${base}${path}`)).status])]);
    const requestId = randomUUID();
    const forged = await open(`${base}${token.slice(1)}A`, { headers: { 'x-request-id': requestId } });
    expect([forged.status, forged.headers.get('content-type'), forged.json.code]).toEqual([401, 'application/problem+json', 'token-invalid']);
    const [event] = await admin.auditOf(requestId);
    expect([event.outcome, event.agent.find(({ requestor }: any) => requestor === true).who.reference]).toEqual(['4', undefined]);
    const rows = await server.sql<{ body: string }>('select e.body from access_event e');
    expect(rows.filter(({ body }) => body.includes(token) || body.includes(token.slice(1, 60)))).toEqual([]);
  });

  it('is recorded as an access by its owner, through the grant; so is the making of it', async () => {
    const { id, binary, patient } = await newDocument();
    const { url, grant, answer } = await sign(doctor, `DocumentReference/${id}`);
    const [made] = await admin.auditOf(answer.headers.get('x-request-id') ?? '');
    expect(JSON.stringify(made.entity)).toContain(`urn:uuid:${grant}`);
    const requestId = randomUUID();
    await open(url, { headers: { 'x-request-id': requestId, range: 'bytes=0-3' } });
    const [event, ...more] = await admin.auditOf(requestId);
    expect(more).toEqual([]);
    const user = event.agent.find(({ requestor }: any) => requestor === true);
    expect([event.subtype[0].code, event.outcome, user.who.reference, user.policy]).toEqual(['read', '0', 'Practitioner/doctor', [`urn:uuid:${grant}`]]);
    const named = JSON.stringify(event.entity);
    for (const text of [patient, `Binary/${binary}/_history/1`, `DocumentReference/${id}/_history/1`, `urn:uuid:${grant}`, 'bytes 0-3/']) expect(named).toContain(text);
    expect((await admin.get(`AuditEvent?entity=DocumentReference/${id}&agent=Practitioner/doctor`)).json.total).toBeGreaterThan(1);
  });

  it('ends: expired and revoked it is 410, for its owner’s eyes in the record', async () => {
    const { binary } = await newDocument();
    const expired = await sign(doctor, `Binary/${binary}`, { 'expires-in': 1 });
    await server.sql(`update access_grant set expires_at = now() - interval '1 ms' where id = $1`, [expired.grant]);
    const requestId = randomUUID();
    const late = await open(expired.url, { headers: { 'x-request-id': requestId } });
    expect([late.status, late.json.code]).toEqual([410, 'grant-ended']);
    const [event] = await admin.auditOf(requestId);
    expect([event.outcome, event.agent.find(({ requestor }: any) => requestor === true).who.reference]).toEqual(['4', 'Practitioner/doctor']);

    for (const by of ['grant', 'url'] as const) {
      const signed = await sign(doctor, `Binary/${binary}`);
      const revoked = await doctor.post(`Binary/${binary}/$revoke-url`, parametersOf({ [by]: signed[by] }));
      expect([revoked.status, valuesOf(revoked)['grant']]).toEqual([200, signed.grant]);
      expect((await open(signed.url)).status).toBe(410);
      expect((await open(signed.url, { method: 'HEAD' })).status).toBe(410);
      expect(valuesOf(await doctor.post(`Binary/${binary}/$revoke-url`, parametersOf({ [by]: signed[by] })))).toEqual(valuesOf(revoked));
    }
  });

  it('is revoked by its owner and by an administrator; nobody else is told that it is there', async () => {
    const { binary, id } = await newDocument();
    const { grant, url } = await sign(doctor, `Binary/${binary}`);
    const colleague = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/colleague' }));
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    const revoke = async (client: FhirClient, path: string, values: Record<string, unknown>): Promise<number> => (await client.post(`${path}/$revoke-url`, parametersOf(values))).status;
    for (const values of [{ grant }, { url }]) {
      expect([await revoke(colleague, `Binary/${binary}`, values), await revoke(stranger, `Binary/${binary}`, values), await revoke(doctor, `DocumentReference/${id}`, values)]).toEqual([404, 404, 404]);
    }
    expect([await revoke(doctor, `Binary/${binary}`, {}), await revoke(doctor, `Binary/${binary}`, { grant, url }), await revoke(doctor, `Binary/${binary}`, { grant: 'x' }), await revoke(doctor, `Binary/${binary}`, { url: `${url}x` })]).toEqual([400, 400, 404, 404]);
    expect((await open(url)).status).toBe(200);
    expect(await revoke(admin, `Binary/${binary}`, { grant })).toBe(200);
    expect((await open(url)).status).toBe(410);
  });

  it('is refreshed: a new URL with the same limits, and the old one ends; not once it was revoked', async () => {
    const { binary } = await newDocument();
    const old = await sign(doctor, `Binary/${binary}`, { 'expires-in': 10, uses: 2, disposition: 'inline' });
    expect((await open(old.url)).status).toBe(200);
    const answers = await Promise.all([1, 2].map(() => doctor.post(`Binary/${binary}/$refresh-url`, parametersOf({ url: old.url }))));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 410]);
    const fresh = valuesOf(answers.find(({ status }) => status === 200) as Answer);
    expect(Date.parse(fresh['expires-at'] ?? '') - Date.now()).toBeLessThanOrEqual(10 * 60_000);
    expect((await open(old.url)).status).toBe(410);
    const shown = await open(fresh['url'] ?? '');
    expect([shown.status, shown.headers.get('content-disposition')]).toEqual([200, 'inline; filename="Note.txt"']);
    expect((await open(fresh['url'] ?? '')).status).toBe(410);
    expect((await doctor.post(`Binary/${binary}/$refresh-url`, parametersOf({ grant: fresh['grant'] }))).status).toBe(410);

    const expired = await sign(doctor, `Binary/${binary}`);
    await server.sql(`update access_grant set created_at = now() - interval '61 minutes', expires_at = now() - interval '1 minute' where id = $1`, [expired.grant]);
    expect((await open(valuesOf(await doctor.post(`Binary/${binary}/$refresh-url`, parametersOf({ grant: expired.grant })))['url'] ?? '')).status).toBe(200);
  });

  it('is used no more often than it says, however many come at once; HEAD and refusals do not count', async () => {
    const { binary } = await newDocument();
    const { url } = await sign(doctor, `Binary/${binary}`, { uses: 3 });
    for (const call of [{ method: 'HEAD' }, { headers: { range: 'bytes=900-' } }, { method: 'PUT', body: 'x' }]) await open(url, call);
    const statuses = (await Promise.all(Array.from({ length: 12 }, () => open(url)))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(3);
    expect(statuses.filter((status) => status === 410)).toHaveLength(9);
  });

  it('is for the addresses that it names, as far as trusted proxies tell of them', async () => {
    const { binary } = await newDocument();
    const { url } = await sign(doctor, `Binary/${binary}`, { 'allowed-ip': ['192.0.2.0/24', '2001:db8::/32'] });
    const from = async (address: string): Promise<number> => (await open(url, { headers: { 'x-forwarded-for': address } })).status;
    expect(await Promise.all(['192.0.2.77', '::ffff:192.0.2.77', '2001:db8:1::5', '192.0.3.1', '2001:db9::1', '203.0.113.9, 198.51.100.1', '198.51.100.1, 192.0.2.1', 'unknown'].map(from))).toEqual([200, 200, 200, 403, 403, 403, 200, 403]);
    expect((await open(url)).status).toBe(403);
  });

  it('opens what its owner may read at that moment: not a deleted document, not with a role that lost its right', async () => {
    const { id, binary } = await newDocument();
    const urls = [(await sign(doctor, `DocumentReference/${id}`)), (await sign(admin, `DocumentReference/${id}`)), (await sign(admin, `Binary/${binary}`))];
    for (const { url } of urls) expect((await open(url)).status).toBe(200);
    const { grant } = urls[0] as Signed;
    await server.sql(`update access_grant set principal = replace(principal, '"practitioner"', '"read-only"') where id = $1`, [grant]);
    expect((await open(urls[0]?.url ?? '')).status).toBe(403);
    expect((await admin.delete(`DocumentReference/${id}`)).status).toBe(204);
    expect((await open(urls[1]?.url ?? '')).status).toBe(410);
    expect((await admin.delete(`Binary/${binary}`)).status).toBe(204);
    expect((await open(urls[2]?.url ?? '')).status).toBe(410);
  });

  it('follows its document: after new bytes it shows those', async () => {
    const { id } = await newDocument();
    const { url } = await sign(doctor, `DocumentReference/${id}`);
    const { json } = await doctor.get(`DocumentReference/${id}`);
    json.content = [{ attachment: { contentType: 'text/plain', data: Buffer.from('corrected').toString('base64') } }];
    expect((await doctor.put(`DocumentReference/${id}`, json)).status).toBe(200);
    expect((await open(url)).text).toBe('corrected');
  });

  it('is verified by the newest key and the one before, on every server of the database', async () => {
    const { binary } = await newDocument();
    const old = await sign(doctor, `Binary/${binary}`);
    const database = { query: async ({ text, values }: any) => ({ rows: await server.sql(text, values), rowCount: 0 }) } as any;
    expect(await addGrantKey(database, Date.now())).toBe(2);
    expect(await addGrantKey(database, Date.now())).toBeUndefined();
    const second = await server.startSecond();
    try {
      const elsewhere = fhirClient(second.fhirBase, await second.token());
      const there = await sign(elsewhere, `Binary/${binary}`);
      const here = (url: string): string => url.replace(/^.*\/files\//, `${server.fhirBase.replace(/fhir$/, 'files')}/`);
      expect([(await open(here(there.url))).status, (await open(old.url)).status]).toEqual([200, 200]);
      expect(await addGrantKey(database, Date.now() + 2 * 3_600_000)).toBe(3);
    } finally { await second.stop(); }
  });
});

describe('a signed URL for PUT', () => {
  it('takes bytes once, which are the next version of the Binary by its owner, with nothing else than the method told', async () => {
    const id = await newBinary();
    const { url, grant } = await sign(doctor, `Binary/${id}`, { method: 'PUT' });
    expect((await open(url)).status).toBe(403);
    const requestId = randomUUID();
    const answer = await put(url, 'from a device', { 'x-request-id': requestId });
    expect([answer.status, answer.text, answer.headers.get('location')]).toEqual([200, '', `${server.fhirBase}/Binary/${id}/_history/2`]);
    expect((await doctor.get(`Binary/${id}`)).text).toBe('from a device');
    expect((await put(url, 'again')).status).toBe(410);
    const [event] = await admin.auditOf(requestId);
    const user = event.agent.find(({ requestor }: any) => requestor === true);
    expect([event.subtype[0].code, user.who.reference, user.policy]).toEqual(['update', 'Practitioner/doctor', [`urn:uuid:${grant}`]]);
    const provenance = await doctor.get(`Provenance?target=Binary/${id}/_history/2`);
    expect(JSON.stringify(provenance.json)).toContain('Practitioner/doctor');
  });

  it('makes a Binary under an id that is new, and at a document one in its security context', async () => {
    const fresh = `scan-${randomUUID()}`;
    expect((await put((await sign(doctor, `Binary/${fresh}`, { method: 'PUT' })).url, 'new')).status).toBe(201);
    expect((await doctor.get(`Binary/${fresh}`)).text).toBe('new');
    const { id } = await newDocument();
    const { url } = await sign(doctor, `DocumentReference/${id}`, { method: 'PUT' });
    const answer = await put(url, 'second page', { 'x-security-context': 'Patient/another' });
    const binary = /Binary\/([^/]+)\/_history\/1$/.exec(answer.headers.get('location') ?? '')?.[1] ?? '';
    expect(answer.status).toBe(201);
    const kept = await doctor.get(`Binary/${binary}`, { accept: 'application/fhir+json' });
    expect(kept.json.securityContext.reference).toBe(`DocumentReference/${id}`);
  });

  it('takes nothing but what was agreed, and can be tried again after a refusal', async () => {
    const bytes = Buffer.from('exactly these');
    const agreed = { 'method': 'PUT', 'content-type': 'text/plain', 'size': bytes.length, 'sha-256': createHash('sha256').update(bytes).digest('hex') };
    const fresh = `scan-${randomUUID()}`;
    const { url } = await sign(doctor, `Binary/${fresh}`, agreed);
    const wrong: [number, string, Promise<Answer>][] = [
      [400, 'digest-mismatch', put(url, 'exactly those')], [422, 'claim-mismatch', put(url, 'exactly these, and more')], [422, 'claim-mismatch', put(url, 'less')],
      [415, 'media-type', put(url, bytes, { 'content-type': 'application/pdf' })], [415, 'media-type', put(url, bytes, { 'content-type': 'application/fhir+json' })],
      [400, 'digest-mismatch', put(url, bytes, { 'repr-digest': `sha-256=:${createHash('sha256').update('x').digest('base64')}:` })],
      [400, 'invalid-parameter', put(url, bytes, { 'x-provenance': JSON.stringify({ resourceType: 'Provenance', target: [{ reference: `Binary/${fresh}` }], recorded: '2024-01-01T00:00:00Z', agent: [{ who: { display: 'x' } }] }) })],
    ];
    for (const [status, code, answer] of wrong) expect([(await answer).status, (await answer).json?.code]).toEqual([status, code]);
    expect((await doctor.get(`Binary/${fresh}`)).status).toBe(404);
    expect((await put(url, bytes, { 'content-type': 'text/plain; charset=utf-8' })).status).toBe(201);
    const kept = await doctor.get(`Binary/${fresh}`);
    expect([kept.text, kept.headers.get('content-type')]).toEqual([bytes.toString(), 'text/plain; charset=utf-8']);
  });

  it('is won by one of many that come at once', async () => {
    const { url } = await sign(doctor, `DocumentReference/${(await newDocument()).id}`, { method: 'PUT' });
    const statuses = (await Promise.all(Array.from({ length: 6 }, (_, at) => put(url, `page ${at}`)))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([201, 410, 410, 410, 410, 410]);
  });

  it('is 409 where a document uses the bytes, 403 for who may not write, and 404 for a patient’s new id', async () => {
    const { binary } = await newDocument();
    const asPut = async (client: FhirClient, path: string): Promise<number> => (await client.post(`${path}/$signed-url`, parametersOf({ method: 'PUT' }))).status;
    expect(await asPut(doctor, `Binary/${binary}`)).toBe(409);
    expect(await asPut(fhirClient(server.fhirBase, await server.token({ scope: 'user/*.rs' })), `Binary/${await newBinary()}`)).toBe(403);
    const patient = fhirClient(server.fhirBase, await server.token({ scope: 'patient/*.cruds', patient: 'p1', roles: [], user: 'Patient/p1' }));
    expect(await asPut(patient, `Binary/${randomUUID()}`)).toBe(404);
    expect(await asPut(doctor, 'DocumentReference/none')).toBe(404);
  });
});

describe('$grants', () => {
  it('lists the caller’s own, with their limits and uses, and never a URL', async () => {
    const own = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/lister' }));
    const { binary } = await newDocument(own);
    const { grant, url } = await sign(own, `Binary/${binary}`, { 'uses': 4, 'allowed-ip': ['127.0.0.1', '::1'] });
    expect((await open(url)).status).toBe(200);
    await sign(own, `Binary/${binary}`);
    const { json, text } = await own.get('$grants');
    expect(json.parameter).toHaveLength(2);
    const parts = json.parameter[1].part.map(({ name, ...value }: any) => [name, Object.values(value)[0]]);
    expect(parts).toEqual(expect.arrayContaining([['grant', grant], ['resource', { reference: `Binary/${binary}` }], ['method', 'GET'], ['uses', 4], ['used', 1], ['allowed-ip', '127.0.0.1'], ['allowed-ip', '::1']]));
    expect(text).not.toContain('/files/');
    expect((await fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/nobody' })).get('$grants')).json.parameter).toBeUndefined();
  });
});
