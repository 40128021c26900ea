// X-Provenance over HTTP: joined with ours, refused before anything is written, and never instead of what the server knows.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- rendered resources */

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/real' }));
});
afterAll(() => server.stop());

const said = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  resourceType: 'Provenance', recorded: '2026-01-02T03:04:05Z', agent: [{ type: { text: 'scribe' }, who: { reference: `${server.fhirBase}/Practitioner/scribe` } }],
  entity: [{ role: 'source', what: { reference: 'DocumentReference/draft/_history/2' } }], ...changes,
});
const header = (changes?: Record<string, unknown>): Record<string, string> => ({ 'x-provenance': JSON.stringify(said(changes)) });
const found = async (query: string): Promise<any[]> => ((await client.get(`Provenance?${query}`)).json.entry ?? []).map(({ resource }: any) => resource);
const agents = (provenance: any): string[] => provenance.agent.flatMap(({ who }: any) => who.reference ?? []);

/** The one full Provenance of a version. */
async function ofVersion(id: string, version: number): Promise<any> {
  const full = (await found(`target=DocumentReference/${id}/_history/${version}`)).filter(({ activity }) => activity.coding.some(({ code }: any) => ['CREATE', 'UPDATE', 'DELETE'].includes(code)));
  expect(full).toHaveLength(1);
  return full[0];
}

describe('X-Provenance', () => {
  it('of create, update, patch and delete is joined with the Provenance of the version, after what the server knows', async () => {
    const created = await client.post('DocumentReference', documentReference(), header());
    expect(created.status).toBe(201);
    const { id } = created.json;
    await client.put(`DocumentReference/${id}`, { ...created.json, description: 'two' }, header({ target: [{ reference: `DocumentReference/${id}` }] }));
    await client.call(`DocumentReference/${id}`, { method: 'PATCH', body: '[{"op":"add","path":"/language","value":"en"}]', headers: { ...header(), 'content-type': 'application/json-patch+json' } });
    for (const version of [1, 2, 3]) {
      const provenance = await ofVersion(id, version);
      expect(agents(provenance)[0]).toBe('Practitioner/real');
      expect(provenance.agent.find(({ who }: any) => who.reference === 'Practitioner/scribe').extension).toEqual([{ url: `https://muniment.example/fhir/StructureDefinition/asserted`, valueBoolean: true }]);
      expect(provenance.recorded).not.toBe('2026-01-02T03:04:05Z');
      expect(provenance.entity.at(-1).what.reference).toBe('DocumentReference/draft/_history/2');
    }
    await client.call(`DocumentReference/${id}`, { method: 'DELETE', headers: header() });
    const [deletion] = (await found(`target=DocumentReference/${id}`)).filter(({ activity }) => activity.coding[0].code === 'DELETE');
    expect(agents(deletion)).toContain('Practitioner/scribe');
  });

  it('is found by the agent and the entity that it names', async () => {
    const id = randomUUID();
    const { json } = await client.post('DocumentReference', documentReference(), header({ agent: [{ who: { reference: `Device/${id}` } }], entity: [{ role: 'derivation', what: { reference: `Media/${id}/_history/7` } }] }));
    for (const query of [`agent=Device/${id}`, `entity=Media/${id}`, `entity=Media/${id}/_history/7`]) {
      expect([query, (await found(query)).map(({ target }) => target[0].reference)]).toEqual([query, [`DocumentReference/${json.id}/_history/1`]]);
    }
    expect(await found(`entity=Media/${id}/_history/8`)).toEqual([]);
  });

  it('of bytes is joined as well, and in UTF-8', async () => {
    const text = Buffer.from(JSON.stringify(said({ agent: [{ who: { display: 'Łukasz' } }] })), 'utf8').toString('latin1');
    const { json } = await client.post('Binary', `x ${randomUUID()}`, { 'content-type': 'text/plain', 'x-provenance': text });
    expect(JSON.stringify(await found(`target=Binary/${json.id}`))).toContain('"display":"Łukasz"');
  });

  it.each<[string, () => string, number, string]>([
    ['what is no JSON', () => '<Provenance/>', 400, 'invalid-parameter'],
    ['another resource', () => JSON.stringify({ resourceType: 'Patient' }), 400, 'invalid-parameter'],
    ['another target', () => JSON.stringify(said({ target: [{ reference: 'DocumentReference/other' }] })), 400, 'invalid-parameter'],
    ['an element that R4 does not have', () => JSON.stringify(said({ agent: [{ whom: 1 }] })), 400, 'structure'],
    ['no agent', () => JSON.stringify(said({ agent: undefined })), 422, 'required'],
    ['a role outside its value set', () => JSON.stringify(said({ entity: [{ role: 'cause', what: { display: 'x' } }] })), 422, 'code-invalid'],
    ['contained resources', () => JSON.stringify(said({ contained: [{ resourceType: 'Device', id: 'd' }], agent: [{ who: { reference: '#d' } }] })), 422, 'business-rule'],
    ['more than it may have', () => JSON.stringify(said({ policy: ['urn:x:' + 'a'.repeat(16_384)] })), 400, 'too-long'],
  ])('with %s is refused, nothing is written, and the refusal is recorded', async (_title, text, status, code) => {
    const count = async (): Promise<unknown> => (await server.sql('select count(*) from resource'))[0];
    const before = await count();
    const requestId = randomUUID();
    const answer: Answer = await client.post('DocumentReference', documentReference(), { 'x-provenance': text(), 'x-request-id': requestId });
    expect([answer.status, answer.json.issue[0].details.coding[0].code]).toEqual([status, code]);
    expect(answer.json.issue[0].diagnostics).toContain('X-Provenance');
    expect(await count()).toEqual(before);
    expect((await client.auditOf(requestId)).map(({ outcome }) => outcome)).toEqual(['4']);
  });

  it('at a Bundle is refused, for it has no one target; at a read it says nothing', async () => {
    const bundle = { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: 'DocumentReference?_count=1' } }] };
    expect((await client.post('', bundle, header())).status).toBe(400);
    expect((await client.get('DocumentReference?_count=1', header())).status).toBe(200);
  });

  it('is part of what an Idempotency-Key stands for', async () => {
    const key = randomUUID();
    const document = documentReference();
    const post = (more: Record<string, string>): Promise<Answer> => client.post('DocumentReference', document, { 'idempotency-key': key, ...more });
    expect([(await post(header())).status, (await post(header())).status, (await post({})).status]).toEqual([201, 201, 422]);
  });

  it('that claims the words of the record itself is found as none of them', async () => {
    const id = randomUUID();
    await client.post('DocumentReference', documentReference(), header({ agent: [{ who: { identifier: { value: 'x' }, display: `"observer":"${id}" "role":"patient" "issuer":"${id}"` } }] }));
    expect(await found(`agent:identifier=${id}|&recorded=ge2020`)).toEqual([]);
  });
});
