// Whose bytes are whose: a Binary is read through a document, by its creator, or not at all.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let writer: FhirClient;
let colleague: FhirClient;
let foreigner: FhirClient;

const as = async (options: TokenOptions): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], ...options }));

beforeAll(async () => {
  server = await startMuniment();
  writer = await as({ user: 'Practitioner/writer' });
  colleague = await as({ user: 'Practitioner/colleague' });
  foreigner = await as({ user: 'Practitioner/writer', org: 'elsewhere' });
});
afterAll(() => server.stop());

const upload = (client: FhirClient, body: string, headers: Record<string, string> = {}): Promise<Answer> => client.post('Binary', body, { 'content-type': 'text/plain', ...headers });
const linked = (url: string, more: Record<string, unknown> = {}): Record<string, unknown> => documentReference({ content: [{ attachment: { contentType: 'text/plain', url, ...more } }] });

/** Every way to ask for the bytes. */
async function asked(client: FhirClient, id: string, tag = '"x"'): Promise<number[]> {
  const answers = await Promise.all([
    client.get(`Binary/${id}`), client.call(`Binary/${id}`, { method: 'HEAD' }), client.get(`Binary/${id}`, { range: 'bytes=0-1' }),
    client.get(`Binary/${id}`, { accept: 'application/fhir+json' }), client.get(`Binary/${id}`, { 'if-none-match': tag }),
  ]);
  return answers.map((answer) => answer.status);
}

describe('a Binary that no document uses', () => {
  it('is there for its creator, and unknown to a colleague, another client and another organisation, however they ask', async () => {
    const { json, headers } = await upload(writer, 'orphan');
    const { headers: raw } = await writer.get(`Binary/${json.id}`);
    expect(headers.get('location')).toBe(`${server.fhirBase}/Binary/${json.id}/_history/1`);
    expect(await asked(writer, json.id, raw.get('etag') ?? '')).toEqual([200, 200, 206, 200, 304]);
    const otherClient = await as({ user: 'Practitioner/writer', client: 'another-app' });
    for (const client of [colleague, foreigner, otherClient]) expect(await asked(client, json.id, raw.get('etag') ?? '')).toEqual([404, 404, 404, 404, 404]);
  });

  it('is seen by a system client and an administrator of its organisation, not of another', async () => {
    const { json } = await upload(writer, 'orphan');
    expect((await (await as({ scope: 'system/*.cruds', roles: [], client: 'backend' })).get(`Binary/${json.id}`)).status).toBe(200);
    expect((await (await as({ user: 'Practitioner/boss', roles: ['admin'] })).get(`Binary/${json.id}`)).status).toBe(200);
    expect((await (await as({ scope: 'system/*.cruds', roles: [], client: 'backend', org: 'elsewhere' })).get(`Binary/${json.id}`)).status).toBe(404);
  });
});

describe('linking', () => {
  it('takes the writer’s own Binary in any local form, makes its url absolute, and tells size and digests', async () => {
    const { json } = await upload(writer, 'mine');
    for (const url of [`Binary/${json.id}`, `${server.fhirBase}/Binary/${json.id}`]) {
      const made = await writer.post('DocumentReference', linked(url));
      expect(made.status).toBe(201);
      expect(made.json.content[0].attachment).toMatchObject({ url: `${server.fhirBase}/Binary/${json.id}`, size: 4, hash: createHash('sha1').update('mine').digest('base64') });
    }
    expect((await colleague.get(`Binary/${json.id}`)).text).toBe('mine');
  });

  it('tells the media type of the Binary where the attachment has none, and leaves one that it has', async () => {
    const { json } = await upload(writer, 'mine');
    const typeOf = async (more: object): Promise<string> => (await writer.post('DocumentReference', documentReference({ content: [{ attachment: { url: `Binary/${json.id}`, ...more } }] }))).json.content[0].attachment.contentType;
    expect([await typeOf({}), await typeOf({ contentType: 'text/markdown' })]).toEqual(['text/plain', 'text/markdown']);
  });

  it('unknown, foreign and hidden Binaries are the same 422, a version and a path below one too, and nothing is kept', async () => {
    const { json: hidden } = await upload(colleague, 'theirs');
    const { json: foreign } = await upload(foreigner, 'theirs');
    const { json: own } = await upload(writer, 'mine');
    const answers: string[] = [];
    for (const url of [`Binary/${randomUUID()}`, `Binary/${hidden.id}`, `Binary/${foreign.id}`, `Binary/${own.id}/_history/1`, `${server.fhirBase}/Binary/${hidden.id}`, `${server.fhirBase}/Binary/`]) {
      const id = randomUUID();
      const refused = await writer.put(`DocumentReference/${id}`, { ...linked(url), id });
      answers.push(`${refused.status} ${refused.json.issue[0].details.coding[0].code} ${refused.json.issue[0].expression[0]} ${refused.json.issue[0].diagnostics}`);
      expect((await writer.get(`DocumentReference/${id}`)).status).toBe(404);
    }
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^422 unknown-binary DocumentReference\.content\[0\]\.attachment\.url /);
    expect((await colleague.get(`Binary/${hidden.id}`)).status).toBe(200);
    expect((await writer.get(`Binary/${hidden.id}`)).status).toBe(404);
  });

  it('a claim that the linked bytes do not bear out is 422 at its place', async () => {
    const { json } = await upload(writer, 'mine');
    for (const [claim, place] of [[{ size: 5 }, 'size'], [{ hash: createHash('sha1').update('x').digest('base64') }, 'hash']] as const) {
      const refused = await writer.post('DocumentReference', linked(`Binary/${json.id}`, claim));
      expect([refused.status, refused.json.issue[0].expression[0]]).toEqual([422, `DocumentReference.content[0].attachment.${place}`]);
    }
    expect((await writer.post('DocumentReference', linked(`Binary/${json.id}`, { size: 4, hash: createHash('sha1').update('mine').digest('base64') }))).status).toBe(201);
  });

  it('new inline bytes are never taken for old ones by their SHA-1 alone', async () => {
    const [old, fresh] = ['old bytes', 'new bytes'];
    const inline = (text: string): Record<string, unknown>[] => [{ attachment: { contentType: 'text/plain', data: Buffer.from(text).toString('base64') } }];
    const { json } = await writer.post('DocumentReference', documentReference({ content: inline(old) }));
    const sha1 = (text: string): string => createHash('sha1').update(text).digest('base64');
    // As if somebody had made the two collide.
    await server.sql('update resource set body = replace(body, $2, $3) where id = $1', [json.id, sha1(old), sha1(fresh)]);
    const updated = await writer.put(`DocumentReference/${json.id}`, { ...documentReference({ content: inline(fresh), subject: json.subject }), id: json.id });
    expect(updated.status).toBe(200);
    expect((await writer.get(updated.json.content[0].attachment.url)).text).toBe(fresh);
  });

  it('an address elsewhere is kept as it came, and nobody calls it', async () => {
    const url = 'http://169.254.169.254/latest/meta-data/';
    const made = await writer.post('DocumentReference', linked(url));
    expect([made.status, made.json.content[0].attachment]).toEqual([201, { contentType: 'text/plain', url }]);
  });
});

