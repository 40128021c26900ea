// DocumentReference and Media: elements, attachments, relations between documents.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { expectOutcome, expectStatus, matches } from './expectations.ts';
import { row } from './row.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- tests look into answers of any shape */

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const post = (changes: Record<string, unknown> = {}): Promise<Answer> => client.post('DocumentReference', documentReference(changes));
const create = async (changes: Record<string, unknown> = {}): Promise<any> => {
  const made = await post(changes);
  expectStatus(made, 201);
  return made.json;
};
const read = async (id: string): Promise<any> => (await client.get(`DocumentReference/${id}`)).json;
const put = (resource: any): Promise<Answer> => client.put(`DocumentReference/${resource.id}`, resource);
const find = async (query: string): Promise<string[]> => matches(await client.get(query)).sort();
const sorted = (...ids: string[]): string[] => [...ids].sort();
const about = (patient: string): Record<string, unknown> => ({ subject: { reference: `Patient/${patient}` } });
const relates = (code: string, target: string): Record<string, unknown> => ({ relatesTo: [{ code, target: { reference: target } }] });
const attached = (attachment: Record<string, unknown>): Record<string, unknown> => ({ content: [{ attachment }] });
const BYTES = Buffer.from('A short note.');
const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('base64');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');
const inline = (changes: Record<string, unknown> = {}): Record<string, unknown> => attached({ contentType: 'text/plain', data: BYTES.toString('base64'), ...changes });
const kept = async (): Promise<string | undefined> => (await server.sql<{ n: string }>("select (select count(*) from resource) || '/' || (select count(*) from content where state in ('staging', 'live')) as n"))[0]?.n;
/** Refused at this place, and nothing kept. */
async function refuses(changes: Record<string, unknown>, status: number, code: string, place: string): Promise<void> {
  const before = await kept();
  const answer = await post(changes);
  expectOutcome(answer, status, code);
  expect(answer.json.issue.flatMap((issue: any) => issue.expression ?? []).some((one: string) => one.startsWith(place))).toBe(true);
  expect(await kept()).toBe(before);
}

