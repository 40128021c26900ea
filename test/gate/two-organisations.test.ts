// The wall between organisations: no answer, count, total or error text of one depends on what the other holds.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let ours: FhirClient;
let theirs: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  ours = fhirClient(server.fhirBase, await server.token({ org: 'demo', scope: 'system/*.cruds user/*.cruds' }));
  theirs = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere', scope: 'system/*.cruds user/*.cruds' }));
});
afterAll(() => server.stop());

interface Named { id: string; patient: string; binary: string; audit: string }

/** Everything that somebody could name of the other organisation: held there, or nowhere at all. */
async function heldElsewhere(): Promise<Named> {
  const patient = `p-${randomUUID()}`;
  const { status, json, headers } = await theirs.post('DocumentReference', documentReference({ subject: { reference: `Patient/${patient}` } }));
  expect(status).toBe(201);
  const [event] = await theirs.auditOf(headers.get('x-request-id') ?? '');
  return { id: json.id, patient, binary: json.content[0].attachment.url.split('/').at(-1), audit: event.id };
}
const heldNowhere = (like: Named): Named => {
  // Ids of the same form and the same age, so that nothing but the row behind them differs.
  const other = (id: string): string => `${id.slice(0, -6)}${randomUUID().slice(-6)}`;
  return { id: other(like.id), patient: other(like.patient), binary: other(like.binary), audit: other(like.audit) };
};

const json = (body: unknown): string => JSON.stringify(body);
const patchHeaders = { 'content-type': 'application/json-patch+json' };

/** What can be asked about a thing that one knows the name of. Those that leave something come last. */
const PROBES: Record<string, (named: Named) => Promise<Answer>> = {
  'read': ({ id }) => ours.get(`DocumentReference/${id}`),
  'head': ({ id }) => ours.call(`DocumentReference/${id}`, { method: 'HEAD' }),
  'read with If-None-Match': ({ id }) => ours.get(`DocumentReference/${id}`, { 'if-none-match': 'W/"1"' }),
  'vread': ({ id }) => ours.get(`DocumentReference/${id}/_history/1`),
  'history': ({ id }) => ours.get(`DocumentReference/${id}/_history`),
  'bytes': ({ binary }) => ours.get(`Binary/${binary}`, { accept: '*/*' }),
  'a range of bytes': ({ binary }) => ours.get(`Binary/${binary}`, { accept: '*/*', range: 'bytes=0-3' }),
  'bytes of a version': ({ binary }) => ours.get(`Binary/${binary}/_history/1`, { accept: '*/*' }),
  '$validate': ({ id }) => ours.get(`DocumentReference/${id}/$validate`),
  'patch': ({ id }) => ours.call(`DocumentReference/${id}`, { method: 'PATCH', body: json([{ op: 'add', path: '/language', value: 'en' }]), headers: patchHeaders }),
  'update with If-Match': ({ id }) => ours.put(`DocumentReference/${id}`, documentReference({ id, identifier: [{ value: '1' }], subject: { reference: 'Patient/1' } }), { 'if-match': 'W/"1"' }),
  'search by id': ({ id }) => ours.get(`DocumentReference?_id=${id}`),
  'search by relation': ({ id }) => ours.get(`DocumentReference?relatesto=DocumentReference/${id}`),
  'search by patient': ({ patient }) => ours.get(`DocumentReference?patient=${patient}&_total=accurate`),
  'compartment': ({ patient }) => ours.get(`Patient/${patient}/DocumentReference`),
  'everything of a compartment': ({ patient }) => ours.get(`Patient/${patient}/*`),
  'disclosures': ({ patient }) => ours.get(`Patient/${patient}/$disclosures`),
  'record of a document': ({ id }) => ours.get(`AuditEvent?entity=DocumentReference/${id}&action=C`),
  'record of a patient': ({ patient }) => ours.get(`AuditEvent?patient=${patient}&action=C`),
  'an event': ({ audit }) => ours.get(`AuditEvent/${audit}`),
  'provenance': ({ id }) => ours.get(`Provenance?target=DocumentReference/${id}&activity=CREATE`),
  'a document that uses its bytes': ({ binary }) => ours.post('DocumentReference', documentReference({ subject: { reference: 'Patient/1' }, content: [{ attachment: { contentType: 'text/plain', url: `Binary/${binary}` } }] })),
  'a transaction that names it': ({ id }) => ours.post('', { resourceType: 'Bundle', type: 'transaction', entry: [{ request: { method: 'GET', url: `DocumentReference/${id}` } }] }),
  'conditional delete': ({ id }) => ours.delete(`DocumentReference?_id=${id}`),
  'conditional patch': ({ id }) => ours.call(`DocumentReference?_id=${id}`, { method: 'PATCH', body: json([{ op: 'add', path: '/language', value: 'en' }]), headers: patchHeaders }),
  'delete': ({ id }) => ours.delete(`DocumentReference/${id}`),
  'delete of bytes': ({ binary }) => ours.delete(`Binary/${binary}`),
  'update that creates': ({ id }) => ours.put(`DocumentReference/${id}`, documentReference({ id, identifier: [{ value: '1' }], subject: { reference: 'Patient/1' } })),
};

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g;

