// Patient/[id]/$break-glass: who may declare an emergency, what it opens and what stays closed, its marks in the record, its review.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { SHIPPED_POLICY, type PolicyRule } from '../../src/access/policy.ts';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
beforeAll(async () => { server = await startMuniment(); });
afterAll(() => server.stop());

const as = async (options: TokenOptions): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token(options));
const inCategory = (patient: string, code: string): Record<string, unknown> => documentReference({ subject: { reference: `Patient/${patient}` }, category: [{ coding: [{ system: 'https://muniment.example/fhir/CodeSystem/document-category', code }] }] });
const because = (reason: unknown): object => ({ resourceType: 'Parameters', parameter: [{ name: 'reason', valueString: reason }] });
const REASON = 'Unconscious after an accident';
const declare = (client: FhirClient, patient: string, headers: Record<string, string> = {}): Promise<Answer> => client.post(`Patient/${patient}/$break-glass`, because(REASON), headers);
const idOf = ({ json }: Answer): string => json.parameter.find(({ name }: { name: string }) => name === 'break-glass').valueUuid.slice('urn:uuid:'.length);
const ids = ({ json }: Answer): string[] => json.entry.map(({ resource }: { resource: { id: string } }) => resource.id).sort();
const administer = (client: FhirClient, path: string, call: Call = {}): Promise<Answer> => client.call(`${new URL(client.base).origin}/admin/${path}`, {
  ...call, ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }), headers: { ...(call.body === undefined ? {} : { 'content-type': 'application/json' }), ...call.headers },
});

let org: string;
let admin: FhirClient;
let nurse: FhirClient;
let mine: string;
let other: string;
let [lab, photo, consent, others] = ['', '', '', ''];

const made = async (body: object): Promise<string> => {
  const answer = await admin.post('DocumentReference', body);
  expect(answer.status).toBe(201);
  return answer.json.id;
};

/** Nurses have laboratory reports alone, write none but those, and consents are denied to them whatever happens. */
const RULES: PolicyRule[] = [
  ...SHIPPED_POLICY.rules.filter(({ role }) => role === 'admin'),
  ...(['read', 'search', 'write'] as const).map((action): PolicyRule => ({ role: 'nurse', category: 'lab', action, effect: 'permit' })),
  ...(['read', 'search'] as const).map((action): PolicyRule => ({ role: 'nurse', category: 'consent', action, effect: 'deny' })),
  { role: 'clerk', category: 'lab', action: 'read', effect: 'permit' },
];

beforeEach(async () => {
  org = `org-${randomUUID().slice(0, 8)}`;
  [mine, other] = [`mine-${randomUUID()}`, `other-${randomUUID()}`];
  admin = await as({ org });
  nurse = await as({ org, roles: ['nurse'], user: 'Practitioner/nora', client: 'ward' });
  expect((await administer(admin, 'policy', { method: 'PUT', body: { rules: RULES, reason: 'test' }, headers: { 'if-match': 'W/"0"' } })).status).toBe(200);
  [lab, photo, consent, others] = await Promise.all([made(inCategory(mine, 'lab')), made(inCategory(mine, 'photo')), made(inCategory(mine, 'consent')), made(inCategory(other, 'lab'))]);
});

