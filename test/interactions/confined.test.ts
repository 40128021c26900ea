// Tokens that are confined (SMART App Launch 2.2; conformance SM-03 to SM-16, SM-40): to a patient's compartment, to the
// query of a scope, to the categories of a role. Every interaction is walked against documents of two patients.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;
/** patient/*.cruds of p1, as an app that a practitioner launched. */
let ofP1: FhirClient;
/** user/DocumentReference.cruds?category=alpha */
let ofAlpha: FhirClient;
let billing: FhirClient;

const [P1, P2] = [`p1-${randomUUID()}`, `p2-${randomUUID()}`];
const category = (...codes: string[]): { category: object[] } => ({ category: codes.map((code) => ({ coding: [{ system: 'urn:categories', code }] })) });
const about = (patient: string, code: string, more: Record<string, unknown> = {}): Record<string, unknown> => documentReference({ subject: { reference: `Patient/${patient}` }, ...category(code), ...more });
const as = async (options: TokenOptions): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token(options));
const idsIn = ({ json }: Answer): string[] => (json.entry ?? []).map((entry: { resource?: { id: string } }) => entry.resource?.id).sort();
const made = async (body: object, type = 'DocumentReference'): Promise<string> => {
  const answer = await admin.post(type, body);
  expect(answer.status).toBe(201);
  return answer.json.id;
};

let own: string;
let others: string;
let ownBeta: string;
let ownList: string;
let othersList: string;
let ownMedia: string;
let othersMedia: string;
let othersBinary: string;
let ownBinary: string;
let betaBinary: string;

const binaryOf = ({ json }: Answer): string => json.content[0].attachment.url.split('/').at(-1);
const withBytes = (text: string): Record<string, unknown> => ({ content: [{ attachment: { contentType: 'text/plain', data: Buffer.from(text).toString('base64') } }] });

beforeAll(async () => {
  server = await startMuniment();
  admin = await as({});
  ofP1 = await as({ scope: 'patient/*.cruds', patient: P1, roles: ['admin'], user: 'Practitioner/ann', client: 'app' });
  ofAlpha = await as({ scope: 'user/DocumentReference.cruds?category=urn:categories|alpha', roles: ['admin'], user: 'Practitioner/ann', client: 'app' });
  billing = await as({ roles: ['billing'], user: 'Practitioner/bill' });
  own = await made(about(P1, 'alpha', withBytes('own')));
  others = await made(about(P2, 'alpha', withBytes('others')));
  ownBeta = await made(about(P1, 'beta', withBytes('beta')));
  ownList = await made({ resourceType: 'List', status: 'current', mode: 'working', subject: { reference: `Patient/${P1}` }, entry: [{ item: { reference: `DocumentReference/${own}` } }] }, 'List');
  othersList = await made({ resourceType: 'List', status: 'current', mode: 'working', subject: { reference: `Patient/${P2}` }, entry: [{ item: { reference: `DocumentReference/${own}` } }, { item: { reference: `DocumentReference/${others}` } }] }, 'List');
  ownMedia = await made(media({ subject: { reference: `Patient/${P1}` } }), 'Media');
  othersMedia = await made(media({ subject: { reference: `Patient/${P2}` } }), 'Media');
  [ownBinary, othersBinary, betaBinary] = (await Promise.all([own, others, ownBeta].map((id) => admin.get(`DocumentReference/${id}`)))).map(binaryOf) as [string, string, string];
});
afterAll(() => server.stop());

