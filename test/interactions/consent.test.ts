// Consents of a real HAPI hold on every way to a document: what a patient withholds is not read, not found, not counted, not lent.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentsClient } from '../support/documents-client.ts';
import { eventually } from '../support/eventually.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

type Json = any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into any shape

const HAPI = process.env['TEST_HAPI_URL'];
const withHapi = HAPI === undefined ? describe.skip : describe;
const run = randomUUID().slice(0, 8);
const RESTRICTED = { meta: { security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' }] } };
const to = (user: string): object => ({ actor: [{ role: { coding: [{ code: 'IRCP' }] }, reference: { reference: user } }] });

const idsOf = ({ json }: Answer): string[] => (json.entry ?? []).map(({ resource }: Json) => resource.id as string);
const refused = ({ status, json }: Answer): unknown => [status, json?.issue?.[0]?.details?.coding[0].code ?? json?.code];
const DENIED = [403, 'consent-denied'];

async function hapi(method: string, path: string, body?: object): Promise<void> {
  const answer = await fetch(`${HAPI}/${path}`, { method, headers: { 'content-type': 'application/fhir+json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!answer.ok && method !== 'DELETE') throw new Error(`HAPI ${method} ${path}: ${answer.status} ${await answer.text()}`);
}

withHapi('with consents at HAPI', () => {
  const written: string[] = [];
  const [closed, partly, open] = ['closed', 'partly', 'open'].map((name) => `consent-${run}-${name}`) as [string, string, string];
  let first: TestMuniment;
  let server: TestMuniment;
  let doctor: FhirClient;
  let trusted: FhirClient;
  let admin: FhirClient;
  /** Documents by patient; of `partly` one that is restricted beside. */
  const ids: Record<string, string> = {};
  const binaries: Record<string, string> = {};
  let lent: string;

  const as = async (user: string, roles = ['practitioner']): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token({ user, roles, client: `client-${user}`, scope: 'user/*.cruds' }));

  async function put(type: string, id: string, resource: object): Promise<void> {
    await hapi('PUT', `${type}/${id}`, { resourceType: type, id, ...resource });
    written.unshift(`${type}/${id}`);
  }
  const consent = (patient: string, provision: object): Promise<void> => put('Consent', `${patient}-c`, {
    status: 'active', scope: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'patient-privacy' }] }, category: [{ coding: [{ system: 'http://loinc.org', code: '59284-0' }] }],
    patient: { reference: `Patient/${patient}` }, policyRule: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'OPTIN' }] }, provision,
  });

  beforeAll(async () => {
    // Before their documents: HAPI makes a placeholder of a patient whom it does not know, and two who make the same one collide.
    for (const patient of [closed, partly, open]) await put('Patient', patient, { name: [{ family: patient }] });
    await put('Practitioner', `${run}-trusted`, { name: [{ family: 'Trusted' }] });
    first = await startMuniment({ MIRROR_BASE_URL: HAPI ?? '' });
    const writer = fhirClient(first.fhirBase, await first.token({ user: 'Practitioner/writer' }));
    const made = async (name: string, patient: string, more: object = {}): Promise<void> => {
      // A HAPI that is slow to answer first leaves consents unknown for a while.
      const answer = await eventually(() => writer.post('DocumentReference', documentReference({ subject: { reference: `Patient/${patient}` }, ...more })), ({ status }) => status === 201, 30_000);
      [ids[name], binaries[name]] = [answer.json.id, answer.json.content[0].attachment.url.split('/').at(-1)];
    };
    await made('closed', closed);
    await made('plain', partly);
    await made('restricted', partly, RESTRICTED);
    await made('open', open);
    const doctorBefore = fhirClient(first.fhirBase, await first.token({ user: 'Practitioner/doctor', roles: ['practitioner'], client: 'client-Practitioner/doctor' }));
    const signed = await doctorBefore.post(`DocumentReference/${ids['closed']}/$signed-url`, undefined);
    expect(signed.status).toBe(200);
    lent = signed.json.parameter.find(({ name }: Json) => name === 'url').valueString ?? signed.json.parameter.find(({ name }: Json) => name === 'url').valueUrl ?? signed.json.parameter.find(({ name }: Json) => name === 'url').valueUri;
    await consent(closed, { type: 'deny', provision: [{ type: 'permit', ...to(`Practitioner/${run}-trusted`) }] });
    await consent(partly, { type: 'permit', provision: [{ type: 'deny', securityLabel: RESTRICTED.meta.security }] });
    server = await first.startSecond();
    const anybody = fhirClient(server.fhirBase, await server.token());
    await eventually(() => anybody.get(`DocumentReference/${ids['closed']}`), ({ status }) => status === 403, 30_000);
    [doctor, trusted, admin] = [await as('Practitioner/doctor'), await as(`Practitioner/${run}-trusted`), await as('Practitioner/chief', ['admin'])];
  });
  afterAll(async () => {
    for (const reference of written) await hapi('DELETE', reference);
    await server.stop();
    await first.stop();
  });

  it('what is withheld is refused to readers, versions and histories of it as well, with words that say why', async () => {
    for (const path of [`DocumentReference/${ids['closed']}`, `DocumentReference/${ids['closed']}/_history/1`, `DocumentReference/${ids['closed']}/_history`, `Binary/${binaries['closed']}`, `Binary/${binaries['closed']}/_history/1`]) {
      for (const client of [doctor, admin]) expect([path, refused(await client.get(path))]).toEqual([path, DENIED]);
      expect([path, (await trusted.get(path)).status]).toEqual([path, 200]);
    }
    const answer = await doctor.get(`DocumentReference/${ids['closed']}`);
    expect([answer.json.issue[0].code, answer.json.issue[0].diagnostics, answer.headers.get('www-authenticate')]).toEqual(['suppressed', `A consent of the patient withholds DocumentReference/${ids['closed']}`, null]);
  });

  it('a label is withheld, and what does not have it is read', async () => {
    expect(refused(await doctor.get(`DocumentReference/${ids['restricted']}`))).toEqual(DENIED);
    expect((await doctor.get(`DocumentReference/${ids['plain']}`)).status).toBe(200);
    expect((await doctor.get(`DocumentReference/${ids['open']}`)).status).toBe(200);
  });

  it('searches neither find nor count it, whatever they begin with', async () => {
    const all = [ids['closed'], ids['plain'], ids['restricted'], ids['open']];
    const shown = [ids['plain'], ids['open']].sort();
    for (const path of ['DocumentReference?_total=accurate', `DocumentReference?patient=${closed},${partly},${open}&_total=accurate`, `DocumentReference?_id=${all.join(',')}&_total=accurate`, 'DocumentReference?type=34133-9&_total=accurate', '?_type=DocumentReference,Media&_total=accurate']) {
      const answer = await doctor.get(path);
      expect([path, answer.status, idsOf(answer).sort(), answer.json.total]).toEqual([path, 200, shown, 2]);
    }
    expect((await doctor.get(`Patient/${closed}/DocumentReference?_summary=count`)).json.total).toBe(0);
    expect((await trusted.get(`Patient/${closed}/DocumentReference?_summary=count`)).json.total).toBe(1);
    expect(idsOf(await doctor.get('DocumentReference/_history')).sort()).toEqual(shown);
    expect(idsOf(await doctor.get('_history?_count=100')).filter((id) => all.includes(id)).sort()).toEqual(shown);
  });

  it('includes, references and records of it are left out', async () => {
    const list = await trusted.post('List', { resourceType: 'List', status: 'current', mode: 'working', entry: [ids['closed'], ids['open']].map((id) => ({ item: { reference: `DocumentReference/${id}` } })) });
    expect(list.status).toBe(201);
    const included = async (client: FhirClient): Promise<string[]> => idsOf(await client.get(`List?_id=${list.json.id}&_include=List:item`)).filter((id) => id !== list.json.id).sort();
    expect([await included(doctor), await included(trusted)]).toEqual([[ids['open']], [ids['closed'], ids['open']].sort()]);
    expect((await doctor.post('List', { resourceType: 'List', status: 'current', mode: 'working', entry: [{ item: { reference: `DocumentReference/${ids['closed']}` } }] })).status).toBe(422);
    const provenance = async (client: FhirClient): Promise<number> => idsOf(await client.get(`Provenance?target=DocumentReference/${ids['closed']}`)).length;
    expect([await provenance(doctor), await provenance(trusted) > 0]).toEqual([0, true]);
  });

  it('no Bundle, and no way beside FHIR, leads to it', async () => {
    const entries = [ids['closed'], ids['open']].map((id) => ({ request: { method: 'GET', url: `DocumentReference/${id}` } }));
    const bundle = await doctor.post('', { resourceType: 'Bundle', type: 'batch', entry: entries });
    expect(bundle.json.entry.map(({ response }: Json) => response.status.slice(0, 3))).toEqual(['403', '200']);
    const documents = documentsClient(doctor);
    expect(refused(await documents.call(`/${ids['closed']}`))).toEqual(DENIED);
    expect((await documents.call(`?patient_id=${closed}`)).text).not.toContain(ids['closed']);
    const root = new URL(doctor.base).origin;
    const graph = async (client: FhirClient): Promise<Json> => (await client.call(`${root}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: `{ documentReference(id: "${ids['closed']}") { id } documentReferences(patient: "${closed}") { items { id } } }` }) })).json;
    const [kept, shown] = [await graph(doctor), await graph(trusted)];
    expect([kept.data?.documentReference ?? null, kept.errors[0].extensions.code.toLowerCase().replaceAll('_', '-')]).toEqual([null, 'consent-denied']);
    expect(JSON.stringify(kept.data ?? {})).not.toContain(ids['closed']);
    expect(shown.data.documentReferences.items).toEqual([{ id: ids['closed'] }]);
  });

  it('it is neither lent any more, nor does a URL that was lent before show it', async () => {
    expect(refused(await doctor.post(`DocumentReference/${ids['closed']}/$signed-url`, undefined))).toEqual(DENIED);
    const elsewhere = lent.replace(new URL(lent).origin, new URL(doctor.base).origin);
    expect((await doctor.call(elsewhere, { token: null })).status).toBe(403);
  });

  it('it is neither changed nor deleted, and nothing is written that would be withheld', async () => {
    const { json } = await trusted.get(`DocumentReference/${ids['closed']}`);
    expect(refused(await doctor.put(`DocumentReference/${ids['closed']}`, { ...json, description: 'changed' }))).toEqual(DENIED);
    expect(refused(await doctor.delete(`DocumentReference/${ids['closed']}`))).toEqual([403, 'forbidden']);
    expect(refused(await admin.delete(`DocumentReference/${ids['closed']}`))).toEqual(DENIED);
    expect(refused(await doctor.post('DocumentReference', documentReference({ subject: { reference: `Patient/${closed}` } })))).toEqual(DENIED);
    expect(refused(await doctor.post('DocumentReference', documentReference({ subject: { reference: `Patient/${partly}` }, ...RESTRICTED })))).toEqual(DENIED);
    const other = await doctor.post('DocumentReference', documentReference({ subject: { reference: `Patient/${partly}` } }));
    expect(other.status).toBe(201);
    expect((await doctor.delete(`DocumentReference/${other.json.id}`)).status).toBe(403);
    expect((await admin.delete(`DocumentReference/${other.json.id}`)).status).toBe(204);
  });

  it('the patient reads their own; a refusal is recorded with its reason', async () => {
    const patient = fhirClient(server.fhirBase, await server.token({ user: `Patient/${closed}`, patient: closed, roles: [], scope: 'patient/*.rs' }));
    expect((await patient.get(`DocumentReference/${ids['closed']}`)).status).toBe(200);
    const requestId = randomUUID();
    await doctor.get(`DocumentReference/${ids['closed']}`, { 'x-request-id': requestId });
    const [event] = await admin.auditOf(requestId);
    expect([event.outcome, event.outcomeDesc]).toEqual(['4', `A consent of the patient withholds DocumentReference/${ids['closed']}`]);
  });

  it('an emergency sets it aside for its patient, and the record names the consent', async () => {
    const declared = await doctor.post(`Patient/${closed}/$break-glass`, { resourceType: 'Parameters', parameter: [{ name: 'reason', valueString: 'Unconscious after an accident' }] });
    const glass = { 'x-break-glass': declared.json.parameter.find(({ name }: Json) => name === 'break-glass').valueUuid.slice('urn:uuid:'.length) };
    const requestId = randomUUID();
    expect((await doctor.get(`DocumentReference/${ids['closed']}`, { ...glass, 'x-request-id': requestId })).status).toBe(200);
    expect((await doctor.get(`Binary/${binaries['closed']}`, glass)).status).toBe(200);
    expect(idsOf(await doctor.get('DocumentReference', glass))).toEqual([ids['closed']]);
    const [event] = await admin.auditOf(requestId);
    expect(event.entity.map(({ what }: Json) => what.reference).filter(Boolean)).toContain(`Consent/${closed}-c`);
    expect(idsOf(await admin.get(`AuditEvent?entity=Consent/${closed}-c`))).toContain(event.id);
  });
});

describe('with a HAPI that does not answer', () => {
  it('what is labelled restricted is withheld, the rest is served, and each such access is noted', async () => {
    const server = await startMuniment({ MIRROR_BASE_URL: `http://127.0.0.1:${await freePort()}/fhir` });
    try {
      const client = fhirClient(server.fhirBase, await server.token());
      const { json: { id: plain } } = await client.post('DocumentReference', documentReference());
      expect(refused(await client.post('DocumentReference', documentReference(RESTRICTED)))).toEqual(DENIED);
      const { json: { id: system } } = await client.post('Binary', 'bytes', { 'content-type': 'text/plain' });
      expect((await client.get(`Binary/${system}`)).status).toBe(200);
      const requestId = randomUUID();
      expect((await client.get(`DocumentReference/${plain}`, { 'x-request-id': requestId })).status).toBe(200);
      const [event] = await client.auditOf(requestId);
      expect([event.outcome, event.outcomeDesc]).toEqual(['0', 'The consents of patients could not be asked for']);
      expect(event.contained).toBeUndefined();
      await server.sql(`update resource set body = replace(body, '"status":"current"', '"status":"current","securityLabel":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}]') where id = $1`, [plain]);
      const answer = await client.get(`DocumentReference/${plain}`);
      expect([refused(answer), answer.json.issue[0].diagnostics]).toEqual([DENIED, `The consents of patients cannot be asked for at present, so DocumentReference/${plain} is withheld for its security label`]);
      expect((await client.get('DocumentReference?_total=accurate')).json.total).toBe(0);
    } finally { await server.stop(); }
  });
});
