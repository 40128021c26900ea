// Broken and hostile forms on every way in that takes one: a problem document, one record at least, and nothing half kept.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let root: string;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  root = new URL(server.fhirBase).origin;
});
afterAll(() => server.stop());

/** Path, the field of its file, and fields that make the form whole. */
const WAYS: [string, string, Record<string, string>][] = [
  ['/documents', 'file', { patient_id: 'p1' }],
  ['/documents/upload', 'file', { patient_id: 'p1' }],
  ['/documents/bulk', 'files', { patient_id: 'p1' }],
  ['/documents/bulk?mode=batch', 'files', { patient_id: 'p1' }],
  ['/api/medical-records', 'attachment_files', { appointment_id: '7', patient_id: 'p1' }],
  ['/api/patients/p1/files', 'file', {}],
  ['/graphql', '0', { operations: JSON.stringify({ query: 'mutation($f: Upload!) { uploadFile(data: $f, filename: "a.txt", contentType: "text/plain") { id } }', variables: { f: null } }), map: '{"0":["variables.f"]}' }],
];

const FORM = 'multipart/form-data; boundary=b';
const part = (disposition: string, value: string): string => `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${value}\r\n`;
const file = (field: string, name = 'a.txt'): string => `--b\r\nContent-Disposition: form-data; name="${field}"; filename="${name}"\r\nContent-Type: text/plain\r\n\r\nhello\r\n`;
const whole = (fields: Record<string, string>): string => Object.entries(fields).map(([name, value]) => part(`name="${name}"`, value)).join('');

const post = (path: string, body: string | Buffer, headers: Record<string, string>): Promise<Answer> => client.call(`${root}${path}`, { method: 'POST', body, headers });
const kept = (): Promise<{ state: string; n: number }[]> => server.sql(`select state, count(*)::int as n from content where state <> 'condemned' and state <> 'gone' group by state order by state`);
const documents = async (): Promise<number> => ((await server.sql<{ n: number }>('select count(*)::int as n from resource'))[0] as { n: number }).n;

type Bad = (field: string, fields: Record<string, string>) => string;

describe.each<[string, Bad, string, RegExp]>([
  ['another boundary than announced', (field, fields) => `${whole(fields)}${file(field)}--b--\r\n`, 'multipart/form-data; boundary=other', /^malformed-form$/],
  ['no boundary', (field, fields) => `${whole(fields)}${file(field)}--b--\r\n`, 'multipart/form-data', /^malformed-form$/],
  ['an end within the file', (field, fields) => `${whole(fields)}${file(field).slice(0, -4)}`, FORM, /^malformed-form$/],
  ['an end behind the file', (field, fields) => `${whole(fields)}${file(field)}--b\r\nContent-Disposition: form-da`, FORM, /^malformed-form$/],
  ['10,000 fields', (field, fields) => `${Array.from({ length: 10_000 }, (_, at) => part(`name="f${at}"`, '')).join('')}${whole(fields)}${file(field)}--b--\r\n`, FORM, /^too-many-entries$/],
  ['10,000 files', (field, fields) => `${whole(fields)}${file(field).repeat(10_000)}--b--\r\n`, FORM, /^(?:too-many-entries|malformed-form)$/],
  ['the name of a field of 10,000 characters', (field, fields) => `${part(`name="${'n'.repeat(10_000)}"`, 'x')}${whole(fields)}${file(field)}--b--\r\n`, FORM, /^(?:too-long|malformed-form)$/],
  ['a form in a form', (field, fields) => `${whole(fields)}--b\r\nContent-Disposition: form-data; name="${field}"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n`, FORM, /./],
])('a form with %s', (_what, build, type, code) => {
  it.each(WAYS)('is refused at %s, recorded, and leaves nothing', async (path, field, fields) => {
    const [before, there] = [await kept(), await documents()];
    const requestId = randomUUID();
    const answer = await post(path, build(field, fields), { 'content-type': type, 'x-request-id': requestId });
    if (answer.status < 400) expect(code.source).toBe('.');
    else {
      expect([answer.headers.get('content-type'), answer.json.code]).toEqual(['application/problem+json', expect.stringMatching(code)]);
      expect(answer.status).toBeLessThan(500);
      expect([await documents(), await kept()]).toEqual([there, before]);
    }
    expect((await client.auditOf(requestId)).length).toBeGreaterThan(0);
  });
});

describe('names of files', () => {
  const uploads = WAYS.filter(([path]) => path.startsWith('/documents') && !path.includes('mode'));

  it.each(['a\u0001.txt', 'a\u007f.txt', 'a\u0085.txt'])('with the control character of %j are refused everywhere but where the name stands elsewhere', async (name) => {
    for (const [path, field, fields] of WAYS.filter(([one]) => one !== '/graphql' && !one.includes('batch'))) {
      const requestId = randomUUID();
      const answer = await post(path, `${whole(fields)}${file(field, name)}--b--\r\n`, { 'content-type': FORM, 'x-request-id': requestId });
      expect([path, answer.status, answer.json.code]).toEqual([path, 400, 'malformed-form']);
      expect((await client.auditOf(requestId)).length).toBeGreaterThan(0);
    }
  });

  it.each([['../../etc/passwd.txt', 'passwd.txt'], ['C:\\\\scans\\\\a.txt', 'a.txt'], ['invoice\u202Efdp.txt', 'invoicefdp.txt'], ['\u2066a\u2069.txt', 'a.txt']])('%j is stored as %j on every way in', async (sent, shown) => {
    for (const [path, field, fields] of uploads) {
      const { status, json } = await post(path, Buffer.from(`${whole(fields)}${file(field, sent)}--b--\r\n`), { 'content-type': FORM });
      expect([path, status, (json.files?.[0] ?? json).filename]).toEqual([path, 201, shown]);
    }
  });
});

describe('bodies that grow', () => {
  it.each(WAYS.filter(([path]) => path !== '/api/medical-records'))('a compressed form is not taken at %s', async (path, field, fields) => {
    const answer = await post(path, gzipSync(`${whole(fields)}${file(field)}--b--\r\n`), { 'content-type': FORM, 'content-encoding': 'gzip' });
    expect([answer.status, answer.json.code]).toEqual([415, 'media-type']);
  });

  it.each([['POST', '/api/medical-records', 'application/json'], ['POST', '/api/medical-records/$import-saved-state', 'application/json'], ['POST', '/graphql', 'application/json'], ['PUT', '/admin/policy', 'application/json']])('%s %s meets its limit while it unpacks 64 MiB out of 64 KiB', async (method, path, type) => {
    const requestId = randomUUID();
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
    expect(bomb.length).toBeLessThan(100_000);
    const answer = await client.call(`${root}${path}`, { method, body: bomb, headers: { 'content-type': type, 'content-encoding': 'gzip', 'x-request-id': requestId, 'if-match': '*' } });
    expect([answer.status, answer.json.code]).toEqual([413, 'too-long']);
    expect(await client.auditOf(requestId)).toHaveLength(1);
  });
});