/** Status of each way to one resource; what would change it comes with a body that is valid. */
async function walk(client: FhirClient, id: string, body: Record<string, unknown>): Promise<Record<string, number>> {
  const path = `DocumentReference/${id}`;
  const patch = JSON.stringify([{ op: 'add', path: '/description', value: randomUUID() }]);
  const status = async (call: Promise<Answer>): Promise<number> => (await call).status;
  return {
    read: await status(client.get(path)),
    head: await status(client.call(path, { method: 'HEAD' })),
    known: await status(client.get(path, { 'if-none-match': 'W/"1"' })),
    vread: await status(client.get(`${path}/_history/1`)),
    history: await status(client.get(`${path}/_history`)),
    validate: await status(client.get(`${path}/$validate`)),
    update: await status(client.put(path, { ...body, id, description: randomUUID() })),
    stale: await status(client.put(path, { ...body, id }, { 'if-match': 'W/"99"' })),
    patch: await status(client.call(path, { method: 'PATCH', body: patch, headers: { 'content-type': 'application/json-patch+json' } })),
    failingPatch: await status(client.call(path, { method: 'PATCH', body: JSON.stringify([{ op: 'test', path: '/status', value: 'superseded' }]), headers: { 'content-type': 'application/json-patch+json' } })),
    delete: await status(client.delete(path, { 'if-match': 'W/"99"' })),
  };
}

const everywhere = (status: number): Record<string, number> => Object.fromEntries(['read', 'head', 'known', 'vread', 'history', 'validate', 'update', 'stale', 'patch', 'failingPatch', 'delete'].map((name) => [name, status]));
const OWN = { read: 200, head: 200, known: 304, vread: 200, history: 200, validate: 200, update: 200, stale: 412, patch: 200, failingPatch: 422, delete: 412 };

describe('a resource', () => {
  it('of the token’s patient is there, however it is asked for', async () => {
    const id = await made(about(P1, 'alpha'));
    expect(await walk(ofP1, id, about(P1, 'alpha'))).toEqual(OWN);
  });

  it('of another patient is 404, whatever is asked', async () => {
    expect(await walk(ofP1, others, about(P1, 'alpha'))).toEqual(everywhere(404));
    for (const path of [`Media/${othersMedia}`, `List/${othersList}`]) expect([path, (await ofP1.get(path)).status]).toEqual([path, 404]);
    for (const path of [`Media/${ownMedia}`, `List/${ownList}`]) expect([path, (await ofP1.get(path)).status]).toEqual([path, 200]);
  });

  it('within the query of the scope is there, outside it is 403', async () => {
    const id = await made(about(P2, 'alpha'));
    expect(await walk(ofAlpha, id, about(P2, 'alpha'))).toEqual(OWN);
    expect(await walk(ofAlpha, ownBeta, about(P1, 'alpha'))).toEqual(everywhere(403));
    expect((await ofAlpha.get(`Media/${ownMedia}`)).status).toBe(403);
  });

  it('that left the patient takes its history along', async () => {
    const id = await made(about(P1, 'alpha'));
    expect((await admin.put(`DocumentReference/${id}`, { ...about(P2, 'alpha'), id })).status).toBe(200);
    for (const path of [`DocumentReference/${id}`, `DocumentReference/${id}/_history/1`, `DocumentReference/${id}/_history`]) expect([path, (await ofP1.get(path)).status]).toEqual([path, 404]);
    const ofP2 = await as({ scope: 'patient/*.rs', patient: P2 });
    expect((await ofP2.get(`DocumentReference/${id}/_history/1`)).status).toBe(404);
    const history = await ofP2.get(`DocumentReference/${id}/_history`);
    expect([history.json.total, history.json.entry.length]).toEqual([1, 1]);
  });

  it('that was deleted is gone for its patient, and unknown to another', async () => {
    const id = await made(about(P1, 'alpha'));
    await admin.delete(`DocumentReference/${id}`);
    expect((await ofP1.get(`DocumentReference/${id}`)).status).toBe(410);
    expect((await (await as({ scope: 'patient/*.rs', patient: P2 })).get(`DocumentReference/${id}`)).status).toBe(404);
  });

  it('is made under an unknown id by a user, and by no patient’s token', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    expect((await ofP1.put(`DocumentReference/${first}`, { ...about(P1, 'alpha'), id: first })).status).toBe(404);
    expect((await ofAlpha.put(`DocumentReference/${second}`, { ...about(P1, 'alpha'), id: second })).status).toBe(201);
    expect((await ofP1.put(`Binary/${first}`, 'x', { 'content-type': 'text/plain' })).status).toBe(404);
  });
});

