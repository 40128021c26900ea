import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const patient = (): { reference: string } => ({ reference: `Patient/${randomUUID()}` });
const related = (code: string, target: string): Record<string, unknown> => ({ relatesTo: [{ code, target: { reference: target } }] });
const problem = (answer: Answer): [number, string, string | undefined] => [answer.status, answer.json.issue[0].details.coding[0].code, answer.json.issue[0].expression?.[0]];
const state = async (path: string): Promise<[string, string]> => { const { json } = await client.get(path); return [json.status, json.meta.versionId]; };

async function made(overrides: Record<string, unknown> = {}): Promise<{ path: string; subject: { reference: string } }> {
  const subject = patient();
  const { json } = await client.post('DocumentReference', documentReference({ subject, ...overrides }));
  return { path: `DocumentReference/${json.id}`, subject };
}

describe('a document that replaces another', () => {
  it('supersedes it in the same transaction, and one AuditEvent and one Provenance name both', async () => {
    const { path, subject } = await made();
    const requestId = randomUUID();
    const created = await client.post('DocumentReference', documentReference({ subject, ...related('replaces', path) }), { 'x-request-id': requestId });
    expect(created.status).toBe(201);
    const replacement = `DocumentReference/${created.json.id}`;
    expect(await state(path)).toEqual(['superseded', '2']);
    expect((await client.get(`${path}/_history/1`)).json.status).toBe('current');
    expect((await client.get(`${path}/_history`)).json.entry[0].request).toEqual({ method: 'PUT', url: path });
    const writes = async (target: string): Promise<{ id: string; target: object[]; entity?: object[]; activity?: { coding: { code: string }[] } }[]> =>
      (await client.get(`Provenance?target=${target}`)).json.entry.map((entry: { resource: object }) => entry.resource).filter((one: { activity?: { coding: { code: string }[] } }) => one.activity?.coding[0]?.code === 'CREATE');
    const [creation, ...others] = await writes(replacement);
    expect(others).toEqual([]);
    expect(creation?.target).toEqual([{ reference: `${replacement}/_history/1` }, expect.anything(), { reference: `${path}/_history/2` }]);
    expect(creation?.entity).toContainEqual({ role: 'revision', what: { reference: `${path}/_history/1` } });
    expect((await writes(path)).map(({ id }) => id)).toContain(creation?.id);
    const events = await client.auditOf(requestId);
    expect(events.map((event) => event.action)).toEqual(['C']);
    expect(events[0].entity.map((entity: { what: { reference?: string } }) => entity.what.reference)).toEqual(expect.arrayContaining([`${replacement}/_history/1`, `${path}/_history/2`]));
    expect((await client.get(`AuditEvent?entity=${path}&action=C`)).json.entry.map((entry: { resource: { id: string } }) => entry.resource.id)).toContain(events[0].id);
    expect((await client.get(`DocumentReference?subject=${subject.reference}&status=current`)).json.entry.map((entry: { fullUrl: string }) => entry.fullUrl)).toEqual([`${client.base}/${replacement}`]);
    const { url } = (await client.get(path)).json.content[0].attachment;
    expect((await client.get(url)).text).toBe('A short note.');
  });

  it.each([
    ['absolute', (path: string) => `${client.base}/${path}`],
    ['versioned', (path: string) => `${path}/_history/1`],
  ])('names it also by an %s reference', async (_form, reference) => {
    const { path, subject } = await made();
    expect((await client.post('DocumentReference', documentReference({ subject, ...related('replaces', reference(path)) }))).status).toBe(201);
    expect(await state(path)).toEqual(['superseded', '2']);
  });

  it('may come by PUT and by a later change as well, and does it once', async () => {
    const { path, subject } = await made();
    const id = randomUUID();
    const body = documentReference({ id, subject });
    const created = (await client.put(`DocumentReference/${id}`, body)).json;
    const replacing = (await client.put(`DocumentReference/${id}`, { ...created, ...related('replaces', path) })).json;
    expect(await state(path)).toEqual(['superseded', '2']);
    expect((await client.put(`DocumentReference/${id}`, { ...replacing, description: 'again' })).status).toBe(200);
    expect(await state(path)).toEqual(['superseded', '2']);
  });

  it.each(['appends', 'transforms', 'signs'])('%s leaves it as it is', async (code) => {
    const { path, subject } = await made();
    expect((await client.post('DocumentReference', documentReference({ subject, ...related(code, path) }))).status).toBe(201);
    expect(await state(path)).toEqual(['current', '1']);
  });

  it('leaves it superseded when it is deleted itself', async () => {
    const { path, subject } = await made();
    const { id } = (await client.post('DocumentReference', documentReference({ subject, ...related('replaces', path) }))).json;
    await client.delete(`DocumentReference/${id}`);
    expect(await state(path)).toEqual(['superseded', '2']);
  });

  it('a document of another server, or named by an identifier, is replaced there', async () => {
    const foreign = await client.post('DocumentReference', documentReference(related('replaces', 'https://elsewhere.example/fhir/DocumentReference/1')));
    const logical = await client.post('DocumentReference', documentReference({ relatesTo: [{ code: 'replaces', target: { identifier: { system: 'urn:x', value: '1' } } }] }));
    expect([foreign.status, logical.status]).toEqual([201, 201]);
  });
});