describe('what a scope opens', () => {
  it('the right to read documents is enough to read their bytes; the right to read Binary alone, or other documents, is not', async () => {
    const { json } = await writer.post('DocumentReference', documentReference());
    const url: string = json.content[0].attachment.url;
    expect((await (await as({ user: 'Practitioner/a', scope: 'user/DocumentReference.rs' })).get(url)).status).toBe(200);
    expect((await (await as({ user: 'Practitioner/b', scope: 'user/Media.rs' })).get(url)).status).toBe(404);
    expect((await (await as({ user: 'Practitioner/c', scope: 'user/Binary.r' })).get(url)).status).toBe(404);
    expect((await (await as({ user: 'Practitioner/d', scope: 'user/Observation.rs' })).get(url)).status).toBe(403);
    const picture = await writer.post('Media', media());
    expect((await (await as({ user: 'Practitioner/b', scope: 'user/Media.rs' })).get(picture.json.content.url)).status).toBe(200);
  });

  it('a Binary that no document uses is not found by the right to read documents', async () => {
    const { json } = await upload(writer, 'orphan');
    expect((await (await as({ user: 'Practitioner/a', scope: 'user/DocumentReference.rs' })).get(`Binary/${json.id}`)).status).toBe(404);
  });
});

describe('a security context', () => {
  it('decides alone: who may read it may read the bytes, and after its deletion nobody', async () => {
    const owner = await writer.post('DocumentReference', linked('https://elsewhere.example/x'));
    const reference = `DocumentReference/${owner.json.id}`;
    const { json } = await upload(writer, 'bound', { 'x-security-context': reference });
    const read = await colleague.get(`Binary/${json.id}`);
    expect([read.status, read.headers.get('x-security-context')]).toEqual([200, reference]);
    expect((await colleague.get(`Binary/${json.id}`, { accept: 'application/fhir+json' })).json.securityContext).toEqual({ reference });
    await (await as({ roles: ['admin'] })).delete(reference);
    expect((await colleague.get(`Binary/${json.id}`)).status).toBe(404);
  });

  it('that is unknown or elsewhere is 422; a header that differs from the element is 400', async () => {
    expect((await upload(writer, 'x', { 'x-security-context': `DocumentReference/${randomUUID()}` })).status).toBe(422);
    expect((await upload(writer, 'x', { 'x-security-context': 'https://elsewhere.example/fhir/Patient/1' })).status).toBe(422);
    const both = await writer.call('Binary', { method: 'POST', body: { resourceType: 'Binary', contentType: 'text/plain', securityContext: { reference: 'Patient/1' }, data: 'aGk=' }, headers: { 'x-security-context': 'Patient/2' } });
    expect(both.status).toBe(400);
  });
});

describe('after a deletion', () => {
  it('the bytes stay readable through the older version, and are named with its document in the record', async () => {
    const { json } = await writer.post('DocumentReference', documentReference());
    await (await as({ roles: ['admin'] })).delete(`DocumentReference/${json.id}`);
    const requestId = randomUUID();
    const read = await colleague.get(json.content[0].attachment.url, { 'x-request-id': requestId });
    expect([read.status, read.text]).toEqual([200, 'A short note.']);
    const [event] = await (await as({ roles: ['admin'] })).auditOf(requestId);
    const references = event.entity.flatMap((entity: { what?: { reference?: string } }) => entity.what?.reference ?? []);
    expect(references).toEqual(expect.arrayContaining([json.subject.reference, `DocumentReference/${json.id}/_history/1`, `Binary/${json.content[0].attachment.url.split('/').at(-1)}/_history/1`]));
  });
});