describe('under an emergency', () => {
  it('that patient is read and searched in every category but the denied ones, and nobody else', async () => {
    expect((await nurse.get(`DocumentReference/${photo}`)).status).toBe(403);
    const declared = await declare(nurse, mine);
    expect([declared.status, declared.json.parameter.map(({ name }: { name: string }) => name)]).toEqual([200, ['break-glass', 'header', 'expires', 'minutes']]);
    const glass = { 'x-break-glass': idOf(declared) };
    const statuses = async (path: (id: string) => string): Promise<number[]> => Promise.all([lab, photo, consent, others].map(async (id) => (await nurse.get(path(id), glass)).status));
    expect(await statuses((id) => `DocumentReference/${id}`)).toEqual([200, 200, 403, 404]);
    expect(await statuses((id) => `DocumentReference/${id}/_history/1`)).toEqual([200, 200, 403, 404]);
    expect(ids(await nurse.get('DocumentReference', glass))).toEqual([lab, photo].sort());
    expect((await nurse.get(`DocumentReference?patient=${other}&_total=accurate`, glass)).json.total).toBe(0);
    const binary = (await nurse.get(`DocumentReference/${photo}`, glass)).json.content[0].attachment.url.split('/').at(-1);
    expect([(await nurse.get(`Binary/${binary}`, glass)).status, (await nurse.get(`Binary/${binary}`)).status]).toEqual([200, 403]);
    const batch = await nurse.post('', { resourceType: 'Bundle', type: 'batch', entry: [photo, consent, others].map((id) => ({ request: { method: 'GET', url: `DocumentReference/${id}` } })) }, glass);
    expect(batch.json.entry.map(({ response }: { response: { status: string } }) => response.status.slice(0, 3))).toEqual(['200', '403', '404']);
    const transaction = await nurse.post('', { resourceType: 'Bundle', type: 'transaction', entry: [{ request: { method: 'GET', url: `DocumentReference/${photo}` } }, { request: { method: 'GET', url: 'DocumentReference' } }] }, glass);
    expect([transaction.status, ids({ json: transaction.json.entry[1].resource } as Answer)]).toEqual([200, [lab, photo].sort()]);
    // Without the header nothing changed.
    expect((await nurse.get(`DocumentReference/${photo}`)).status).toBe(403);
    expect((await nurse.get(`DocumentReference/${others}`)).status).toBe(200);
  });

  it('nothing is written or deleted that the policy does not permit, and nothing is administered', async () => {
    const glass = { 'x-break-glass': idOf(await declare(nurse, mine)) };
    expect([(await nurse.post('DocumentReference', inCategory(mine, 'photo'), glass)).status, (await nurse.delete(`DocumentReference/${photo}`, glass)).status, (await nurse.post('DocumentReference', inCategory(other, 'lab'), glass)).status]).toEqual([403, 403, 403]);
    expect((await nurse.post('DocumentReference', inCategory(mine, 'lab'), glass)).status).toBe(201);
    const own = { 'x-break-glass': idOf(await declare(admin, mine)) };
    expect([(await administer(admin, 'policy', { headers: own })).status, (await administer(admin, 'policy')).status]).toEqual([403, 200]);
  });

  it('each access is marked in the record: purpose ETREAT and the emergency, also where it was refused or found nothing', async () => {
    const [opening, reading, refused, empty] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const id = idOf(await declare(nurse, mine, { 'x-request-id': opening }));
    const glass = { 'x-break-glass': id };
    await nurse.get(`DocumentReference/${photo}`, { ...glass, 'x-request-id': reading });
    await nurse.get(`DocumentReference/${consent}`, { ...glass, 'x-request-id': refused });
    await nurse.get('DocumentReference?status=superseded', { ...glass, 'x-request-id': empty });
    const ETREAT = { system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'ETREAT', display: 'Emergency Treatment' };
    for (const requestId of [opening, reading, refused, empty]) {
      const events = await admin.auditOf(requestId);
      expect(events).toHaveLength(1);
      expect(events[0].purposeOfEvent).toEqual([{ coding: [ETREAT] }]);
      expect(events[0].entity).toEqual(expect.arrayContaining([expect.objectContaining({ what: { identifier: { system: 'urn:muniment:break-glass', value: id } } })]));
    }
    const found = await admin.get(`AuditEvent?entity:identifier=urn:muniment:break-glass|${id}`);
    expect(found.json.entry).toHaveLength(4);
    const unmarked = randomUUID();
    await nurse.get(`DocumentReference/${lab}`, { 'x-request-id': unmarked });
    expect((await admin.auditOf(unmarked))[0].purposeOfEvent).toBeUndefined();
    // Declaring shows nobody anything: the accounting of disclosures has the read alone.
    const disclosures = await admin.get(`Patient/${mine}/$disclosures`);
    expect(disclosures.json.entry.map(({ resource }: { resource: { subtype: { code: string }[] } }) => resource.subtype[0]?.code)).toEqual(['read', 'read']);
  });

  it('ends after 60 minutes, and is of one user, one client and one organisation', async () => {
    const declared = await declare(nurse, mine);
    const glass = { 'x-break-glass': idOf(declared) };
    const expires = Date.parse(declared.json.parameter.find(({ name }: { name: string }) => name === 'expires').valueInstant);
    expect(Math.abs(expires - Date.now() - 60 * 60_000)).toBeLessThan(30_000);
    const strangers = await Promise.all([as({ org, roles: ['nurse'], user: 'Practitioner/nina', client: 'ward' }), as({ org, roles: ['nurse'], user: 'Practitioner/nora', client: 'other' }), as({ org: `${org}-x`, roles: ['nurse'], user: 'Practitioner/nora', client: 'ward' })]);
    for (const client of strangers) expect((await client.get('DocumentReference', glass)).status).toBe(403);
    expect((await nurse.get('DocumentReference', { 'x-break-glass': randomUUID() })).status).toBe(403);
    expect((await nurse.get('DocumentReference', { 'x-break-glass': `${idOf(declared)}'` })).status).toBe(403);
    expect((await nurse.get(`DocumentReference/${photo}`, glass)).status).toBe(200);
    await server.sql(`update break_glass set expires_at = now() - interval '1 second' where id = $1`, [idOf(declared)]);
    expect((await nurse.get(`DocumentReference/${photo}`, glass)).status).toBe(403);
  });
});