describe('what cannot be replaced', () => {
  const EXPRESSION = 'DocumentReference.relatesTo[0].target';

  it('one that is superseded already is 409; deleted, unknown, of another patient and itself are 422, and nothing is kept', async () => {
    const { path, subject } = await made();
    await client.post('DocumentReference', documentReference({ subject, ...related('replaces', path) }));
    const replace = (target: string, about = subject): Promise<Answer> => client.post('DocumentReference', documentReference({ subject: about, ...related('replaces', target) }));
    const deleted = await made();
    await client.delete(deleted.path);
    const other = await made();
    const id = randomUUID();
    const [before] = await server.sql<{ count: string }>('select count(*) from resource');
    expect(problem(await replace(path))).toEqual([409, 'conflict', EXPRESSION]);
    expect(problem(await replace(deleted.path, deleted.subject))).toEqual([422, 'business-rule', EXPRESSION]);
    expect(problem(await replace(`DocumentReference/${randomUUID()}`))).toEqual([422, 'business-rule', EXPRESSION]);
    expect(problem(await replace(other.path))).toEqual([422, 'business-rule', EXPRESSION]);
    expect(problem(await client.put(`DocumentReference/${id}`, documentReference({ id, ...related('replaces', `DocumentReference/${id}`) })))).toEqual([422, 'business-rule', EXPRESSION]);
    expect(await state(other.path)).toEqual(['current', '1']);
    expect((await server.sql('select count(*) from resource'))[0]).toEqual(before);
  });

  it('of ten replacements at once one is made', async () => {
    const { path, subject } = await made();
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.post('DocumentReference', documentReference({ subject, ...related('replaces', path) }))));
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, ...Array.from({ length: 9 }, () => 409)]);
    expect(await state(path)).toEqual(['superseded', '2']);
  });

  it('needs the right to update, for it changes another document', async () => {
    const { path, subject } = await made();
    const creating = fhirClient(server.fhirBase, await server.token({ scope: 'user/*.crs' }));
    expect((await creating.post('DocumentReference', documentReference({ subject, ...related('replaces', path) }))).status).toBe(403);
    expect(await state(path)).toEqual(['current', '1']);
  });
});

