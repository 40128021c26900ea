// Forms of POST /graphql with several files: they come in any order, and of a form that breaks nothing is kept.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let root: string;
let admin: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  root = server.fhirBase.replace(/\/fhir$/, '');
  admin = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const PDF = Buffer.from(`%PDF-1.4\n${'annual check-up '.repeat(20)}\n%%EOF`);
const hex = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const TWO = 'mutation ($a: Upload!, $b: Upload!, $type: String = "application/pdf") { a: uploadFile(data: $a, filename: "a.pdf", contentType: "application/pdf") { id hashSha256 } b: uploadFile(data: $b, filename: "b.pdf", contentType: $type) { hashSha256 } }';
const operations = { query: TWO, variables: { a: null, b: null } };
const map = { 0: ['variables.a'], 1: ['variables.b'] };
const other = Buffer.from('%PDF-1.4 other');
const large = Buffer.concat([other, randomBytes(6_000_000)]);

type Files = readonly (readonly [string, Buffer])[];

async function encoded(files: Files, asked: unknown = operations): Promise<{ body: Buffer; type: string }> {
  const data = new FormData();
  data.append('operations', JSON.stringify(asked));
  data.append('map', JSON.stringify(map));
  for (const [field, bytes] of files) data.append(field, new Blob([new Uint8Array(bytes)], { type: 'application/pdf' }), `${field}.pdf`);
  const request = new Request('http://localhost', { method: 'POST', body: data });
  return { body: Buffer.from(await request.arrayBuffer()), type: request.headers.get('content-type') ?? '' };
}
const send = (body: Buffer, type: string, requestId: string = randomUUID(), client = admin): Promise<Answer> => client.call(`${root}/graphql`, { method: 'POST', body, headers: { 'content-type': type, 'x-request-id': requestId } });
const form = async (files: Files, asked: unknown = operations, requestId?: string, client = admin): Promise<Answer> => {
  const { body, type } = await encoded(files, asked);
  return send(body, type, requestId, client);
};
/** Contents that are more than litter. */
const kept = async (): Promise<number> => (await server.sql(`select 1 from content where state not in ('condemned', 'gone')`)).length;

describe('a form with several files', () => {
  it('that lacks one, has one twice or one that nobody asked for is 400, and nothing is kept of the others', async () => {
    const before = await kept();
    const wrong: Files[] = [[['0', PDF]], [['0', large], ['0', PDF]], [['0', PDF], ['9', other]], [['0', large], ['9', other]]];
    for (const files of wrong) {
      const answer = await form(files);
      expect([answer.status, answer.json.code]).toEqual([400, 'malformed-form']);
    }
    expect(await kept()).toBe(before);
  });

  it('that breaks in its last one, wherever, leaves nothing of those before, and one event', async () => {
    const { body, type } = await encoded([['0', large], ['1', other]]);
    const before = await kept();
    for (const cut of [6, 40, other.length + 100]) {
      const requestId = randomUUID();
      const { status, json } = await send(body.subarray(0, -cut), type, requestId);
      expect([cut, status, json.code, (await admin.auditOf(requestId)).length]).toEqual([cut, 400, 'malformed-form', 1]);
    }
    expect(await kept()).toBe(before);
  });

  it('of which one is refused has null for it, and tells the others beside it', async () => {
    const before = await kept();
    const { json } = await form([['0', PDF], ['1', other]], { query: TWO, variables: { a: null, b: null, type: 'image/png' } });
    expect(json).toMatchObject({ data: { a: { hashSha256: hex(PDF) }, b: null }, errors: [{ path: ['b'], extensions: { code: 'media-type', status: 415 } }] });
    expect(await kept()).toBe(before + 1);
  });

  it('takes them in any order, large and small, and leaves nothing of where they waited', async () => {
    const [before, requestId] = [await kept(), randomUUID()];
    const { json } = await form([['1', large], ['0', PDF]], operations, requestId);
    expect(json).toMatchObject({ data: { a: { hashSha256: hex(PDF) }, b: { hashSha256: hex(large) } } });
    expect(await kept()).toBe(before + 2);
    expect((await admin.auditOf(requestId)).map(({ action }: { action: string }) => action).sort()).toEqual(['C', 'C', 'E']);
    expect((await admin.get(`Binary/${json.data.a.id}`)).bytes.equals(PDF)).toBe(true);
  });

  it('of somebody who may not upload is 403 before they come', async () => {
    const reader = fhirClient(server.fhirBase, await server.token({ roles: ['read-only'] }));
    expect(await form([['0', PDF], ['1', other]], operations, undefined, reader)).toMatchObject({ status: 403, json: { code: 'forbidden' } });
  });
});
