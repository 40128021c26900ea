// The record asked over FHIR: who saw what, by entity, agent, date, action, outcome, request and target.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;
let doctor: FhirClient;
let id: string;
let binary: string;
let patient: string;
const requests: Record<string, string> = {};
const began = new Date().toISOString();

beforeAll(async () => {
  server = await startMuniment();
  admin = fhirClient(server.fhirBase, await server.token());
  doctor = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/doctor', client: 'ward-app', roles: ['practitioner'] }));
  const noted = async (name: string, call: Promise<Answer>): Promise<Answer> => {
    const answer = await call;
    requests[name] = answer.headers.get('x-request-id') ?? '';
    return answer;
  };
  const document = documentReference({ custodian: { reference: 'Organization/ward' } });
  patient = (document['subject'] as { reference: string }).reference;
  const created = await noted('create', doctor.post('DocumentReference', document));
  id = created.json.id;
  binary = created.json.content[0].attachment.url.split('/').at(-1);
  await noted('read', doctor.get(`DocumentReference/${id}`));
  await noted('update', doctor.put(`DocumentReference/${id}`, { ...created.json, description: 'two' }));
  await noted('bytes', doctor.get(`Binary/${binary}`, { range: 'bytes=2-4' }));
  await noted('history', doctor.get(`DocumentReference/${id}/_history`));
  await noted('search', doctor.get(`DocumentReference?_id=${id}`));
  await noted('refusal', doctor.delete(`DocumentReference/${id}`));
  await noted('delete', admin.delete(`DocumentReference/${id}`));
});
afterAll(() => server.stop());

interface Row { id: string; action?: string; recorded: string; [name: string]: unknown }

async function found(query: string): Promise<Row[]> {
  const answer = await admin.get(`${query}&_count=100`);
  expect([query, answer.status]).toEqual([query, 200]);
  return (answer.json.entry ?? []).map((entry: { resource: Row }) => entry.resource);
}

async function actions(query: string): Promise<string> {
  return (await found(`AuditEvent?${query}`)).map((event) => event.action).toReversed().join('');
}