/** An answer without what is new in each: ids and instants. */
function shape({ status, headers, text }: Answer): unknown {
  const plain = (value: string): string => value.replace(UUID, 'ID').replace(INSTANT, 'INSTANT');
  const kept = [...headers].filter(([name]) => !['date', 'x-request-id', 'last-modified', 'content-length', 'etag'].includes(name)).map(([name, value]) => [name, plain(value)]);
  return { status, headers: kept, text: plain(text).replaceAll(/"data":"[^"]*"/g, '"data":"…"') };
}

describe('an organisation', () => {
  it.each(Object.keys(PROBES))('is told the same by "%s" of what another has and of what nobody has', async (name) => {
    const there = await heldElsewhere();
    const probe = PROBES[name] as (typeof PROBES)[string];
    expect(shape(await probe(there))).toEqual(shape(await probe(heldNowhere(there))));
    // And the other has it still, as it was.
    expect((await theirs.get(`DocumentReference/${there.id}`)).json?.meta?.versionId).toBe('1');
    expect((await theirs.get(`Binary/${there.binary}`, { accept: '*/*' })).status).toBe(200);
  });

  it('sees in its searches, totals and histories nothing of what happens in another, whatever that is', async () => {
    const patient = `shared-${randomUUID()}`;
    const key = randomUUID();
    const ownDocument = documentReference({ subject: { reference: `Patient/${patient}` }, masterIdentifier: { system: 'urn:test', value: key } });
    const made = await ours.post('DocumentReference', ownDocument);
    expect(made.status).toBe(201);
    const look = async (): Promise<unknown> => Promise.all([
      `DocumentReference?patient=${patient}&_total=accurate`, `DocumentReference?identifier=urn:test|${key}`, `DocumentReference?patient=${patient}&_summary=count`, `DocumentReference?_has:List:item:_id=x&patient=${patient}`,
      `Media?patient=${patient}&_total=accurate`, `DocumentReference/${made.json.id}/_history`, `AuditEvent?patient=${patient}&action=C&_summary=count`,
    ].map(async (path) => shape(await ours.get(path))));
    const before = await look();
    const happening = fc.oneof(
      fc.constant(async () => { await theirs.post('DocumentReference', ownDocument, { 'idempotency-key': key }); }),
      fc.constant(async () => { await theirs.put(`DocumentReference/${made.json.id}`, { ...ownDocument, id: made.json.id }); }),
      fc.constant(async () => { await theirs.delete(`DocumentReference/${made.json.id}`); }),
      fc.constant(async () => { await theirs.post('Media', media({ subject: { reference: `Patient/${patient}` } })); }),
      fc.constant(async () => { await theirs.post('DocumentReference', ownDocument, { 'if-none-exist': `identifier=urn:test|${key}` }); }),
      fc.constant(async () => { await theirs.delete(`DocumentReference?patient=${patient}`); }),
      fc.constant(async () => { await theirs.get(`DocumentReference?patient=${patient}`); }),
    );
    await fc.assert(fc.asyncProperty(fc.array(happening, { minLength: 1, maxLength: 6 }), async (steps) => {
      for (const step of steps) await step();
      expect(await look()).toEqual(before);
    }), { numRuns: 15, seed: 20_240_506 });
  });

  it('has an Idempotency-Key of its own, also where another used the same one', async () => {
    const key = randomUUID();
    const body = documentReference();
    const [here, there] = [await ours.post('DocumentReference', body, { 'idempotency-key': key }), await theirs.post('DocumentReference', body, { 'idempotency-key': key })];
    expect([here.status, there.status]).toEqual([201, 201]);
    expect(here.json.id).not.toBe(there.json.id);
  });

  it('cannot turn the pages of another: the link counts for nothing', async () => {
    const patient = `pages-${randomUUID()}`;
    for (let at = 0; at < 3; at += 1) await theirs.post('DocumentReference', documentReference({ subject: { reference: `Patient/${patient}` } }));
    const page = await theirs.get(`DocumentReference?patient=${patient}&_count=1`);
    const next = page.json.link.find(({ relation }: { relation: string }) => relation === 'next').url as string;
    const taken = await ours.call(next);
    expect(taken.json?.entry ?? []).toEqual([]);
  });
});
