// People, places and encounters of a real HAPI, through our doorway: read, vread and search, authorized and recorded here.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { PASSED_TYPES, passedParameters } from '../../src/search/passed-parameters.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

type Json = any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into any shape

const HAPI = process.env['TEST_HAPI_URL'];
const withHapi = HAPI === undefined ? describe.skip : describe;
const run = randomUUID().slice(0, 8);
const SYSTEM = `urn:muniment:test:${run}`;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

const link = (answer: Answer, relation: string): string | undefined => answer.json.link.find((one: Json) => one.relation === relation)?.url;
const withMode = (answer: Answer, mode: string): string[] => (answer.json.entry ?? []).filter((entry: Json) => entry.search.mode === mode).map((entry: Json) => `${entry.resource.resourceType}/${entry.resource.id}`);
const matches = (answer: Answer): string[] => withMode(answer, 'match');

describe('without a mirror', () => {
  it('these types are unknown and not declared', async () => {
    const server = await startMuniment();
    try {
      const client = fhirClient(server.fhirBase, await server.token());
      for (const type of PASSED_TYPES) expect([type, (await client.get(`${type}/1`)).status, (await client.get(type)).status]).toEqual([type, 404, 404]);
      const { json } = await client.get('metadata');
      expect(json.rest[0].resource.map((one: Json) => one.type).filter((type: string) => (PASSED_TYPES as string[]).includes(type))).toEqual([]);
    } finally { await server.stop(); }
  });
});

describe('with a mirror that does not answer', () => {
  it('what is passed on is 503 at once and recorded; documents are served, without what would be included', async () => {
    const server = await startMuniment({ MIRROR_BASE_URL: `http://127.0.0.1:${await freePort()}/fhir` });
    try {
      const client = fhirClient(server.fhirBase, await server.token());
      const { json: { id } } = await client.post('DocumentReference', documentReference({ subject: { reference: 'Patient/p' } }));
      for (const path of ['Patient/p', 'Patient/p/_history/1', 'Patient?family=x', 'Encounter', 'DocumentReference?patient.family=x']) {
        const requestId = randomUUID();
        const answer = await client.get(path, { 'x-request-id': requestId });
        expect([path, answer.status, answer.headers.get('retry-after'), answer.json.issue[0].code]).toEqual([path, 503, '5', 'transient']);
        expect((await client.auditOf(requestId)).map((event) => event.outcome)).toEqual(['8']);
      }
      expect((await client.get(`DocumentReference/${id}`)).status).toBe(200);
      const found = await client.get('DocumentReference?patient=p&_include=DocumentReference:patient');
      expect([found.status, matches(found), withMode(found, 'include')]).toEqual([200, [`DocumentReference/${id}`], []]);
      expect(found.json.entry.at(-1)).toMatchObject({ search: { mode: 'outcome' }, resource: { issue: [{ severity: 'warning', code: 'incomplete' }] } });
    } finally { await server.stop(); }
  });
});