describe('a transaction that replaces', () => {
  it('and patches the status of what is replaced, as IHE MHD does, makes one new version of it', async () => {
    const { path, subject } = await made();
    const answer = await client.post('', {
      resourceType: 'Bundle', type: 'transaction', entry: [
        { request: { method: 'PATCH', url: path, ifMatch: 'W/"1"' }, resource: { resourceType: 'Parameters', parameter: [{ name: 'operation', part: [{ name: 'type', valueCode: 'replace' }, { name: 'path', valueString: 'DocumentReference.status' }, { name: 'value', valueCode: 'superseded' }] }] } },
        { fullUrl: `urn:uuid:${randomUUID()}`, request: { method: 'POST', url: 'DocumentReference' }, resource: documentReference({ subject, ...related('replaces', path) }) },
      ],
    });
    expect([answer.status, answer.json.entry?.map((entry: { response: { status: string } }) => entry.response.status.slice(0, 3))]).toEqual([200, ['200', '201']]);
    expect(await state(path)).toEqual(['superseded', '2']);
  });

  it('is undone as a whole when another entry fails', async () => {
    const { path, subject } = await made();
    const answer = await client.post('', {
      resourceType: 'Bundle', type: 'transaction', entry: [
        { request: { method: 'POST', url: 'DocumentReference' }, resource: documentReference({ subject, ...related('replaces', path) }) },
        { request: { method: 'PUT', url: path, ifMatch: 'W/"7"' }, resource: documentReference({ id: path.split('/')[1], subject }) },
      ],
    });
    expect(answer.status).toBe(412);
    expect(await state(path)).toEqual(['current', '1']);
  });
});

describe('what does not change by accident', () => {
  const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
  const label = (code: string): { system: string; code: string } => ({ system: CONFIDENTIALITY, code });
  const sensitivity = { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'HIV' };

  it('a security label stays when an ordinary client leaves it out; an administrator takes it off', async () => {
    const doctor = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'] }));
    const { json } = await client.post('DocumentReference', documentReference({ meta: { security: [label('R'), sensitivity], tag: [{ code: 'a' }] } }));
    const path = `DocumentReference/${json.id}`;
    const { meta: _meta, ...bare } = json;
    const kept = await doctor.put(path, { ...bare, description: 'two', meta: { tag: [{ code: 'b' }] } });
    expect(kept.json.meta).toMatchObject({ security: [label('R'), sensitivity], tag: [{ code: 'b' }] });
    const raised = await doctor.put(path, { ...bare, meta: { security: [label('V')] } });
    expect(raised.json.meta.security).toEqual([label('V'), sensitivity]);
    const lowered = await doctor.put(path, { ...bare, meta: { security: [label('N')] } });
    expect(lowered.json.meta.security).toEqual([label('N'), label('V'), sensitivity]);
    const patched = await doctor.call(path, { method: 'PATCH', body: '[{"op":"remove","path":"/meta/security"}]', headers: { 'content-type': 'application/json-patch+json' } });
    expect(patched.json.meta.security).toEqual([label('N'), label('V'), sensitivity]);
    expect((await client.put(path, { ...bare, meta: { security: [label('N')] } })).json.meta.security).toEqual([label('N')]);
  });

  it('whom a document is about is corrected by an administrator alone', async () => {
    const doctor = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'] }));
    const { json } = await client.post('DocumentReference', documentReference());
    const path = `DocumentReference/${json.id}`;
    expect(problem(await doctor.put(path, { ...json, subject: patient() }))).toEqual([422, 'business-rule', 'DocumentReference.subject']);
    expect((await doctor.put(path, { ...json, subject: { reference: `${client.base}/${json.subject.reference}` } })).status).toBe(200);
    const corrected = patient();
    expect((await client.put(path, { ...json, subject: corrected })).status).toBe(200);
    expect((await client.get(`DocumentReference?subject=${corrected.reference}`)).json.total).toBe(1);
    expect((await client.get(`DocumentReference?subject=${json.subject.reference}`)).json.total).toBe(0);
  });
});

it('a Binary that is deleted between the look at it and the link is no link', async () => {
  const { json: binary } = await client.post('Binary', 'bytes', { 'content-type': 'text/plain' });
  await server.sql(`update resource set deleted = true where id = $1`, [binary.id]);
  const answer = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: `Binary/${binary.id}` } }] }));
  expect(answer.status).toBe(422);
});