describe('elements', () => {
  row('DOC-01', async () => {
    await refuses({ status: undefined }, 422, 'required', 'DocumentReference.status');
    for (const status of ['final', 'active', 'Current']) await refuses({ status }, 422, 'code-invalid', 'DocumentReference.status');
    for (const status of ['current', 'superseded', 'entered-in-error']) expect((await create({ status })).status).toBe(status);
  });

  row('DOC-02', async () => {
    await refuses({ docStatus: 'draft' }, 422, 'code-invalid', 'DocumentReference.docStatus');
    for (const docStatus of ['preliminary', 'final', 'amended', 'entered-in-error']) expect((await create({ docStatus })).docStatus).toBe(docStatus);
  });

  row('DOC-03', async () => {
    await refuses({ content: undefined }, 422, 'required', 'DocumentReference.content');
    await refuses({ content: [] }, 400, 'structure', 'DocumentReference.content');
    await refuses({ content: [{ format: { code: 'x' } }] }, 422, 'required', 'DocumentReference.content[0].attachment');
  });

  row('DOC-04', async () => {
    const target = { reference: 'DocumentReference/x' };
    await refuses({ relatesTo: [{ target }] }, 422, 'required', 'DocumentReference.relatesTo[0].code');
    await refuses({ relatesTo: [{ code: 'appends' }] }, 422, 'required', 'DocumentReference.relatesTo[0].target');
    await refuses({ relatesTo: [{ code: 'supersedes', target }] }, 422, 'code-invalid', 'DocumentReference.relatesTo[0].code');
    await refuses({ relatesTo: [{ code: 'appends', target: { reference: 'Patient/x' } }] }, 422, 'value', 'DocumentReference.relatesTo[0].target');
    await refuses({ relatesTo: [{ code: 'appends', target, }, { code: 'signs', target: { reference: 'Media/x' } }] }, 422, 'value', 'DocumentReference.relatesTo[1].target');
  });

  row('DOC-05', async () => {
    for (const fault of [
      { extension: [{ url: 'urn:e' }] }, { extension: [{ url: 'urn:e', valueString: 'x', extension: [{ url: 'a', valueString: 'b' }] }] },
      attached({ data: 'QQ==' }), { context: { period: { start: '2024', end: '2023' } } }, { author: [{ reference: '#none' }] },
    ]) expectOutcome(await post(fault), 422, 'invariant');
    // Nothing that R4 leaves open is asked for: no subject, no type, no author, no date.
    expectStatus(await client.post('DocumentReference', { resourceType: 'DocumentReference', status: 'current', content: [{ attachment: { title: 'Only a title' } }] }), 201);
    expectStatus(await client.post('DocumentReference', { resourceType: 'DocumentReference', status: 'current', content: [{ attachment: { url: 'https://elsewhere.example/x' } }] }), 201);
  });

  row('DOC-06', async () => {
    const made = await create({ date: '2024-05-06T07:08:09Z', context: { period: { start: '2023-01-01', end: '2023-01-05' } }, ...inline({ creation: '2022-12' }) });
    const stored = await read(made.id);
    expect([stored.date, stored.content[0].attachment.creation, stored.context.period]).toEqual(['2024-05-06T07:08:09Z', '2022-12', { start: '2023-01-01', end: '2023-01-05' }]);
    const bare = await create({ date: undefined, context: undefined });
    expect([bare.date, bare.content[0].attachment.creation, bare.context]).toEqual([undefined, undefined, undefined]);
  });

  row('DOC-07', async () => {
    const { id } = await create({ context: { encounter: [{ reference: 'Encounter/one' }, { reference: `Encounter/two-${Date.now()}` }, { reference: 'EpisodeOfCare/three' }] } });
    const stored = await read(id);
    expect(stored.context.encounter).toHaveLength(3);
    expect(await find(`DocumentReference?encounter=${stored.context.encounter[1].reference}`)).toEqual([id]);
    await refuses({ context: { encounter: [{ reference: 'Patient/x' }] } }, 422, 'value', 'DocumentReference.context.encounter[0]');
  });

  row('DOC-08', async () => {
    const own = { coding: [{ system: 'urn:own', code: 'private-code' }] };
    const made = await create({ type: own, category: [own, { text: 'only words' }], securityLabel: [own], context: { event: [own], facilityType: own, practiceSetting: own }, content: [{ attachment: { url: 'https://elsewhere.example/x' }, format: { system: 'urn:own', code: 'format' } }] });
    expect(made.type).toEqual(own);
  });

  row('DOC-09', async () => {
    const made = await create({ content: [{ attachment: { contentType: 'text/plain', data: BYTES.toString('base64') } }, { attachment: { contentType: 'text/html', data: Buffer.from('<p>A short note.</p>').toString('base64') } }, { attachment: { contentType: 'text/plain', data: BYTES.toString('base64') } }] });
    expect(made.content.map((one: any) => one.attachment.contentType)).toEqual(['text/plain', 'text/html', 'text/plain']);
    for (const { attachment } of made.content) expectStatus(await client.get(attachment.url), 200);
  });

  row('DOC-10', async () => {
    const patient = randomUUID();
    const made = await create(about(patient));
    expectStatus(await put({ ...made, status: 'entered-in-error' }), 200);
    expect(await find(`DocumentReference?patient=${patient}&status=current`)).toEqual([]);
    expect(await find(`DocumentReference?patient=${patient}&status=entered-in-error`)).toEqual([made.id]);
    expect((await read(made.id)).status).toBe('entered-in-error');
    expectStatus(await client.get(made.content[0].attachment.url), 200);
  });

  row('DOC-11', async () => {
    const value = `urn:oid:1.2.3.${Date.now()}`;
    const masterIdentifier = { system: 'urn:ietf:rfc:3986', value };
    const first = await create({ masterIdentifier });
    expect(await find(`DocumentReference?identifier=urn:ietf:rfc:3986|${value}`)).toEqual([first.id]);
    const second = await post({ masterIdentifier });
    expectOutcome(second, 409, 'duplicate');
    expectOutcome(await put(documentReference({ id: randomUUID(), masterIdentifier })), 409, 'duplicate');
    expectStatus(await put({ ...first, description: 'the same document' }), 200);
    await client.delete(`DocumentReference/${first.id}`);
    expectStatus(await post({ masterIdentifier }), 201);
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'document-clinic' }));
    expectStatus(await stranger.post('DocumentReference', documentReference({ masterIdentifier })), 201);
  });

  row('DOC-12', async () => {
    for (const reference of [{ reference: 'Practitioner/never-seen' }, { reference: '#author' }, { identifier: { system: 'urn:npi', value: '1' } }, { reference: 'https://other.example/fhir/Practitioner/1' }, { display: 'Dr. Only Words' }, { reference: `urn:uuid:${randomUUID()}` }, { reference: 'Practitioner/x/_history/3', type: 'Practitioner' }]) {
      const contained = reference.reference === '#author' ? { contained: [{ resourceType: 'Practitioner', id: 'author' }] } : {};
      const made = await create({ ...contained, author: [reference], context: { encounter: [{ display: 'Some stay' }, { reference: 'https://other.example/fhir/Encounter/1' }] } });
      expect(made.author).toEqual([reference]);
    }
    for (const subject of [{ reference: 'https://other.example/fhir/Patient/1' }, { identifier: { value: 'x' } }, { reference: `${server.fhirBase}/Patient/1` }]) expect((await create({ subject })).subject).toEqual(subject);
  });
});