describe('what a write makes', () => {
  it('is the patient’s own, or 403', async () => {
    expect((await ofP1.post('DocumentReference', about(P1, 'beta'))).status).toBe(201);
    expect((await ofP1.post('DocumentReference', about(P2, 'beta'))).status).toBe(403);
    expect((await ofP1.post('DocumentReference', documentReference({ subject: undefined }))).status).toBe(403);
    expect((await ofP1.post('DocumentReference', about(P2, 'beta', { author: [{ reference: `Patient/${P1}` }] }))).status).toBe(403);
    expect((await ofP1.post('DocumentReference', about(P1, 'beta', { author: [{ reference: `Patient/${P2}` }] }))).status).toBe(403);
    const id = await made(about(P1, 'alpha'));
    expect((await ofP1.put(`DocumentReference/${id}`, { ...about(P2, 'alpha'), id })).status).toBe(403);
    const patch = JSON.stringify([{ op: 'replace', path: '/subject/reference', value: `Patient/${P2}` }]);
    expect((await ofP1.call(`DocumentReference/${id}`, { method: 'PATCH', body: patch, headers: { 'content-type': 'application/json-patch+json' } })).status).toBe(403);
    expect((await admin.get(`DocumentReference/${id}`)).json.meta.versionId).toBe('1');
  });

  it('is within the query, or 403, also when it was before', async () => {
    expect((await ofAlpha.post('DocumentReference', about(P1, 'alpha'))).status).toBe(201);
    expect((await ofAlpha.post('DocumentReference', about(P1, 'beta'))).status).toBe(403);
    const id = await made(about(P1, 'alpha'));
    expect((await ofAlpha.put(`DocumentReference/${id}`, { ...about(P1, 'beta'), id })).status).toBe(403);
    expect((await ofAlpha.put(`DocumentReference/${id}`, { ...about(P1, 'alpha', category('alpha', 'beta')), id })).status).toBe(200);
  });

  it('refers to no document that is hidden, which is told like one that is not there', async () => {
    const refusals = await Promise.all([others, randomUUID()].map((id) => ofP1.post('DocumentReference', about(P1, 'alpha', { context: { related: [{ reference: `DocumentReference/${id}` }] } }))));
    expect(refusals.map(({ status, json }) => [status, json.issue[0].details.coding[0].code])).toEqual([[422, 'reference-target'], [422, 'reference-target']]);
    expect((await ofP1.post('DocumentReference', about(P1, 'alpha', { context: { related: [{ reference: `DocumentReference/${ownBeta}` }] } }))).status).toBe(201);
    const replacing = await ofP1.post('DocumentReference', about(P1, 'alpha', { relatesTo: [{ code: 'replaces', target: { reference: `DocumentReference/${others}` } }] }));
    expect(replacing.status).toBe(422);
    expect((await admin.get(`DocumentReference/${others}`)).json.status).toBe('current');
  });

  it('points to no bytes that are hidden', async () => {
    const refusals = await Promise.all([othersBinary, randomUUID()].map((id) => ofP1.post('DocumentReference', about(P1, 'alpha', { content: [{ attachment: { contentType: 'text/plain', url: `Binary/${id}` } }] }))));
    expect(refusals.map(({ status, json }) => [status, json.issue[0].details.coding[0].code])).toEqual([[422, 'unknown-binary'], [422, 'unknown-binary']]);
    expect((await ofP1.post('DocumentReference', about(P1, 'alpha', { content: [{ attachment: { contentType: 'text/plain', url: `Binary/${ownBinary}` } }] }))).status).toBe(201);
  });
});