withHapi('with a mirror', () => {
  let server: TestMuniment;
  let client: FhirClient;
  const written: string[] = [];
  const name = (what: string): string => `rt-${run}-${what}`;

  async function hapi(method: string, path: string, body?: object): Promise<Json> {
    const answer = await fetch(`${HAPI}/${path}`, { method, headers: { 'content-type': 'application/fhir+json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok && method !== 'DELETE') throw new Error(`HAPI ${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async function put(type: string, what: string, body: object): Promise<string> {
    const reference = `${type}/${name(what)}`;
    await hapi('PUT', reference, { resourceType: type, id: name(what), identifier: [{ system: SYSTEM, value: what }], ...body });
    written.unshift(reference);
    return reference;
  }

  beforeAll(async () => {
    server = await startMuniment({ MIRROR_BASE_URL: HAPI ?? '' });
    client = fhirClient(server.fhirBase, await server.token());
    await put('Organization', 'ward', { name: `Ward ${run}` });
    await put('Practitioner', 'doctor', { name: [{ family: `Doctor${run}` }] });
    await put('PractitionerRole', 'role', { practitioner: { reference: `Practitioner/${name('doctor')}` }, organization: { reference: `Organization/${name('ward')}` } });
    await put('Location', 'room', { name: `Room ${run}`, position: { longitude: 16.37, latitude: 48.2 } });
    for (const [at, birthDate] of ['1950-01-01', '1960-02-02', '1970-03-03'].entries()) {
      await put('Patient', `p${at}`, {
        name: [{ family: `Family${run}`, given: [`Given${at}`] }], birthDate, gender: at === 0 ? 'male' : 'female',
        generalPractitioner: [{ reference: `Practitioner/${name('doctor')}` }, ...(at === 0 ? [{ reference: `Practitioner/${name('nobody')}` }] : [])],
        managingOrganization: { reference: `${at === 0 ? `${HAPI}/` : ''}Organization/${name('ward')}` },
        text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><a href="${HAPI}/Patient/x">link</a></div>` },
      });
    }
    written.push(`Practitioner/${name('nobody')}`);
    await put('Encounter', 'visit', { status: 'finished', class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB' }, subject: { reference: `Patient/${name('p0')}` } });
    await put('RelatedPerson', 'mother', { patient: { reference: `Patient/${name('p1')}` }, name: [{ family: `Mother${run}` }] });
    await put('Device', 'scanner', { patient: { reference: `Patient/${name('p1')}` }, status: 'active' });
  });

  afterAll(async () => {
    for (const reference of written) await hapi('DELETE', reference);
    await server.stop();
  });

  it('each of the eight types is read and found by its identifier', async () => {
    const what = { Patient: 'p0', Practitioner: 'doctor', PractitionerRole: 'role', Organization: 'ward', Encounter: 'visit', RelatedPerson: 'mother', Device: 'scanner', Location: 'room' };
    for (const type of PASSED_TYPES) {
      const reference = `${type}/${name(what[type])}`;
      expect([reference, (await client.get(reference)).json?.identifier?.[0]]).toEqual([reference, { system: SYSTEM, value: what[type] }]);
      expect(matches(await client.get(`${type}?identifier=${SYSTEM}|${what[type]}`))).toEqual([reference]);
    }
  });

  it('a read has HAPI\'s version, our addresses and no address of HAPI', async () => {
    const answer = await client.get(`Patient/${name('p0')}`);
    expect([answer.status, answer.headers.get('etag'), answer.headers.get('content-type')]).toEqual([200, 'W/"1"', 'application/fhir+json; charset=utf-8']);
    expect(Date.parse(answer.headers.get('last-modified') ?? '')).toBeGreaterThan(Date.now() - 3_600_000);
    expect(answer.json.managingOrganization.reference).toMatch(new RegExp(`^(${server.fhirBase}/)?Organization/${name('ward')}$`));
    expect(answer.json.text.div).toContain(`<a href="${server.fhirBase}/Patient/x">`);
    expect(answer.text).not.toContain(new URL(HAPI ?? '').host);
  });

  it('a client that has the version gets 304; HEAD has no body; the part that _elements names is tagged', async () => {
    const path = `Patient/${name('p0')}`;
    for (const tag of ['W/"1"', '"1"', '1', '*', 'W/"7", W/"1"']) expect([tag, (await client.get(path, { 'if-none-match': tag })).status]).toEqual([tag, 304]);
    expect((await client.get(path, { 'if-none-match': 'W/"2"' })).status).toBe(200);
    const since = (await client.get(path)).headers.get('last-modified') ?? '';
    expect((await client.get(path, { 'if-modified-since': new Date(Date.parse(since) + 1_000).toUTCString() })).status).toBe(304);
    const head = await client.call(path, { method: 'HEAD' });
    expect([head.status, head.text, head.headers.get('etag')]).toEqual([200, '', 'W/"1"']);
    const part = (await client.get(`${path}?_elements=birthDate`)).json;
    expect([Object.keys(part), part.meta.tag[0].code]).toEqual([['resourceType', 'id', 'meta', 'birthDate'], 'SUBSETTED']);
    expect((await client.get(`${path}?_summary=count`)).status).toBe(400);
  });

  it('each version is read; one that never was is 404; what was deleted is 410', async () => {
    const reference = await put('Organization', 'moved', { name: 'First' });
    await put('Organization', 'moved', { name: 'Second' });
    expect((await client.get(`${reference}/_history/1`)).json.name).toBe('First');
    expect((await client.get(reference)).json.name).toBe('Second');
    const [unknown, elsewhere] = [await client.get(`${reference}/_history/9`), await client.get(`Organization/${name('never')}`)];
    expect([unknown.status, unknown.json.issue[0].code, elsewhere.status]).toEqual([404, 'not-found', 404]);
    await hapi('DELETE', reference);
    const gone = await client.get(reference);
    expect([gone.status, gone.json.issue[0].code, (await client.get(`${reference}/_history/2`)).status]).toEqual([410, 'deleted', 200]);
  });

  it('a placeholder that HAPI made for a reference is nobody: not read, not found, not included, not counted', async () => {
    const placeholder = `Practitioner/${name('nobody')}`;
    expect((await hapi('GET', placeholder)).id).toBe(name('nobody'));
    expect([(await client.get(placeholder)).status, (await client.get(`${placeholder}/_history/1`)).status]).toEqual([404, 404]);
    const byId = await client.get(`Practitioner?_id=${name('nobody')},${name('doctor')}&_total=accurate`);
    expect([matches(byId), byId.json.total]).toEqual([[`Practitioner/${name('doctor')}`], 1]);
    expect((await client.get(`Practitioner?_id=${name('nobody')},${name('doctor')}&_summary=count`)).json.total).toBe(1);
    const included = await client.get(`Patient?identifier=${SYSTEM}|p0&_include=Patient:general-practitioner`);
    expect([matches(included), withMode(included, 'include')]).toEqual([[`Patient/${name('p0')}`], [`Practitioner/${name('doctor')}`]]);
    await hapi('PUT', placeholder, { resourceType: 'Practitioner', id: name('nobody'), name: [{ family: 'Somebody' }] });
    expect([(await client.get(placeholder)).status, (await client.get(`${placeholder}/_history/1`)).status]).toEqual([200, 404]);
  });

  it('pages are followed by links of ours, each match once, by GET and by POST', async () => {
    const query = `family=Family${run}&_sort=birthdate&_count=1`;
    const seen: string[] = [];
    let page = await client.post('Patient/_search', query, FORM);
    for (;;) {
      expect([page.status, page.json.total, page.text.includes('_getpages'), page.text.includes(new URL(HAPI ?? '').host)]).toEqual([200, 3, false, false]);
      expect(page.json.entry[0].fullUrl).toBe(`${server.fhirBase}/${matches(page)[0]}`);
      seen.push(...matches(page));
      const next = link(page, 'next');
      if (next === undefined) break;
      expect(next).toMatch(new RegExp(`^${server.fhirBase}/Patient\\?`));
      page = await client.get(next);
    }
    expect(seen).toEqual(['p0', 'p1', 'p2'].map((what) => `Patient/${name(what)}`));
    expect(link(page, 'self')).toContain('_cursor=');
  });

  it('a page is full although placeholders lie between its matches', async () => {
    const ids = Array.from({ length: 7 }, (_, at) => name(`void${at}`));
    await put('PractitionerRole', 'holder', { location: ids.map((id) => ({ reference: `Location/${id}` })) });
    written.push(...ids.map((id) => `Location/${id}`));
    await put('Location', 'zz', { name: `Last ${run}` });
    const among = [...ids, name('room'), name('zz')].join(',');
    const first = await client.get(`Location?_id=${among}&_sort=_id&_count=1&_total=accurate`);
    expect([matches(first), first.json.total]).toEqual([[`Location/${name('room')}`], 2]);
    const second = await client.get(link(first, 'next') ?? '');
    expect([matches(second), second.json.total, link(second, 'next')]).toEqual([[`Location/${name('zz')}`], 2, undefined]);
  });

  it('a cursor of another search, another organisation, or of nobody is 400', async () => {
    const first = await client.get(`Patient?family=Family${run}&_count=1`);
    const next = link(first, 'next') ?? '';
    const cursor = new URL(next).searchParams.get('_cursor') ?? '';
    for (const path of [`Patient?family=Other&_count=1&_cursor=${cursor}`, `Practitioner?_cursor=${cursor}`, `${next}x`, `Patient?family=Family${run}&_cursor=x.y`, `Patient?family=Family${run}&_cursor=${'%F0%9F%92%A9'}`]) {
      expect([path, (await client.get(path)).status]).toEqual([path, 400]);
    }
    expect((await client.get(next.replace('_count=1', '_count=2'))).status).toBe(200);
  });

  it('chains, _has, prefixes and modifiers reach HAPI', async () => {
    const among = (query: string): Promise<string[]> => client.get(query).then((answer) => matches(answer).map((reference) => reference.replace(`-${run}`, '')).sort());
    expect(await among(`Patient?general-practitioner:Practitioner.family=Doctor${run}&gender:not=male`)).toEqual(['Patient/rt-p1', 'Patient/rt-p2']);
    expect(await among(`Patient?organization.identifier=${SYSTEM}|ward&birthdate=ge1960&birthdate=lt1970-01-01`)).toEqual(['Patient/rt-p1']);
    expect(await among(`Patient?_has:Encounter:patient:identifier=${SYSTEM}|visit`)).toEqual(['Patient/rt-p0']);
    expect(await among(`Encounter?patient.family=Family${run}`)).toEqual(['Encounter/rt-visit']);
    expect(await among(`Encounter?subject=${server.fhirBase}/Patient/${name('p0')}`)).toEqual(['Encounter/rt-visit']);
    expect(await among(`Patient?family:exact=family${run}`)).toEqual([]);
    expect(await among(`Patient?identifier=${Array.from({ length: 300 }, (_, at) => `${SYSTEM}|no-such-value-${at}`).join(',')},${SYSTEM}|p2`)).toEqual(['Patient/rt-p2']);
  });

  it('what is not declared is left out and said, or refused where handling is strict', async () => {
    const lenient = await client.get(`Patient?family=Family${run}&_content=x`);
    expect([matches(lenient).length, withMode(lenient, 'outcome').length]).toEqual([3, 1]);
    expect((await client.get(`Patient?family=Family${run}&_content=x`, { prefer: 'handling=strict' })).status).toBe(400);
  });

  it('what HAPI does not accept is a 400 of ours, without a word of HAPI', async () => {
    const answer = await client.get('Patient?_lastUpdated=ge0001');
    expect([200, 400]).toContain(answer.status);
    for (const path of ['Patient?identifier=|||', `Patient?_id=${'x'.repeat(300)}`, 'Patient?_tag:not=', 'Patient?_sort=_id,_id', 'Patient?name=%5C', 'Patient?identifier=%22%27;--', 'Device?url=%00', 'Patient?_profile:below=a b', 'Encounter?length=gt5|x|y']) {
      const given = await client.get(path);
      expect([path, given.status < 500, given.text.includes('HAPI')]).toEqual([path, true, false]);
    }
  });

  it('a scope for one type opens no other: not by read, by include, by chain', async () => {
    const patients = fhirClient(server.fhirBase, await server.token({ scope: 'user/Patient.rs' }));
    expect([(await patients.get(`Patient/${name('p0')}`)).status, (await patients.get(`Practitioner/${name('doctor')}`)).status]).toEqual([200, 403]);
    const included = await patients.get(`Patient?identifier=${SYSTEM}|p0&_include=Patient:general-practitioner&_include=Patient:organization`);
    expect([matches(included).length, withMode(included, 'include')]).toEqual([1, []]);
    expect((await patients.get(`Patient?organization.name=x`)).status).toBe(403);
    expect((await patients.get(`Patient?_has:Encounter:patient:status=finished`)).status).toBe(403);
    const [reader, unknownRole] = [await server.token({ scope: 'user/Patient.r' }), await server.token({ roles: ['billing'] })];
    expect((await client.call(`Patient?family=x`, { token: reader })).status).toBe(403);
    expect((await client.call(`Patient/${name('p0')}`, { token: unknownRole })).status).toBe(403);
    expect((await client.call(`Patient/${name('p0')}`, { token: null })).status).toBe(401);
  });

  it('a token of one patient has that patient and what is theirs', async () => {
    const own = fhirClient(server.fhirBase, await server.token({ scope: 'patient/*.rs', patient: name('p0') }));
    const stranger = fhirClient(server.fhirBase, await server.token({ scope: 'patient/*.rs', patient: name('p1') }));
    const paths = [`Patient/${name('p0')}`, `Encounter/${name('visit')}`, `Practitioner/${name('doctor')}`];
    expect(await Promise.all(paths.map(async (path) => [(await own.get(path)).status, (await stranger.get(path)).status]))).toEqual([[200, 404], [200, 404], [404, 404]]);
    const found = await own.get(`Patient?family=Family${run}&_total=accurate`);
    expect([matches(found), found.json.total]).toEqual([[`Patient/${name('p0')}`], 1]);
    expect(matches(await own.get('Encounter'))).toContain(`Encounter/${name('visit')}`);
    expect(matches(await stranger.get(`Encounter?_id=${name('visit')}`))).toEqual([]);
    expect(matches(await own.get(`Patient?_id=${name('p1')}`))).toEqual([]);
    expect((await own.get(`Patient?organization.name=x`)).status).toBe(403);
  });

  it('another organisation than the first has no read-through, and is told so', async () => {
    const other = fhirClient(server.fhirBase, await server.token({ org: 'other-clinic' }));
    for (const path of [`Patient/${name('p0')}`, `Patient/${name('p0')}/_history/1`, `Patient?identifier=${SYSTEM}|p0`]) {
      const answer = await other.get(path);
      expect([path, answer.status, answer.json.issue[0].diagnostics]).toEqual([path, 404, expect.stringContaining('not passed on for the organisation other-clinic')]);
    }
  });

  it('an access names the patient and the version that HAPI showed; a search leaves one event for each patient', async () => {
    const id = randomUUID();
    await client.get(`Encounter/${name('visit')}`, { 'x-request-id': id });
    const [event] = await client.auditOf(id);
    const referenced = (one: Json): string[] => one.entity.flatMap((entity: Json) => (entity.what?.reference === undefined ? [] : [entity.what.reference]));
    expect([event.subtype[0].code, event.outcome, referenced(event)]).toEqual(['read', '0', [`Patient/${name('p0')}`, `Encounter/${name('visit')}/_history/1`]]);
    const searched = randomUUID();
    await client.get(`Patient?family=Family${run}&_include=Patient:organization`, { 'x-request-id': searched });
    const events = await client.auditOf(searched);
    expect(events.map((one) => referenced(one)[0]).sort()).toEqual(['p0', 'p1', 'p2'].map((what) => `Patient/${name(what)}`));
    expect(events.flatMap(referenced)).toContain(`Organization/${name('ward')}/_history/1`);
    const refused = randomUUID();
    await client.get(`Patient/${name('never')}`, { 'x-request-id': refused });
    expect((await client.auditOf(refused)).map((one) => one.outcome)).toEqual(['4']);
    expect(matches(await client.get(`AuditEvent?entity=Patient/${name('p0')}&_count=1000`)).length).toBeGreaterThan(1);
  });

  it('nothing is written: 405 with what is offered', async () => {
    const answers = await Promise.all([client.put(`Patient/${name('p0')}`, { resourceType: 'Patient', id: name('p0') }), client.delete(`Patient/${name('p0')}`), client.post('Patient', { resourceType: 'Patient' })]);
    expect(answers.map(({ status, headers }) => [status, headers.get('allow')])).toEqual([[405, 'GET, HEAD, OPTIONS'], [405, 'GET, HEAD, OPTIONS'], [405, 'GET, HEAD, OPTIONS']]);
  });

  it('the CapabilityStatement declares what is passed on, with parameters that HAPI declares as well', async () => {
    const { json } = await client.get('metadata');
    const theirs = await hapi('GET', 'metadata');
    for (const type of PASSED_TYPES) {
      const resource = json.rest[0].resource.find((one: Json) => one.type === type);
      expect(resource.interaction.map((one: Json) => one.code)).toEqual(['read', 'vread', 'search-type']);
      expect(resource.searchParam.map((one: Json) => one.name)).toEqual(passedParameters(type).map((parameter) => parameter.name));
      const declared = theirs.rest[0].resource.find((one: Json) => one.type === type).searchParam.map((one: Json) => one.name);
      expect([type, passedParameters(type).map((parameter) => parameter.name).filter((one) => !declared.includes(one))]).toEqual([type, []]);
    }
  });
});