describe('AuditEvent', () => {
  it('by entity has each access of the document, its bytes and its patient', async () => {
    expect(await actions(`entity=DocumentReference/${id}`)).toBe('CRURRED');
    expect(await actions(`entity=${server.fhirBase}/DocumentReference/${id}`)).toBe('CRURRED');
    expect(await actions(`entity=Binary/${binary}`)).toBe('CR');
    expect(await actions(`entity=${patient}`)).toBe('CRURRED');
    expect(await actions(`entity=DocumentReference/${id}/_history/1&action=R`)).toBe('RR');
    expect(await actions('entity=DocumentReference/nothing')).toBe('');
  });

  it('by agent: the reference of the user, the bare id, the client and the subject find the same', async () => {
    const all = await actions('agent=Practitioner/doctor');
    expect(all).toBe('CRURRED');
    for (const agent of ['doctor', 'ward-app', `${server.fhirBase}/Practitioner/doctor`]) expect([agent, await actions(`agent=${agent}`)]).toEqual([agent, all]);
    expect(await actions('agent=Practitioner/nobody')).toBe('');
  });

  it('by action, outcome, date and request, alone and together', async () => {
    const of = `entity=DocumentReference/${id}`;
    expect(await actions(`${of}&action=U`)).toBe('U');
    expect(await actions(`${of}&action=http://hl7.org/fhir/audit-event-action|C,U`)).toBe('CU');
    expect(await actions('agent=ward-app&outcome=4')).toBe('D');
    expect(await actions('agent=ward-app&outcome=0')).toBe('CRURRE');
    expect(await actions(`${of}&date=ge${began}`)).toBe('CRURRED');
    expect(await actions(`${of}&date=lt${began}`)).toBe('');
    expect(await actions(`${of}&date=gt${new Date(Date.now() + 60_000).toISOString()}`)).toBe('');
    expect(await actions(`${of}&date=${began.slice(0, 10)}`)).toBe('CRURRED');
    for (const [name, requestId] of Object.entries(requests)) expect([name, (await found(`AuditEvent?request-id=${requestId}`)).length]).toEqual([name, 1]);
    const [event] = await found(`AuditEvent?request-id=${requests['read']}`);
    expect(await actions(`date=${event?.recorded}&agent=ward-app`)).toContain('R');
  });

  it('has the versions that were touched, and of bytes the range', async () => {
    const references = async (name: string): Promise<string> => JSON.stringify((await found(`AuditEvent?request-id=${requests[name]}`))[0]?.['entity']);
    expect(await references('create')).toContain(`DocumentReference/${id}/_history/1`);
    expect(await references('create')).toContain(`Binary/${binary}/_history/1`);
    expect(await references('update')).toContain(`DocumentReference/${id}/_history/2`);
    expect(await references('delete')).toContain(`DocumentReference/${id}/_history/2`);
    expect(await references('bytes')).toMatch(/"range","valueString":"bytes 2-4\/13"/);
  });

  it('of a search tells the request as it came, without the token', async () => {
    const [event] = await found(`AuditEvent?request-id=${requests['search']}`);
    const query = Buffer.from((event?.['entity'] as { query?: string }[]).find((entity) => entity.query !== undefined)?.query ?? '', 'base64').toString();
    expect(query.split('\n')[0]).toBe(`GET DocumentReference?_id=${id}`);
    expect(JSON.stringify(event) + query).not.toMatch(/Bearer|eyJ/);
  });

  it('pages do not run after themselves: looking does not lengthen what is looked through', async () => {
    const seen: string[] = [];
    for (let url: string | undefined = 'AuditEvent?_count=3'; url !== undefined;) {
      const page: Answer = await admin.get(url);
      seen.push(...page.json.entry.map((entry: { resource: Row }) => entry.resource.id));
      url = page.json.link.find((link: { relation: string }) => link.relation === 'next')?.url;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThan(8);
  });

  it('is there in one version, which nobody changes', async () => {
    const [event] = await found(`AuditEvent?request-id=${requests['create']}`);
    const path = `AuditEvent/${event?.id}`;
    expect((await admin.get(path)).json).toEqual(event);
    expect((await admin.get(`${path}/_history/1`)).json).toEqual(event);
    expect((await admin.get(`${path}/_history/2`)).status).toBe(404);
    expect((await admin.get(`${path}/_history`)).json).toMatchObject({ type: 'history', total: 1 });
    for (const method of ['PUT', 'PATCH', 'DELETE']) expect((await admin.call(path, { method, body: { resourceType: 'AuditEvent' } })).status).toBe(405);
    expect((await admin.get(`AuditEvent/${randomUUID()}`)).status).toBe(404);
    const elsewhere = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    expect((await elsewhere.get(path)).status).toBe(404);
    expect((await elsewhere.get(`AuditEvent?request-id=${requests['create']}`)).json.total).toBe(0);
  });
});

describe('Provenance', () => {
  it('by target tells each write in full: activity, versioned target, what it came from, who', async () => {
    const all = await found(`Provenance?target=DocumentReference/${id}`);
    expect(all.length).toBe(7);
    const writes = all.filter((one) => one['activity'] !== undefined && JSON.stringify(one['activity']).match(/CREATE|UPDATE|DELETE/));
    expect(writes.map((one) => /CREATE|UPDATE|DELETE/.exec(JSON.stringify(one['activity']))?.[0])).toEqual(['DELETE', 'UPDATE', 'CREATE']);
    const [removed, updated, created] = writes;
    expect(JSON.stringify(created?.['target'])).toContain(`DocumentReference/${id}/_history/1`);
    expect(JSON.stringify(updated?.['target'])).toContain(`DocumentReference/${id}/_history/2`);
    expect(JSON.stringify(updated?.['entity'])).toContain(`DocumentReference/${id}/_history/1`);
    expect(JSON.stringify(removed?.['entity'])).toMatch(/"removal".*_history\/2/);
    expect(JSON.stringify(created?.['agent'])).toContain('Practitioner/doctor');
    expect(JSON.stringify(created?.['agent'])).toContain('Practitioner/writer');
  });

  it('shares its id with the AuditEvent of the same access, and is found by agent and recorded', async () => {
    const [event] = await found(`AuditEvent?request-id=${requests['create']}`);
    expect((await admin.get(`Provenance/${event?.id}`)).json).toMatchObject({ id: event?.id, recorded: event?.recorded });
    expect((await found(`Provenance?agent=Practitioner/doctor&recorded=ge${began}`)).length).toBe(7);
    expect((await doctor.get(`Provenance?target=DocumentReference/${id}`)).status).toBe(200);
  });

  it('of a refusal has its own AuditEvent as target', async () => {
    const [event] = await found(`AuditEvent?request-id=${requests['refusal']}`);
    const targets = await found(`Provenance?target=AuditEvent/${event?.id}`);
    expect(targets.map((one) => one.id)).toEqual([event?.id]);
  });
});