describe('attachments', () => {
  row('DOC-20', async () => {
    await refuses(attached({ data: 'QQ==' }), 422, 'invariant', 'DocumentReference.content[0].attachment');
  });

  row('DOC-21', async () => {
    const made = await create();
    const { url } = made.content[0].attachment;
    expectStatus(await post(attached({ contentType: 'text/plain', url, data: BYTES.toString('base64') })), 201);
    await refuses(attached({ contentType: 'text/plain', url, data: Buffer.from('other').toString('base64') }), 422, 'value', 'DocumentReference.content[0].attachment');
  });

  row('DOC-22', async () => {
    const binary = await client.post('Binary', BYTES, { 'content-type': 'text/plain' });
    const id = (binary.headers.get('location') ?? '').split('/').at(-3) as string;
    for (const url of [`Binary/${id}`, `${server.fhirBase}/Binary/${id}`]) {
      const { attachment } = (await create(attached({ contentType: 'text/plain', url }))).content[0];
      expect(attachment.url).toBe(`${server.fhirBase}/Binary/${id}`);
      expect((await client.get(attachment.url)).text).toBe('A short note.');
      expect([attachment.size, attachment.hash]).toEqual([13, sha1(BYTES)]);
    }
    await refuses(attached({ contentType: 'text/plain', url: `Binary/${randomUUID()}` }), 422, 'value', 'DocumentReference.content[0].attachment.url');
  });

  row('DOC-23', async () => {
    expect((await create(inline())).content[0].attachment.size).toBe(13);
    expect((await create(inline({ size: 13 }))).content[0].attachment.size).toBe(13);
    for (const size of [12, 0, 20]) await refuses(inline({ size }), 422, 'value', 'DocumentReference.content[0].attachment.size');
    for (const size of [-1, 1.5]) await refuses(inline({ size }), 400, 'value', 'DocumentReference.content[0].attachment.size');
  });

  row('DOC-24', async () => {
    expect((await create(inline({ hash: sha1(BYTES) }))).content[0].attachment.hash).toBe(sha1(BYTES));
    expect((await create(inline())).content[0].attachment.hash).toBe(sha1(BYTES));
    const hex = createHash('sha1').update(BYTES).digest('hex');
    for (const hash of [sha256(BYTES), hex, sha1(Buffer.from('other'))]) await refuses(inline({ hash }), 422, 'value', 'DocumentReference.content[0].attachment.hash');
    const hint = await post(inline({ hash: sha256(BYTES) }));
    expect(hint.json.issue[0].diagnostics).toMatch(/SHA-1/);
  });

  row('DOC-25', async () => {
    const URL = 'http://hl7.org/fhir/StructureDefinition/alternate-hash';
    const extension = (hash: string): object[] => [{ url: URL, extension: [{ url: 'algorithm', valueCoding: { system: 'http://hl7.org/fhir/CodeSystem/integrity-check-algorithms', code: 'SHA-256' } }, { url: 'hash', valueString: hash }] }];
    for (const changes of [inline(), inline({ extension: extension(sha256(BYTES)) })]) {
      const { attachment } = (await create(changes)).content[0];
      expect(attachment.extension).toHaveLength(1);
      expect(attachment.extension[0]).toMatchObject({ url: URL, extension: expect.arrayContaining([{ url: 'hash', valueString: sha256(BYTES) }]) });
      expect(attachment.extension[0].extension[0].valueCoding).toMatchObject({ system: 'http://hl7.org/fhir/CodeSystem/integrity-check-algorithms', code: 'SHA-256' });
    }
    await refuses(inline({ extension: extension(sha256(Buffer.from('other'))) }), 422, 'value', 'DocumentReference.content[0].attachment');
  });

  row('DOC-26', async () => {
    for (const contentType of ['text/plain; charset=utf-8', 'text/plain;charset="iso-8859-1"', 'TEXT/Plain']) expect((await create(inline({ contentType }))).content[0].attachment.contentType).toBe(contentType);
    for (const language of ['de-CH', 'en', 'zh-Hant-TW', 'sr-Latn']) expect((await create(inline({ language }))).content[0].attachment.language).toBe(language);
    for (const creation of ['2020', '2020-05', '2020-05-06', '2020-05-06T07:08:09.120+02:00']) expect((await create(inline({ creation }))).content[0].attachment.creation).toBe(creation);
  });

  row('DOC-27', async () => {
    const answer = await post(inline());
    for (const resource of [answer.json, await read(answer.json.id), (await client.get(`DocumentReference?_id=${answer.json.id}`)).json.entry[0].resource, (await client.get(`DocumentReference/${answer.json.id}/_history`)).json.entry[0].resource]) {
      const { attachment } = resource.content[0];
      expect(attachment.data).toBeUndefined();
      expect(attachment).toMatchObject({ url: expect.stringContaining(`${server.fhirBase}/Binary/`), size: 13, hash: sha1(BYTES) });
      expect((await client.get(attachment.url)).bytes.equals(BYTES)).toBe(true);
    }
    const nested = await create({ contained: [{ resourceType: 'DocumentReference', id: 'in', status: 'current', ...inline() }], context: { related: [{ reference: '#in' }] }, extension: [{ url: 'urn:e', valueAttachment: { contentType: 'text/plain', data: BYTES.toString('base64') } }] });
    expect(JSON.stringify(nested)).not.toContain(BYTES.toString('base64'));
    expect(nested.extension[0].valueAttachment.size).toBe(13);
  });

  row('DOC-28', async () => {
    let asked = 0;
    const listener = createServer((_request, response) => { asked += 1; response.end('secret'); });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    try {
      for (const url of [`http://127.0.0.1:${(listener.address() as AddressInfo).port}/latest/meta-data`, 'http://169.254.169.254/latest/meta-data/', 'https://files.example/a?token=b#c', 'ftp://files.example/x', 'urn:oid:1.2.3']) {
        const made = await create(attached({ contentType: 'text/plain', url, size: 5 }));
        expect(made.content[0].attachment).toEqual({ contentType: 'text/plain', url, size: 5 });
        expectStatus(await client.get(`DocumentReference/${made.id}`), 200);
      }
      expect(asked).toBe(0);
    } finally { await new Promise((resolve) => listener.close(resolve)); }
  });

  row('DOC-29', async () => {
    const made = await create(inline());
    const changed = await put({ ...made, ...attached({ contentType: 'text/plain', data: Buffer.from('Corrected.').toString('base64') }) });
    expectStatus(changed, 200);
    const [first, second] = [await client.get(`DocumentReference/${made.id}/_history/1`), await client.get(`DocumentReference/${made.id}/_history/2`)];
    expect(second.json.content[0].attachment.url).not.toBe(first.json.content[0].attachment.url);
    expect((await client.get(first.json.content[0].attachment.url)).text).toBe('A short note.');
    expect((await client.get(second.json.content[0].attachment.url)).text).toBe('Corrected.');
  });
});