describe('a search', () => {
  const searches = ['DocumentReference?_count=1000', `DocumentReference?patient=${P2}`, `DocumentReference?_count=0&_id=OTHERS`, `DocumentReference?_id=OTHERS&_total=accurate`, `Patient/${P2}/DocumentReference`, `Patient/${P2}/*`, `Media?patient=${P2}`, '_history', 'DocumentReference/_history', 'List/_history'];

  it.each(searches)('%s shows nothing of another patient', async (search) => {
    const answer = await ofP1.get(search.replace('OTHERS', others));
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain(`"reference":"Patient/${P2}"`);
    if (search.includes(P2) || search.includes('OTHERS')) expect([answer.json.total, answer.json.entry ?? []]).toEqual([0, []]);
    else expect(answer.text).toContain(own);
  });

  it('finds all that is the patient’s, by GET and by POST, page by page, and counts it', async () => {
    const wanted = idsIn(await admin.get(`DocumentReference?patient=${P1}&_count=1000`));
    const whole = await ofP1.get('DocumentReference?_count=1000&_total=accurate');
    expect([idsIn(whole), whole.json.total]).toEqual([wanted, wanted.length]);
    expect(idsIn(await ofP1.call('DocumentReference/_search', { method: 'POST', body: '_count=1000', headers: { 'content-type': 'application/x-www-form-urlencoded' } }))).toEqual(wanted);
    const paged: string[] = [];
    for (let url: string | undefined = 'DocumentReference?_count=2'; url !== undefined;) {
      const page: Answer = await ofP1.get(url);
      paged.push(...idsIn(page));
      url = page.json.link.find((link: { relation: string }) => link.relation === 'next')?.url;
    }
    expect(paged.sort()).toEqual(wanted);
    expect((await ofP1.get('DocumentReference?_summary=count')).json.total).toBe(wanted.length);
  });

  it('finds what the query of the scope finds', async () => {
    const wanted = idsIn(await admin.get('DocumentReference?category=urn:categories|alpha&_count=1000'));
    const found = await ofAlpha.get('DocumentReference?_count=1000&_total=accurate');
    expect([idsIn(found), found.json.total]).toEqual([wanted, wanted.length]);
    expect((await ofAlpha.get(`DocumentReference?_id=${ownBeta}&_total=accurate`)).json.total).toBe(0);
    expect((await ofAlpha.get('DocumentReference?category=beta&_total=accurate')).json.entry.every(({ resource }: { resource: { category: object[] } }) => resource.category.length === 2)).toBe(true);
    const versions = await ofAlpha.get('DocumentReference/_history?_count=1000');
    expect(idsIn(versions)).toContain(own);
    expect(idsIn(versions)).not.toContain(ownBeta);
  });

  it('adds up what several scopes grant', async () => {
    const both = await as({ scope: 'patient/DocumentReference.rs user/DocumentReference.rs?category=urn:categories|alpha&status=current', patient: P1 });
    const found = idsIn(await both.get('DocumentReference?_count=1000'));
    expect(found).toEqual(expect.arrayContaining([own, others, ownBeta]));
    const beta = await made(about(P2, 'beta'));
    expect(idsIn(await both.get('DocumentReference?_count=1000'))).not.toContain(beta);
    expect((await both.get(`DocumentReference/${beta}`)).status).toBe(403);
  });

  it('includes nothing of another patient, forwards and backwards', async () => {
    const forwards = await admin.get(`List?_id=${othersList}&_include=List:item`);
    expect(idsIn(forwards)).toEqual([othersList, own, others].sort());
    const shared = await made({ resourceType: 'List', status: 'current', mode: 'working', subject: { reference: `Patient/${P1}` }, entry: [{ item: { reference: `DocumentReference/${others}` } }, { item: { reference: `DocumentReference/${own}` } }] }, 'List');
    expect(idsIn(await ofP1.get(`List?_id=${shared}&_include=List:item`))).toEqual([own, shared].sort());
    expect(idsIn(await ofP1.get(`DocumentReference?_id=${own}&_revinclude=List:item`))).toEqual([own, ownList, shared].sort());
    const alphaAndLists = await as({ scope: 'user/List.rs user/DocumentReference.rs?category=alpha' });
    const mixed = await made({ resourceType: 'List', status: 'current', mode: 'working', entry: [{ item: { reference: `DocumentReference/${ownBeta}` } }, { item: { reference: `DocumentReference/${own}` } }] }, 'List');
    expect(idsIn(await alphaAndLists.get(`List?_id=${mixed}&_include=List:item`))).toEqual([own, mixed].sort());
  });

  it('reaches nothing of another patient by chains and _has', async () => {
    expect(idsIn(await ofP1.get(`DocumentReference?_has:List:item:_id=${othersList}`))).toEqual([]);
    expect(idsIn(await ofP1.get(`DocumentReference?_has:List:item:_id=${ownList}`))).toEqual([own]);
    expect(idsIn(await ofP1.get(`List?item:DocumentReference._id=${others}`))).toEqual([]);
    expect(idsIn(await admin.get(`List?item:DocumentReference._id=${others}`))).toContain(othersList);
    expect(idsIn(await ofP1.get(`List?item:DocumentReference._id=${own}&_count=1000`))).toContain(ownList);
  });
});

