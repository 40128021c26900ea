// Searches over our own types that reach people and encounters at a real HAPI: chains, and what is included.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

type Json = any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into any shape

const HAPI = process.env['TEST_HAPI_URL'];
const withHapi = HAPI === undefined ? describe.skip : describe;
const run = randomUUID().slice(0, 8);

withHapi('with a mirror, a search of documents', () => {
  let server: TestMuniment;
  let client: FhirClient;
  const written: string[] = [];
  const made: Record<string, string> = {};

  async function hapi(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`${HAPI}/${path}`, { method, headers: { 'content-type': 'application/fhir+json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok && method !== 'DELETE') throw new Error(`HAPI ${method} ${path}: ${answer.status} ${await answer.text()}`);
  }

  async function put(type: string, what: string, body: object): Promise<string> {
    const reference = `${type}/so-${run}-${what}`;
    await hapi('PUT', reference, { resourceType: type, id: `so-${run}-${what}`, ...body });
    written.unshift(reference);
    return reference;
  }

  async function store(name: string, body: Record<string, unknown>): Promise<void> {
    const created = await client.post('DocumentReference', documentReference(body));
    expect([created.status, created.status === 201 ? '' : created.text]).toEqual([201, '']);
    made[name] = `DocumentReference/${created.json.id}`;
    written.unshift(made[name]);
  }

  beforeAll(async () => {
    server = await startMuniment({ MIRROR_BASE_URL: HAPI ?? '', MIRROR_ACCESS: 'off' });
    client = fhirClient(server.fhirBase, await server.token());
    const doctor = await put('Practitioner', 'doctor', { name: [{ family: `Doctor${run}`, given: ['Grete'] }] });
    const ill = await put('Patient', 'ill', { name: [{ family: `Ill${run}` }], identifier: [{ system: 'urn:mrn', value: `ill-${run}` }], generalPractitioner: [{ reference: doctor }] });
    const well = await put('Patient', 'well', { name: [{ family: `Well${run}` }], identifier: [{ system: 'urn:mrn', value: `well-${run}` }] });
    const visit = await put('Encounter', 'visit', { status: 'finished', class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB' }, subject: { reference: ill } });
    await store('ill', { subject: { reference: ill }, author: [{ reference: doctor }], context: { encounter: [{ reference: visit }] } });
    await store('well', { subject: { reference: `${server.fhirBase}/${well}` }, relatesTo: [{ code: 'appends', target: { reference: made['ill'] } }] });
    await store('logical', { subject: { identifier: { system: 'urn:mrn', value: `ill-${run}` } } });
    await store('contained', { contained: [{ resourceType: 'Practitioner', id: 'w', name: [{ family: `Doctor${run}` }] }], author: [{ reference: '#w' }] });
  });
  afterAll(async () => {
    await server.stop();
    for (const reference of written) await hapi('DELETE', reference);
  });

  const withMode = (answer: Answer, mode: string): string[] => (answer.json.entry ?? []).filter((entry: Json) => entry.search.mode === mode).map((entry: Json) => `${entry.resource.resourceType}/${entry.resource.id}`).sort();
  async function ask(query: string): Promise<Answer> {
    const answer = await client.get(`DocumentReference?${query}`, { prefer: 'handling=strict' });
    expect([query, answer.status, answer.status === 200 ? '' : answer.text]).toEqual([query, 200, '']);
    return answer;
  }
  const found = async (query: string): Promise<(string | undefined)[]> => withMode(await ask(query), 'match').map((one) => Object.keys(made).find((name) => made[name] === one)).sort();
  const named = (type: string, ...names: string[]): string[] => names.map((name) => `${type}/so-${run}-${name}`);

  it('finds by what the patient, the encounter or the author is at HAPI', async () => {
    for (const [query, expected] of [
      [`patient.identifier=urn:mrn|ill-${run}`, ['ill', 'logical']],
      [`patient.identifier=urn:mrn|well-${run}`, ['well']],
      [`subject:Patient.name=Ill${run}`, ['ill']],
      [`patient.family=Ill${run},Well${run}`, ['ill', 'well']],
      [`patient.family=Ill${run}&status=superseded`, []],
      [`encounter.subject=Patient/so-${run}-ill`, ['ill']],
      [`patient.general-practitioner.family=Doctor${run}`, ['ill']],
      [`relatesto.patient.family=Ill${run}`, ['well']],
      [`author.family=Doctor${run}`, ['contained', 'ill']],
      [`author.given=grete&author.family=Doctor${run}`, ['ill']],
      [`patient.family=Nobody${run}`, []],
    ] as [string, string[]][]) expect([query, await found(query)]).toEqual([query, expected]);
  });

  it('includes them as ours, on the side of the matches, and records them under their patient', async () => {
    const requestId = randomUUID();
    const answer = await client.get(`DocumentReference?_id=${made['ill']?.split('/')[1]}&_include=DocumentReference:subject&_include=DocumentReference:author&_include=DocumentReference:encounter&_revinclude=Provenance:target`, { 'x-request-id': requestId });
    expect([answer.json.total, withMode(answer, 'include').filter((one) => !one.startsWith('Provenance/'))]).toEqual([1, [...named('Encounter', 'visit'), ...named('Patient', 'ill'), ...named('Practitioner', 'doctor')]]);
    const [patient] = answer.json.entry.filter((entry: Json) => entry.resource.resourceType === 'Patient');
    expect(patient.fullUrl).toBe(`${server.fhirBase}/Patient/so-${run}-ill`);
    expect((await client.get(patient.fullUrl)).status).toBe(200);
    const events = await client.auditOf(requestId);
    const ofPatient = events.find((event) => JSON.stringify(event.entity).includes(`"Patient/so-${run}-ill"`));
    expect(JSON.stringify(ofPatient.entity)).toContain(`Patient/so-${run}-ill/_history/`);
    expect(JSON.stringify(events)).toContain(`Practitioner/so-${run}-doctor/_history/`);
  });

  it('leaves out whom the caller may not read, and refuses a chain through them', async () => {
    const narrow = fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.rs user/Practitioner.r' }));
    const answer = await narrow.get(`DocumentReference?_id=${made['ill']?.split('/')[1]}&_include=*`);
    expect(withMode(answer, 'include')).toEqual(named('Practitioner', 'doctor'));
    expect((await narrow.get(`DocumentReference?patient.family=Ill${run}`)).status).toBe(403);
    const authors = await narrow.get(`DocumentReference?author.family=Doctor${run}`);
    expect([authors.status, withMode(authors, 'match')]).toEqual([200, [made['contained']]]);
  });

  it('declares what it can include and refuses what HAPI does not declare', async () => {
    const { json } = await client.get('metadata');
    const declared = json.rest[0].resource.find((one: Json) => one.type === 'DocumentReference').searchInclude;
    expect(declared).toEqual(expect.arrayContaining(['DocumentReference:subject', 'DocumentReference:patient', 'DocumentReference:encounter', 'DocumentReference:relatesto']));
    for (const query of ['patient.nope=x', 'patient:Practitioner.name=x', 'encounter.nope.x=y']) expect([query, (await client.get(`DocumentReference?${query}`)).status]).toEqual([query, 400]);
  });
});