describe('relations', () => {
  row('DOC-30', async () => {
    const patient = randomUUID();
    const old = await create({ ...about(patient), description: 'old' });
    const requestId = randomUUID();
    const replacement = await client.post('DocumentReference', documentReference({ ...about(patient), ...relates('replaces', `DocumentReference/${old.id}`) }), { 'x-request-id': requestId });
    expectStatus(replacement, 201);
    const superseded = await read(old.id);
    expect([superseded.status, superseded.meta.versionId, superseded.description]).toEqual(['superseded', '2', 'old']);
    expect(replacement.json.status).toBe('current');
    expect(superseded.meta.lastUpdated).toBe(replacement.json.meta.lastUpdated);
    expect(await find(`DocumentReference?patient=${patient}&status=current`)).toEqual([replacement.json.id]);
    for (const [id, version] of [[old.id, 2], [replacement.json.id, 1]] as const) {
      const provenance = await client.get(`Provenance?target=DocumentReference/${id}/_history/${version}&_count=10`);
      expect(matches(provenance).length).toBeGreaterThan(0);
    }
    expect((await client.get(`DocumentReference/${old.id}/_history`)).json.total).toBe(2);
    const failing = await create(about(patient));
    expectOutcome(await post({ ...about(patient), ...relates('replaces', `DocumentReference/${failing.id}`), docStatus: 'draft' }), 422);
    expect((await read(failing.id)).status).toBe('current');
    const absolute = await post({ ...about(patient), ...relates('replaces', `${server.fhirBase}/DocumentReference/${failing.id}`) });
    expectStatus(absolute, 201);
    expect((await read(failing.id)).status).toBe('superseded');
  });

  row('DOC-31', async () => {
    const patient = randomUUID();
    const replacing = (id: string, more: Record<string, unknown> = {}): Promise<Answer> => post({ ...about(patient), ...relates('replaces', `DocumentReference/${id}`), ...more });
    const old = await create(about(patient));
    expectStatus(await replacing(old.id), 201);
    expectOutcome(await replacing(old.id), 409, 'conflict');
    const gone = await create(about(patient));
    await client.delete(`DocumentReference/${gone.id}`);
    expectOutcome(await replacing(gone.id), 422, 'business-rule');
    const other = await create(about(randomUUID()));
    expectOutcome(await replacing(other.id), 422, 'business-rule');
    expect((await read(other.id)).status).toBe('current');
    const own = randomUUID();
    expectOutcome(await put(documentReference({ id: own, ...about(patient), ...relates('replaces', `DocumentReference/${own}`) })), 422, 'business-rule');
    expectOutcome(await client.get(`DocumentReference/${own}`), 404);
  });

  row('DOC-32', async () => {
    const patient = randomUUID();
    const target = await create(about(patient));
    for (const code of ['appends', 'transforms', 'signs']) expectStatus(await post({ ...about(patient), ...relates(code, `DocumentReference/${target.id}`) }), 201);
    expect(await read(target.id)).toEqual(target);
  });

  row('DOC-33', async () => {
    const patient = randomUUID();
    const target = await create(about(patient));
    const plain = await create({ ...about(patient), ...relates('appends', `DocumentReference/${target.id}`) });
    const versioned = await create({ ...about(patient), ...relates('signs', `DocumentReference/${target.id}/_history/1`) });
    const absolute = await create({ ...about(patient), ...relates('transforms', `${server.fhirBase}/DocumentReference/${target.id}`) });
    for (const value of [target.id, `DocumentReference/${target.id}`, `${server.fhirBase}/DocumentReference/${target.id}`]) expect(await find(`DocumentReference?relatesto=${encodeURIComponent(value)}`)).toEqual(sorted(plain.id, versioned.id, absolute.id));
    expect(await find(`DocumentReference?relatesto=DocumentReference/${target.id}/_history/1`)).toContain(versioned.id);
    expect(await find(`DocumentReference?patient=${patient}&relation=signs`)).toEqual([versioned.id]);
    const replacement = await create({ ...about(patient), ...relates('replaces', `DocumentReference/${target.id}`) });
    expect(await find(`DocumentReference?relation=replaces&relatesto=DocumentReference/${target.id}`)).toContain(replacement.id);
  });

  row('DOC-34', async () => {
    const patient = randomUUID();
    const old = await create(about(patient));
    const patch = { resourceType: 'Parameters', parameter: [{ name: 'operation', part: [{ name: 'type', valueCode: 'replace' }, { name: 'path', valueString: 'DocumentReference.status' }, { name: 'value', valueCode: 'superseded' }] }] };
    const answer = await client.post('', { resourceType: 'Bundle', type: 'transaction', entry: [
      { fullUrl: `urn:uuid:${randomUUID()}`, resource: documentReference({ ...about(patient), ...relates('replaces', `DocumentReference/${old.id}`) }), request: { method: 'POST', url: 'DocumentReference' } },
      { fullUrl: `urn:uuid:${randomUUID()}`, resource: patch, request: { method: 'PATCH', url: `DocumentReference/${old.id}` } },
    ] });
    expectStatus(answer, 200);
    const superseded = await read(old.id);
    expect([superseded.status, superseded.meta.versionId]).toEqual(['superseded', '2']);
    expect((await client.get(`DocumentReference/${old.id}/_history`)).json.total).toBe(2);
  });

  row('DOC-35', async () => {
    const patient = randomUUID();
    const old = await create(about(patient));
    const replacement = await create({ ...about(patient), ...relates('replaces', `DocumentReference/${old.id}`) });
    expectStatus(await client.delete(`DocumentReference/${replacement.id}`), 204);
    const after = await read(old.id);
    expect([after.status, after.meta.versionId]).toEqual(['superseded', '2']);
  });

  row('DOC-40', async () => {
    const patient = randomUUID();
    const subject = await create(about(patient));
    const author = await create({ ...about(randomUUID()), author: [{ reference: `Patient/${patient}` }] });
    await create({ ...about(randomUUID()), custodian: { reference: 'Organization/x' } });
    const picture = (await client.post('Media', media(about(patient)))).json;
    const [own, source] = [(await client.post('List', { resourceType: 'List', status: 'current', mode: 'working', ...about(patient) })).json, (await client.post('List', { resourceType: 'List', status: 'current', mode: 'working', source: { reference: `Patient/${patient}` } })).json];
    expect(await find(`Patient/${patient}/DocumentReference`)).toEqual(sorted(subject.id, author.id));
    expect(await find(`Patient/${patient}/Media`)).toEqual([picture.id]);
    expect(await find(`Patient/${patient}/List`)).toEqual(sorted(own.id, source.id));
    const events = await client.get(`Patient/${patient}/AuditEvent?_count=100`);
    expect(matches(events).length).toBeGreaterThan(0);
    for (const entry of events.json.entry) expect(JSON.stringify(entry.resource)).toContain(patient);
    expectStatus(await client.get(`Patient/${patient}/Provenance`), 200);
    expectOutcome(await client.get(`Patient/${patient}/Binary`), 404);
  });
});