describe('conditional interactions', () => {
  it('do not know what is hidden', async () => {
    const value = randomUUID();
    const identified = (patient: string, code = 'alpha'): Record<string, unknown> => about(patient, code, { identifier: [{ system: 'urn:confined', value }] });
    const hidden = await made(identified(P2));
    const criteria = `identifier=urn:confined|${value}`;
    expect((await ofP1.call(`DocumentReference?${criteria}`, { method: 'PATCH', body: '[]', headers: { 'content-type': 'application/json-patch+json' } })).status).toBe(404);
    expect((await ofP1.delete(`DocumentReference?${criteria}`)).status).toBe(204);
    expect((await admin.get(`DocumentReference/${hidden}`)).status).toBe(200);
    const created = await ofP1.post('DocumentReference', identified(P1), { 'if-none-exist': criteria });
    expect([created.status, created.json.id === hidden]).toEqual([201, false]);
    const found = await ofP1.post('DocumentReference', identified(P1), { 'if-none-exist': criteria });
    expect([found.status, found.json.id]).toEqual([200, created.json.id]);
    const updated = await ofP1.put(`DocumentReference?${criteria}`, { ...identified(P1), description: 'new' });
    expect([updated.status, updated.json.id]).toEqual([200, created.json.id]);
    expect((await ofP1.put(`DocumentReference?${criteria}`, identified(P2))).status).toBe(403);
  });
});