describe('an emergency is declared', () => {
  it('by practitioners whose role may write documents', async () => {
    const refused: TokenOptions[] = [
      { roles: ['clerk'], user: 'Practitioner/clara' }, { roles: ['nurse'], user: `Patient/${mine}` }, { roles: [], scope: 'system/*.rs', user: '' }, { roles: [], user: 'Practitioner/nora' },
      { roles: ['nurse'], user: 'Practitioner/nora', scope: 'user/Media.c' }, { roles: ['nurse'], user: 'Practitioner/nora', scope: 'patient/*.rs', patient: other },
    ];
    for (const options of refused) expect([options, (await declare(await as({ org, ...options }), mine)).status]).toEqual([options, 403]);
    expect((await declare(await as({ org, roles: ['nurse'], user: 'PractitionerRole/nora-ward', scope: 'patient/*.rs', patient: mine }), mine)).status).toBe(200);
    expect((await nurse.call(`Patient/${mine}/$break-glass`, { method: 'POST', body: because(REASON), token: null })).status).toBe(401);
  });

  it.each([
    ['a short reason', because('help'), 422], ['no reason', { resourceType: 'Parameters' }, 422], ['two reasons', { resourceType: 'Parameters', parameter: [...Array(2)].map(() => ({ name: 'reason', valueString: REASON })) }, 422],
    ['a number as reason', because(1234567890), 422], ['a reason of a novel', because('x'.repeat(501)), 422], ['another resource', { resourceType: 'Patient' }, 400], ['no object', '[]', 400],
  ])('with a reason in words; not with %s', async (_title, body, status) => {
    expect((await nurse.post(`Patient/${mine}/$break-glass`, body, { 'content-type': 'application/fhir+json' })).status).toBe(status);
  });

  it('once, however often the request with its Idempotency-Key is repeated', async () => {
    const first = await declare(nurse, mine, { 'idempotency-key': 'k' });
    expect((await declare(nurse, mine, { 'idempotency-key': 'k' })).text).toBe(first.text);
    expect((await administer(admin, 'break-glass')).json.emergencies).toHaveLength(1);
  });
});

describe('the review list', () => {
  it('shows who broke the glass for whom and why, how much was asked, and is reviewed once, by somebody else, with a note', async () => {
    const id = idOf(await declare(nurse, mine));
    await nurse.get(`DocumentReference/${photo}`, { 'x-break-glass': id });
    const { json } = await administer(admin, 'break-glass');
    expect(json.emergencies).toMatchObject([{ id, patient: `Patient/${mine}`, reason: REASON, accesses: 2, by: { fhirUser: 'Practitioner/nora', client: 'ward' } }]);
    expect((await admin.get(json.emergencies[0].record)).json.entry.length).toBeGreaterThanOrEqual(2);
    expect((await administer(await as({ org: `${org}-x` }), 'break-glass?reviewed=all')).json.emergencies).toEqual([]);
    expect((await administer(nurse, 'break-glass')).status).toBe(403);
    const review = (client: FhirClient, body: object): Promise<Answer> => administer(client, `break-glass/${id}/$review`, { method: 'POST', body });
    expect((await review(await as({ org, user: 'Practitioner/nora', client: 'ward' }), { note: 'Mine' })).status).toBe(422);
    expect((await review(admin, {})).status).toBe(422);
    expect((await review(admin, { note: 'Justified' })).json).toMatchObject({ id, review: { note: 'Justified', by: { client: 'muniment-cli' } } });
    expect((await review(admin, { note: 'Again' })).status).toBe(409);
    expect((await administer(admin, 'break-glass')).json.emergencies).toEqual([]);
    expect((await administer(admin, 'break-glass?reviewed=all')).json.emergencies).toMatchObject([{ id, review: { note: 'Justified' } }]);
    expect((await administer(admin, `break-glass/${id}`)).json.review.note).toBe('Justified');
    expect((await administer(admin, `break-glass/${randomUUID()}`)).status).toBe(404);
  });

  it('comes in pages, newest first', async () => {
    const made: string[] = [];
    for (let turn = 0; turn < 3; turn += 1) made.push(idOf(await declare(nurse, mine)));
    const first = await administer(admin, 'break-glass?_count=2');
    const second = await administer(admin, first.json.next.replace('/admin/', ''));
    expect([...first.json.emergencies, ...second.json.emergencies].map((one: { id: string }) => one.id)).toEqual([...made].reverse());
    expect(second.json.next).toBeUndefined();
  });
});