describe('Media', () => {
  const postMedia = (changes: Record<string, unknown>): Promise<Answer> => client.post('Media', media(changes));
  const createMedia = async (changes: Record<string, unknown> = {}): Promise<any> => {
    const made = await postMedia(changes);
    expectStatus(made, 201);
    return made.json;
  };

  row('MED-01', async () => {
    expectOutcome(await postMedia({ status: undefined }), 422, 'required');
    for (const status of ['current', 'active']) expectOutcome(await postMedia({ status }), 422, 'code-invalid');
    for (const status of ['preparation', 'in-progress', 'not-done', 'on-hold', 'stopped', 'completed', 'entered-in-error', 'unknown']) expect((await createMedia({ status })).status).toBe(status);
  });

  row('MED-02', async () => {
    expectOutcome(await postMedia({ content: undefined }), 422, 'required');
    expectOutcome(await postMedia({ content: { data: 'QQ==' } }), 422, 'invariant');
    const data = BYTES.toString('base64');
    for (const wrong of [{ size: 1 }, { hash: sha256(BYTES) }]) expectOutcome(await postMedia({ content: { contentType: 'text/plain', data, ...wrong } }), 422, 'value');
    const { content } = await createMedia({ content: { contentType: 'text/plain', data } });
    expect(content).toMatchObject({ size: 13, hash: sha1(BYTES), url: expect.stringContaining('/Binary/') });
    expect(JSON.stringify(content)).toContain(sha256(BYTES));
    expect([content.data, (await client.get(content.url)).text]).toEqual([undefined, 'A short note.']);
  });

  row('MED-03', async () => {
    const own = { coding: [{ system: 'urn:own', code: 'hologram' }] };
    expect((await createMedia({ type: own })).type).toEqual(own);
  });

  row('MED-04', async () => {
    const patient = randomUUID();
    const moment = await createMedia({ ...about(patient), createdDateTime: '2024-05-06' });
    const span = await createMedia({ ...about(patient), createdDateTime: undefined, createdPeriod: { start: '2024-05-01', end: '2024-05-31' } });
    expect(await find(`Media?patient=${patient}&created=2024-05`)).toEqual(sorted(moment.id, span.id));
    expect(await find(`Media?patient=${patient}&created=2024-05-06`)).toEqual([moment.id]);
    expect(await find(`Media?patient=${patient}&created=gt2024-05-20`)).toEqual([span.id]);
    expectOutcome(await postMedia({ createdPeriod: { start: '2024' } }), 422);
  });

  row('MED-05', async () => {
    for (const element of ['height', 'width', 'frames']) {
      for (const value of [0, -1]) {
        const answer = await postMedia({ [element]: value });
        expect({ element, value, status: answer.status }).toEqual({ element, value, status: 400 });
        expectOutcome(answer, 400, 'value');
      }
      expect((await createMedia({ [element]: 1 }))[element]).toBe(1);
    }
    const text = JSON.stringify(media()).replace('"status"', '"duration":0.50,"status"');
    expect((await client.post('Media', text, { 'content-type': 'application/fhir+json' })).text).toContain('"duration":0.50');
  });

  row('MED-06', async () => {
    const more = { partOf: [{ reference: 'Procedure/1' }], basedOn: [{ reference: 'ServiceRequest/1' }], reasonCode: [{ text: 'why' }], bodySite: { text: 'hand' }, device: { reference: 'Device/1' }, deviceName: 'Camera', note: [{ text: 'n' }] };
    expect(await createMedia(more)).toMatchObject(more);
  });

  row('MED-07', async () => {
    const made = await createMedia();
    const document = await create(attached({ contentType: 'text/plain', url: made.content.url }));
    expect(document.content[0].attachment.url).toBe(made.content.url);
    expectStatus(await client.delete(`Media/${made.id}`), 204);
    expectStatus(await client.get(made.content.url), 200);
    expect((await client.get(`Media/${made.id}/_history`)).json.entry.map((entry: any) => entry.request.method)).toEqual(['DELETE', 'POST']);
  });

  row('MED-08', async () => {
    expectOutcome(await postMedia({ issued: '2024-05-06' }), 400, 'value');
    expect((await createMedia({ issued: '2024-05-06T07:08:09.5+02:00' })).issued).toBe('2024-05-06T07:08:09.5+02:00');
  });
});