describe('Bundles', () => {
  const bundle = (type: string, ...entry: object[]): object => ({ resourceType: 'Bundle', type, entry });

  it('are judged entry by entry', async () => {
    const batch = await ofP1.post('', bundle('batch',
      { request: { method: 'GET', url: `DocumentReference/${own}` } }, { request: { method: 'GET', url: `DocumentReference/${others}` } }, { request: { method: 'GET', url: `DocumentReference?patient=${P2}` } },
      { request: { method: 'DELETE', url: `DocumentReference/${others}` } }, { resource: about(P2, 'alpha'), request: { method: 'POST', url: 'DocumentReference' } },
      { request: { method: 'GET', url: `Binary/${othersBinary}` } }));
    expect(batch.json.entry.map(({ response }: { response: { status: string } }) => response.status.slice(0, 3))).toEqual(['200', '404', '200', '404', '403', '404']);
    expect(batch.json.entry[2].resource.entry).toBeUndefined();
  });

  it('are refused whole where one entry lies outside', async () => {
    const statuses = await Promise.all([
      ofP1.post('', bundle('transaction', { resource: about(P1, 'alpha'), request: { method: 'POST', url: 'DocumentReference' } }, { resource: about(P2, 'alpha'), request: { method: 'POST', url: 'DocumentReference' } })),
      ofP1.post('', bundle('transaction', { request: { method: 'GET', url: `DocumentReference/${others}` } })),
      ofP1.post('', bundle('transaction', { request: { method: 'DELETE', url: `DocumentReference/${others}` } })),
      ofP1.post('', bundle('transaction', { resource: about(P1, 'alpha'), request: { method: 'POST', url: 'DocumentReference' } })),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([403, 404, 404, 200]);
  });

  it('link documents and bytes of their own', async () => {
    const answer = await ofP1.post('', bundle('transaction',
      { fullUrl: 'urn:uuid:0b000000-0000-4000-8000-000000000001', resource: { resourceType: 'Binary', contentType: 'text/plain', data: 'eA==' }, request: { method: 'POST', url: 'Binary' } },
      { fullUrl: 'urn:uuid:0b000000-0000-4000-8000-000000000002', resource: about(P1, 'alpha', { content: [{ attachment: { contentType: 'text/plain', url: 'urn:uuid:0b000000-0000-4000-8000-000000000001' } }] }), request: { method: 'POST', url: 'DocumentReference' } },
      { resource: { resourceType: 'List', status: 'current', mode: 'working', subject: { reference: `Patient/${P1}` }, entry: [{ item: { reference: 'urn:uuid:0b000000-0000-4000-8000-000000000002' } }] }, request: { method: 'POST', url: 'List' } }));
    expect(answer.status).toBe(200);
  });
});

describe('bytes', () => {
  const ways = async (client: FhirClient, id: string): Promise<number[]> => Promise.all([
    client.get(`Binary/${id}`), client.call(`Binary/${id}`, { method: 'HEAD' }), client.get(`Binary/${id}`, { range: 'bytes=0-0' }), client.get(`Binary/${id}`, { accept: 'application/fhir+json' }),
    client.get(`Binary/${id}/_history/1`), client.get(`Binary/${id}/_history`),
  ].map((call) => call.then(({ status }) => status)));

  it('are read through a document that may be read', async () => {
    const [found, unknown, refused] = [[200, 200, 206, 200, 200, 200], Array(6).fill(404), Array(6).fill(403)];
    expect(await ways(ofP1, ownBinary)).toEqual(found);
    expect(await ways(ofP1, othersBinary)).toEqual(unknown);
    expect(await ways(ofAlpha, ownBinary)).toEqual(found);
    expect(await ways(ofAlpha, betaBinary)).toEqual(refused);
  });

  it('are their creator’s until a document of somebody else uses them', async () => {
    const { json } = await ofP1.post('Binary', 'mine', { 'content-type': 'text/plain' });
    expect((await ofP1.get(`Binary/${json.id}`)).status).toBe(200);
    await made(about(P2, 'alpha', { content: [{ attachment: { contentType: 'text/plain', url: `Binary/${json.id}` } }] }));
    expect((await ofP1.get(`Binary/${json.id}`)).status).toBe(404);
    expect((await ofP1.delete(`Binary/${json.id}`)).status).toBe(404);
  });

  it('that nobody uses are not seen by an administrator in a patient’s context', async () => {
    const { json } = await admin.post('Binary', 'orphan', { 'content-type': 'text/plain' });
    expect((await ofP1.get(`Binary/${json.id}`)).status).toBe(404);
    expect((await ofP1.delete(`Binary/${json.id}`)).status).toBe(404);
  });

  it('follow their security context', async () => {
    const { json } = await admin.post('Binary', 'x', { 'content-type': 'text/plain', 'x-security-context': `DocumentReference/${others}` });
    expect((await ofP1.get(`Binary/${json.id}`)).status).toBe(404);
    const refused = await Promise.all([others, randomUUID()].map((id) => ofP1.post('Binary', 'x', { 'content-type': 'text/plain', 'x-security-context': `DocumentReference/${id}` })));
    expect(refused.map(({ status }) => status)).toEqual([422, 422]);
    expect((await ofP1.post('Binary', 'x', { 'content-type': 'text/plain', 'x-security-context': `DocumentReference/${own}` })).status).toBe(201);
  });
});

describe('the record', () => {
  it('shows a patient what is about them alone', async () => {
    const patient = await as({ scope: 'patient/AuditEvent.rs patient/Provenance.rs', patient: P1, roles: [], user: `Patient/${P1}` });
    const events = await patient.get('AuditEvent?_count=1000&_total=accurate');
    expect(events.status).toBe(200);
    expect(events.json.entry.length).toBeGreaterThan(3);
    expect(events.json.total).toBe(events.json.entry.length);
    expect(events.text).not.toContain(`"Patient/${P2}"`);
    const foreign = (await admin.get(`AuditEvent?patient=${P2}&_count=1`)).json.entry[0].resource.id;
    const mine = events.json.entry[0].resource.id;
    expect([(await patient.get(`AuditEvent/${foreign}`)).status, (await patient.get(`AuditEvent/${foreign}/_history`)).status, (await patient.get(`AuditEvent/${mine}`)).status]).toEqual([404, 404, 200]);
    expect((await patient.get(`Provenance?target=DocumentReference/${others}`)).json.entry).toBeUndefined();
    expect((await patient.get(`Provenance?target=DocumentReference/${own}`)).json.entry.length).toBeGreaterThan(0);
  });

  it('is not part of what `*` grants, and not a query’s', async () => {
    expect((await (await as({ scope: 'patient/*.rs', patient: P1, roles: [], user: `Patient/${P1}` })).get('AuditEvent')).status).toBe(403);
    expect((await ofAlpha.get('AuditEvent')).status).toBe(403);
  });
});

describe('a role that has some categories alone', () => {
  it('reads and finds them, and a document of several needs all', async () => {
    const [insurance, both, none] = [await made(about(P1, 'insurance')), await made(about(P1, 'x', category('insurance', 'lab'))), await made(documentReference({ category: undefined }))];
    const found = await billing.get('DocumentReference?_count=1000&_total=accurate');
    expect([idsIn(found), found.json.total]).toEqual([[insurance], 1]);
    expect((await billing.get(`DocumentReference/${insurance}`)).status).toBe(200);
    for (const id of [both, none, own]) expect((await billing.get(`DocumentReference/${id}`)).status).toBe(403);
    expect((await billing.get(`Media/${ownMedia}`)).status).toBe(403);
    expect((await billing.get('Media?_total=accurate')).json.total).toBe(0);
    expect((await billing.get(`Binary/${ownBinary}`)).status).toBe(403);
    expect((await billing.post('DocumentReference', about(P1, 'insurance'))).status).toBe(403);
  });
});

describe('tokens', () => {
  it.each([
    ['patient/*.rs', undefined], ['user/DocumentReference.rs?category:in=x', undefined], ['user/DocumentReference.rs?nosuch=x', undefined], ['user/DocumentReference.sr', undefined], ['user/DocumentReference.rs?subject:Patient.name=x', undefined],
  ])('with %s and without more grant nothing', async (scope, patient) => {
    const client = await as({ scope, ...(patient === undefined ? {} : { patient }) });
    const refused = await client.get(`DocumentReference/${own}`);
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([403, expect.stringContaining('insufficient_scope')]);
  });

  it('of another patient do not get the answer of a repeated request', async () => {
    const key = randomUUID();
    const body = about(P1, 'alpha');
    expect((await ofP1.post('DocumentReference', body, { 'idempotency-key': key })).status).toBe(201);
    expect((await ofP1.post('DocumentReference', body, { 'idempotency-key': key })).status).toBe(201);
    const ofP2 = await as({ scope: 'patient/*.cruds', patient: P2, roles: ['admin'], user: 'Practitioner/ann', client: 'app' });
    expect((await ofP2.post('DocumentReference', body, { 'idempotency-key': key })).status).toBe(422);
  });
});
