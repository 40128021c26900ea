// Searches, paths and formats that nobody means well, over HTTP: a 4xx with an OperationOutcome, or the right answer to what
// was asked, never a failure of the server; and afterwards it is as it was.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { exchange, requestHead } from '../support/raw-http.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let token: string;
let kept: string;

beforeAll(async () => {
  server = await startMuniment();
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
  kept = (await client.post('DocumentReference', documentReference())).json.id;
});
afterAll(() => server.stop());

const rows = async (): Promise<string> => JSON.stringify(await server.sql('select type, count(*)::int as n, max(version) as v from resource group by type order by type'));

/** A 2xx of FHIR, or a 4xx with an OperationOutcome that shows nothing of the inside. */
function answered(answer: Answer): void {
  expect(answer.status).toBeLessThan(500);
  if (answer.status < 300) return;
  expect([answer.status, answer.json?.resourceType]).toEqual([answer.status, 'OperationOutcome']);
  expect(answer.text).not.toMatch(/syntax error|pg_|select .* from|\bat .*\.[jt]s:\d+/i);
}

/** Half surrogate pairs cannot travel in a URL. */
const encoded = (text: string): string => encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'));

const METACHARACTERS = ["'", "''", '";--', "' or '1'='1", '%', '_', '\\', '\\\\', '$1', '{}', '}', '(', ')', '*', '\u0000', '\u0001', "x'); drop table resource; --", '|', '||', ',', '$', ':'];

