// What the mirror builds on in HAPI, one behaviour a test, so that an upgrade of HAPI that changes one fails by its name. The
// real HAPI JPA server, whose base stands in TEST_HAPI_URL.
import { describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: what HAPI does (TEST_HAPI_URL is not set)');

jest.setTimeout(60_000);

interface Answer {
  status: number;
  version: string | undefined;
  resource: { id?: string; meta?: { source?: string; versionId?: string; lastUpdated?: string; security?: unknown[]; tag?: unknown[]; profile?: unknown[] }; extension?: object[]; total?: number; link?: { relation: string }[]; entry?: { resource?: { id?: string; meta?: { source?: string } }; request?: { url?: string }; response?: { status?: string; location?: string } }[]; name?: object[]; resourceType?: string; target?: { reference: string }[] };
}

async function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${HAPI}/${path}`, {
    method, headers: { 'content-type': 'application/fhir+json', 'cache-control': 'no-cache', ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const version = /"(.+)"/.exec(response.headers.get('etag') ?? '')?.[1] ?? /_history\/(.+)$/.exec(response.headers.get('content-location') ?? response.headers.get('location') ?? '')?.[1];
  return { status: response.status, version, resource: (text === '' ? {} : JSON.parse(text)) as Answer['resource'] };
}

const list = (id: string, more: object = {}): object => ({ resourceType: 'List', id, status: 'current', mode: 'working', ...more });
const ids = (answer: Answer): (string | undefined)[] => (answer.resource.entry ?? []).map(({ resource }) => resource?.id);

(HAPI === undefined ? describe.skip : describe)('HAPI', () => {
  const mark = `k${randomBytes(6).toString('hex')}`;
  const source = (id: string, version: number): string => `urn:muniment:${mark}/List/${id}/_history/${version}`;

  it('takes numeric ids of ours', async () => {
    const id = String(Math.floor(1e12 + Math.random() * 1e12));
    expect(await ask('PUT', `List/${id}`, list(id))).toMatchObject({ status: 201, version: '1' });
  });

  it('makes no version of an equal body, and its source goes on to name the earlier one', async () => {
    const id = randomUUID();
    for (const version of [1, 2]) expect(await ask('PUT', `List/${id}`, list(id, { meta: { source: source(id, version) } }))).toMatchObject({ version: '1' });
    expect((await ask('GET', `List/${id}`)).resource.meta?.source).toBe(source(id, 1));
  });

  it('keeps meta.source as it is sent, in each version', async () => {
    const id = randomUUID();
    for (const version of [1, 2]) await ask('PUT', `List/${id}`, list(id, { title: `v${version}`, meta: { source: source(id, version) } }));
    for (const version of [1, 2]) expect((await ask('GET', `List/${id}/_history/${version}`)).resource.meta?.source).toBe(source(id, version));
  });

  it('merges labels, and replaces them under X-Meta-Snapshot-Mode', async () => {
    const id = randomUUID();
    const label = { meta: { tag: [{ system: 'urn:t', code: 'one' }], security: [{ system: 'urn:s', code: 'R' }], profile: ['http://example.org/p'] } };
    await ask('PUT', `List/${id}`, list(id, label));
    expect((await ask('PUT', `List/${id}`, list(id, { title: 'b' }))).resource.meta?.tag).toHaveLength(1);
    await ask('PUT', `List/${id}`, list(id, { title: 'c' }), { 'x-meta-snapshot-mode': 'TAG,PROFILE,SECURITY_LABEL' });
    const { meta } = (await ask('GET', `List/${id}`)).resource;
    expect([meta?.tag, meta?.security, meta?.profile]).toEqual([undefined, undefined, undefined]);
  });

  it('creates under If-Match W/"0" and never replaces; refuses another version with 409', async () => {
    const id = randomUUID();
    expect((await ask('PUT', `List/${id}`, list(id), { 'if-match': 'W/"0"' })).status).toBe(201);
    expect((await ask('PUT', `List/${id}`, list(id, { title: 'b' }), { 'if-match': 'W/"0"' })).status).toBe(409);
    expect((await ask('PUT', `List/${id}`, list(id, { title: 'b' }), { 'if-match': 'W/"1"' })).status).toBe(200);
    expect((await ask('PUT', `List/${id}`, list(id, { title: 'c' }), { 'if-match': 'W/"1"' })).status).toBe(409);
  });

  it('refuses in a transaction an If-Match that names another version', async () => {
    const id = randomUUID();
    await ask('PUT', `List/${id}`, list(id));
    const bundle = (ifMatch: string): object => ({ resourceType: 'Bundle', type: 'transaction', entry: [{ resource: list(id, { title: ifMatch }), request: { method: 'PUT', url: `List/${id}`, ifMatch } }] });
    expect((await ask('POST', '', bundle('W/"7"'))).status).toBe(409);
    expect((await ask('POST', '', bundle('W/"1"'))).status).toBe(200);
  });

  const put = (resource: object & { resourceType?: string; id?: string }, ifMatch: string): object => ({ resource, request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}`, ifMatch: `W/"${ifMatch}"` } });
  const transaction = (...entry: object[]): Promise<Answer> => ask('POST', '', { resourceType: 'Bundle', type: 'transaction', entry }, { 'x-meta-snapshot-mode': 'TAG,PROFILE,SECURITY_LABEL' });
  const document = (id: string, more: object = {}) => ({ resourceType: 'DocumentReference', id, status: 'current', ...more });

  it('creates in a transaction under If-Match W/"0" and never replaces: neither what is there, nor what was deleted, nor a placeholder', async () => {
    const [there, deleted, absent, list1] = Array.from({ length: 4 }, () => randomUUID()) as [string, string, string, string];
    for (const id of [there, deleted]) await ask('PUT', `DocumentReference/${id}`, document(id));
    await ask('DELETE', `DocumentReference/${deleted}`);
    await ask('PUT', `List/${list1}`, list(list1, { entry: [{ item: { reference: `DocumentReference/${absent}` } }] }));
    for (const id of [there, deleted, absent]) {
      const fresh = randomUUID();
      expect((await transaction(put(document(fresh), '0'), put(document(id, { description: 'other' }), '0'))).status).toBe(409);
      expect((await ask('GET', `DocumentReference/${fresh}`)).status).toBe(404);
    }
    expect((await transaction(put(document(deleted, { description: 'again' }), '2'), put(document(absent, { description: 'ours' }), '1'))).status).toBe(200);
  });

  it('answers a transaction entry for entry with the versions that it made, also where the body was equal', async () => {
    const [one, two] = [randomUUID(), randomUUID()];
    const locations = (answer: Answer): (string | undefined)[] => (answer.resource.entry ?? []).map(({ response }) => `${response?.status?.slice(0, 3)} ${response?.location}`);
    expect(locations(await transaction(put(document(two), '0'), put(document(one), '0')))).toEqual([`201 DocumentReference/${two}/_history/1`, `201 DocumentReference/${one}/_history/1`]);
    expect(locations(await transaction(put(document(two), '1'), put(document(one, { description: 'b' }), '1')))).toEqual([`200 DocumentReference/${two}/_history/1`, `200 DocumentReference/${one}/_history/2`]);
  });

  it('makes no placeholder of what the same transaction brings, and keeps the version in its Provenance', async () => {
    const [first, second, bytes, provenance] = Array.from({ length: 4 }, () => randomUUID()) as [string, string, string, string];
    await transaction(
      put({ resourceType: 'Provenance', id: provenance, target: [{ reference: `DocumentReference/${first}/_history/1` }], recorded: '2024-01-01T00:00:00Z', agent: [{ who: { display: 'test' } }] } as object, '0'),
      put(document(first, { relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${second}` } }] }), '0'),
      put({ resourceType: 'Binary', id: bytes, contentType: 'text/plain', securityContext: { reference: `DocumentReference/${first}` } } as object, '0'), put(document(second), '0'),
    );
    for (const id of [first, second]) expect(await ask('GET', `DocumentReference/${id}`)).toMatchObject({ version: '1', resource: { resourceType: 'DocumentReference' } });
    expect((await ask('GET', `DocumentReference/${second}`)).resource.extension).toBeUndefined();
    expect((await ask('GET', `Provenance/${provenance}`)).resource.target?.[0]?.reference).toBe(`DocumentReference/${first}/_history/1`);
  });

  it('replaces labels in a transaction under X-Meta-Snapshot-Mode', async () => {
    const id = randomUUID();
    await transaction(put(document(id, { meta: { tag: [{ system: 'urn:t', code: 'one' }], security: [{ system: 'urn:s', code: 'R' }] } }), '0'));
    await transaction(put(document(id, { description: 'b' }), '1'));
    const { meta } = (await ask('GET', `DocumentReference/${id}`)).resource;
    expect([meta?.tag, meta?.security]).toEqual([undefined, undefined]);
  });

  it('removes by $expunge what was before a deletion, and the deletion stays; what refers to it is no obstacle', async () => {
    const [id, provenance] = [randomUUID(), randomUUID()];
    for (const description of ['a', 'b']) await ask('PUT', `DocumentReference/${id}`, document(id, { description }));
    await ask('PUT', `Provenance/${provenance}`, { resourceType: 'Provenance', id: provenance, target: [{ reference: `DocumentReference/${id}/_history/1` }], recorded: '2024-01-01T00:00:00Z', agent: [{ who: { display: 'test' } }] });
    await ask('DELETE', `DocumentReference/${id}`);
    const expunged = await ask('POST', `DocumentReference/${id}/$expunge`, { resourceType: 'Parameters', parameter: [{ name: 'expungePreviousVersions', valueBoolean: true }, { name: 'limit', valueInteger: 1_000 }] });
    expect(expunged.status).toBe(200);
    expect(await ask('GET', `DocumentReference/${id}`)).toMatchObject({ status: 410, version: '3' });
    for (const version of [1, 2]) expect((await ask('GET', `DocumentReference/${id}/_history/${version}`)).status).toBe(404);
  });

  it('lays no placeholder over what arrives at the same moment, and answers neither writer with a conflict', async () => {
    const patients = Array.from({ length: 30 }, () => `${mark}-${randomUUID()}`);
    for (const id of patients) {
      const [patient, first] = await Promise.all([
        ask('PUT', `Patient/${id}`, { resourceType: 'Patient', id, name: [{ family: 'Ist da' }] }),
        ask('PUT', `DocumentReference/${id}`, document(id, { subject: { reference: `Patient/${id}` } }), { 'x-retry-on-version-conflict': 'retry; max-retries=5' }),
      ]);
      expect([[200, 201].includes(patient.status), first.status]).toEqual([true, 201]);
    }
    const held = await Promise.all(patients.map((id) => ask('GET', `Patient/${id}`)));
    expect(held.filter(({ resource }) => resource.name === undefined)).toEqual([]);
  });

  it('makes a placeholder of what was deleted, so that what refers to it is taken', async () => {
    const [id, other] = [randomUUID(), randomUUID()];
    await ask('PUT', `List/${id}`, list(id, { title: 'there' }));
    await ask('DELETE', `List/${id}`);
    expect((await ask('PUT', `List/${other}`, list(other, { entry: [{ item: { reference: `List/${id}` } }] }))).status).toBe(201);
    expect((await ask('GET', `List/${id}`)).resource.extension).toBeDefined();
  });

  it('deletes at the address of a version only the current one, and says which version the deletion made', async () => {
    const id = randomUUID();
    for (const title of ['a', 'b']) await ask('PUT', `List/${id}`, list(id, { title }));
    expect((await ask('DELETE', `List/${id}/_history/1`)).status).toBe(409);
    expect(await ask('DELETE', `List/${id}/_history/2`)).toMatchObject({ status: 200, version: '3' });
    expect(await ask('GET', `List/${id}`)).toMatchObject({ status: 410, version: '3', resource: { resourceType: 'OperationOutcome' } });
  });

  it('makes a placeholder that says so for a reference to nothing, and takes ours in its place', async () => {
    const [id, absent] = [randomUUID(), randomUUID()];
    await ask('PUT', `List/${id}`, list(id, { entry: [{ item: { reference: `List/${absent}` } }] }));
    expect((await ask('GET', `List/${absent}`)).resource.extension).toContainEqual({ url: 'http://hapifhir.io/fhir/StructureDefinition/resource-placeholder', valueBoolean: true });
    expect((await ask('PUT', `List/${absent}`, list(absent), { 'if-match': 'W/"1"' })).status).toBe(200);
    expect((await ask('GET', `List/${absent}`)).resource.extension).toBeUndefined();
  });

  it('keeps the version in Provenance.target, and removes it elsewhere', async () => {
    const [id, provenance, other] = [randomUUID(), randomUUID(), randomUUID()];
    await ask('PUT', `List/${id}`, list(id));
    await ask('PUT', `Provenance/${provenance}`, { resourceType: 'Provenance', id: provenance, target: [{ reference: `List/${id}/_history/1` }], recorded: '2024-01-01T00:00:00Z', agent: [{ who: { display: 'test' } }] });
    await ask('PUT', `List/${other}`, list(other, { entry: [{ item: { reference: `List/${id}/_history/1` } }] }));
    expect((await ask('GET', `Provenance/${provenance}`)).resource.target?.[0]?.reference).toBe(`List/${id}/_history/1`);
    expect(JSON.stringify((await ask('GET', `List/${other}`)).resource)).toContain(`"reference":"List/${id}"`);
  });

  it('searches by ids and by the beginning of meta.source, counts, and walks in the order of meta.lastUpdated', async () => {
    const made = Array.from({ length: 3 }, () => randomUUID());
    const begun = new Date(Date.now() - 60_000).toISOString();
    const own = `urn:muniment:${mark}w/`;
    for (const id of made) await ask('PUT', `List/${id}`, list(id, { meta: { source: `${own}List/${id}/_history/1` } }));
    expect(ids(await ask('GET', `List?_id=${made.join(',')}&_count=50&_offset=0&_total=none`)).sort()).toEqual([...made].sort());
    const below = `List?_source:below=${encodeURIComponent(own)}`;
    expect((await ask('GET', `${below}&_summary=count`)).resource.total).toBe(3);
    const walk = await ask('GET', `${below}&_lastUpdated=ge${begun}&_sort=_lastUpdated,_id&_elements=id,meta,extension&_count=2&_offset=0&_total=none`);
    expect(ids(walk)).toEqual(made.slice(0, 2));
    expect(walk.resource.link?.map(({ relation }) => relation)).toContain('next');
    const last = (await ask('GET', `List/${made[2]}`)).resource.meta?.lastUpdated ?? '';
    expect(ids(await ask('GET', `${below}&_lastUpdated=ge${begun}&_lastUpdated=lt${encodeURIComponent(last)}&_sort=_lastUpdated,_id&_count=200&_offset=0&_total=none`))).toEqual(made.slice(0, 2));
    expect(walk.resource.entry?.[0]?.resource?.meta?.source).toBe(`${own}List/${made[0]}/_history/1`);
  });

  it('tells in its history what changed since an instant, page by page', async () => {
    const begun = new Date(Date.now() - 1_000).toISOString();
    const id = randomUUID();
    await ask('PUT', `List/${id}`, list(id));
    await ask('DELETE', `List/${id}`);
    const history = await ask('GET', `_history?_since=${begun}&_count=2&_elements=id,meta`);
    expect(history.resource.entry).toHaveLength(2);
    expect(history.resource.entry?.map(({ request }) => request?.url ?? '').join()).toMatch(/^[A-Z]\w+\/.+,[A-Z]\w+\/.+$/);
  });

  it('answers a short question for its metadata', async () => {
    const answer = await ask('GET', 'metadata?_elements=fhirVersion');
    expect(answer).toMatchObject({ status: 200, resource: { resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' } });
    expect(JSON.stringify(answer.resource).length).toBeLessThan(20_000);
  });
});