describe('in searches', () => {
  it('metacharacters of SQL mean nothing in any declared parameter of any type', async () => {
    const before = await rows();
    for (const [type, parameters] of Object.entries(SEARCH_PARAMETERS)) {
      for (const [at, parameter] of parameters.entries()) {
        for (const text of [METACHARACTERS[at % METACHARACTERS.length] as string, METACHARACTERS[(at * 7 + 3) % METACHARACTERS.length] as string]) {
          answered(await client.get(`${type}?${parameter.name}=${encodeURIComponent(text)}`));
          answered(await client.get(`${type}?${parameter.name}:${encodeURIComponent(text)}=x`));
        }
      }
    }
    expect(await rows()).toBe(before);
  });

  it.each([
    ['_count=-1', 400], ['_count=x', 400], ['_count=99999999999999999999', 400], ['date=2020-13-01', 400], ['date=ge', 400], ['status:foo=x', 400], ['_total=most', 400],
    ['_sort=;drop', 200], ['_id=..', 200], ['subject=../../etc/passwd', 200], ['_cursor=x.y', 400], ['_summary=all', 400], ['_include=:::', 200], ['_has:x=y', 400],
  ])('%s is %d', async (query, status) => {
    const answer = await client.get(`DocumentReference?${query}`);
    expect([query, answer.status, answer.text.slice(0, answer.status === status ? 0 : 300)]).toEqual([query, status, '']);
    answered(answer);
  });

  it('a list of 10,000 alternatives is refused by GET and by POST', async () => {
    const list = Array.from({ length: 10_000 }, (_, at) => at).join(',');
    const get = await client.get(`DocumentReference?_id=${list}`);
    expect([get.status, get.json.resourceType]).toEqual([431, 'OperationOutcome']);
    const post = await client.call('DocumentReference/_search', { method: 'POST', body: `_id=${list}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect([post.status, post.json.resourceType]).toEqual([413, 'OperationOutcome']);
    const short = await client.call('DocumentReference/_search', { method: 'POST', body: `_id=${Array.from({ length: 1_100 }, (_, at) => at).join(',')}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect([short.status, short.json.issue[0].code]).toEqual([400, 'too-costly']);
  });

  it.each(['a\u000cb', 'a\u0007', '\u007f', '\ufffe'])('a note that quotes a name with what XML cannot hold is one of both formats', async (name) => {
    for (const format of ['json', 'xml']) {
      const answer = await client.call(`Media/_search?_format=${format}`, { method: 'POST', body: `${encoded(name)}=1`, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
      expect([answer.status, answer.text.includes(`left out: ${name.replace(/[^a-z]/g, '\ufffd')}`)]).toEqual([200, true]);
    }
  });

  it('a URL of 8 KB is understood', async () => {
    const answer = await client.get(`DocumentReference?_id=${kept},${'x'.repeat(8_000)}`);
    answered(answer);
    expect(answer.status).toBeLessThan(414);
  });

  it('anything at all has an answer', async () => {
    const names = Object.values(SEARCH_PARAMETERS).flatMap((parameters) => parameters.map(({ name }) => name));
    const query = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...names, '_sort', '_count', '_include', '_revinclude', '_has', '_elements', '_summary', '_format'), fc.string({ unit: 'binary', maxLength: 12 })), fc.constantFrom('', ':not', ':missing', ':exact', ':text', ':x', ':identifier'), fc.string({ unit: 'binary', maxLength: 30 })), { maxLength: 4 });
    await fc.assert(fc.asyncProperty(fc.constantFrom('DocumentReference', 'Media', 'List', 'AuditEvent', 'Provenance'), query, fc.constantFrom('json', 'xml'), fc.boolean(), async (type, pairs, format, posted) => {
      const text = pairs.map(([name, modifier, value]) => `${encoded(name + modifier)}=${encoded(value)}`).join('&');
      const headers = { accept: `application/fhir+${format}` };
      const answer = posted
        ? await client.call(`${type}/_search`, { method: 'POST', body: text, headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' } })
        : await client.call(`${type}?${text}`, { headers });
      expect(answer.status).toBeLessThan(500);
    }), { numRuns: 300 });
  });
});

describe('in paths', () => {
  it.each(['/fhir/DocumentReference/.', '/fhir/DocumentReference/..', '/fhir/DocumentReference/%2e%2e', '/fhir/DocumentReference/%00', '/fhir/DocumentReference/%E0%A4%A', '/fhir/../etc/passwd', '/fhir/DocumentReference/a%2Fb', '/fhir//DocumentReference//x', `/fhir/DocumentReference/${'a'.repeat(65)}`, '/fhir/DocumentReference/x/_history/..'])('%s is a 4xx with an OperationOutcome', async (path) => {
    const answer = await exchange(server.fhirBase, requestHead('GET', path, [['Authorization', `Bearer ${token}`], ['Connection', 'close']]));
    expect([path, Math.floor(answer.status / 100)]).toEqual([path, 4]);
    expect(answer.body).toContain('OperationOutcome');
  });
});

describe('in XML', () => {
  const document = (inner: string, head = ''): string => `${head}<DocumentReference xmlns="http://hl7.org/fhir">${inner}</DocumentReference>`;
  const content = '<content><attachment><title value="x"/></attachment></content>';
  it.each([
    ['a DOCTYPE', document(`<status value="current"/>${content}`, '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>')],
    ['an unknown entity', document('<status value="&e;"/>')],
    ['another namespace', '<DocumentReference xmlns="urn:other"><status value="current"/></DocumentReference>'],
    ['no namespace', '<DocumentReference><status value="current"/></DocumentReference>'],
    ['elements out of order', document(`${content}<status value="current"/>`)],
    ['a prefix that is not bound', `<f:DocumentReference><f:status value="current"/></f:DocumentReference>`],
    ['an early end', document('<status value="cur').slice(0, 60)],
    ['text between elements', document(`words<status value="current"/>${content}`)],
    ['many levels', document(`${'<extension url="x">'.repeat(200)}${'</extension>'.repeat(200)}`)],
    ['an attribute twice', document(`<status value="current" value="current"/>${content}`)],
  ])('%s is 400 and keeps nothing', async (_what, body) => {
    const before = await rows();
    const answer = await client.call('DocumentReference', { method: 'POST', body, headers: { 'content-type': 'application/fhir+xml' } });
    expect([answer.status, answer.json?.resourceType]).toEqual([400, 'OperationOutcome']);
    expect(await rows()).toBe(before);
  });
});

it('after all of that the server answers as before', async () => {
  expect((await client.get(`DocumentReference/${kept}`)).json.meta.versionId).toBe('1');
  expect((await client.get('DocumentReference?_summary=count')).json.total).toBe(1);
});
