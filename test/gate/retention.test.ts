// How long documents are kept, what holds them, and how they are purged, over HTTP: two administrators, after the retention,
// never under a hold; nothing is left but digests, a certificate and the record, and the log still proves all of it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import sharp from 'sharp';
import { runRetentionCommand } from '../../src/retention-command.ts';
import { runVerifyCommand } from '../../src/verify-command.ts';
import { eventually } from '../support/eventually.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const TAG = 'https://muniment.example/fhir/CodeSystem/retention-class';
let server: TestMuniment;
let metricsPort: number;

beforeAll(async () => {
  metricsPort = await freePort();
  server = await startMuniment({ METRICS_PORT: String(metricsPort) });
});
afterAll(() => server.stop());

interface House { org: string; one: FhirClient; other: FhirClient }

/** An organisation of its own with two administrators. */
async function house(): Promise<House> {
  const org = `org-${randomUUID().slice(0, 8)}`;
  const client = async (user: string): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token({ org, user }));
  return { org, one: await client('Practitioner/one'), other: await client('Practitioner/other') };
}

const admin = (client: FhirClient, path: string, body?: object): Promise<Answer> => client.call(`${server.fhirBase.replace(/\/fhir$/, '')}/admin/${path}`, {
  ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
});
const codeOf = ({ status, json }: Answer): unknown[] => [status, json?.code ?? json?.issue?.[0]?.details?.coding?.[0]?.code];
const tagged = (code: string, more: object = {}): Record<string, unknown> => documentReference({ meta: { tag: [{ system: TAG, code }] }, ...more });
const inline = (bytes: Buffer): object => ({ content: [{ attachment: { contentType: 'application/octet-stream', data: bytes.toString('base64') } }] });

/** As if all of it had happened so much earlier. */
async function aged(reference: string, interval: string): Promise<void> {
  await server.sql(`update resource set last_updated = last_updated - $2::interval, date_hi = case when isfinite(date_hi) then date_hi - $2::interval end where id = $1`, [reference.split('/')[1], interval]);
}

async function created(client: FhirClient, resource: object): Promise<string> {
  const { status, json } = await client.post('DocumentReference', resource);
  expect(status).toBe(201);
  return `DocumentReference/${json.id}`;
}

const dueOf = async (client: FhirClient): Promise<Record<string, any>> => Object.fromEntries(((await admin(client, 'retention')).json.due as { reference: string }[]).map((one) => [one.reference, one])); // eslint-disable-line @typescript-eslint/no-explicit-any -- an answer

async function purged({ one, other }: House, reference: string): Promise<Answer> {
  const asked = await admin(one, 'purges', { reference, reason: 'Retention is over' });
  expect(codeOf(asked)).toEqual([201, undefined]);
  return admin(other, `purges/${asked.json.id}/$approve`, { reason: 'Reviewed, nothing speaks against it' });
}

const purgesCounted = async (): Promise<number> => Number(/^muniment_purges_total (\d+)$/m.exec(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text())?.[1]);

const filesOf = async (): Promise<number> => (await readdir(join(server.dataDir, 'content'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && !entry.parentPath.includes('.epoch')).length;

describe('retention', () => {
  it('shows for review what its class says, by its last activity, and deletes nothing', async () => {
    const { one } = await house();
    const [temporary, clinical, mental, permanent, young] = await Promise.all([created(one, tagged('temporary')), created(one, documentReference()), created(one, tagged('mental-health')), created(one, tagged('permanent')), created(one, tagged('temporary'))]);
    const { json: { id: binary } } = await one.post('Binary', 'left alone', { 'content-type': 'text/plain' });
    expect(await dueOf(one)).toEqual({});
    await aged(temporary, '25 hours');
    for (const reference of [mental, permanent]) await aged(reference, '19 years');
    await aged(clinical, '8 years 1 day');
    await aged(`Binary/${binary}`, '8 days');
    const due = await dueOf(one);
    expect(Object.fromEntries(Object.entries(due).map(([reference, { class: name }]) => [reference, name]))).toEqual({ [temporary]: 'temporary', [clinical]: 'clinical', [`Binary/${binary}`]: 'unlinked' });
    await aged(mental, '2 years');
    expect(Object.keys(await dueOf(one))).toContain(mental);
    for (const reference of [temporary, clinical, young, `Binary/${binary}`]) expect((await one.get(reference)).status).toBe(200);
  });

  it('counts from a new version on, and by the profile of the organisation', async () => {
    const { org, one } = await house();
    const reference = await created(one, documentReference());
    await aged(reference, '7 years 1 day');
    expect(await dueOf(one)).toEqual({});
    const operator = fhirClient(server.fhirBase, await server.token());
    const patched = await operator.call(`${server.fhirBase.replace(/\/fhir$/, '')}/admin/organisations/${org}`, { method: 'PATCH', body: JSON.stringify({ retention: 'seven-years' }), headers: { 'content-type': 'application/json' } });
    expect([patched.status, patched.json.retention]).toEqual([200, 'seven-years']);
    expect(Object.keys(await dueOf(one))).toEqual([reference]);
    const { json } = await one.get(reference);
    expect((await one.put(reference, { ...json, description: 'Looked at again' })).status).toBe(200);
    expect(await dueOf(one)).toEqual({});
  });

  it('pages through what is due without leaving any out', async () => {
    const { one } = await house();
    const references = await Promise.all(Array.from({ length: 5 }, () => created(one, tagged('temporary'))));
    for (const reference of references) await aged(reference, '2 days');
    const seen: string[] = [];
    for (let next = 'retention?_count=2'; next !== '';) {
      const { json } = await admin(one, next);
      seen.push(...(json.due as { reference: string }[]).map(({ reference }) => reference));
      next = (json.next as string | undefined)?.replace('/admin/', '') ?? '';
    }
    expect(seen.sort()).toEqual([...references].sort());
  });
});

describe('a legal hold', () => {
  it.each(['document', 'patient', 'organisation'])('on the %s refuses deletion and purge by 423 with its reason, on every way; lifted, it does not', async (kind) => {
    const { one, other } = await house();
    const patient = `p-${randomUUID()}`;
    const reference = await created(one, tagged('temporary', { subject: { reference: `Patient/${patient}` } }));
    await aged(reference, '2 days');
    const asked = await admin(one, 'purges', { reference, reason: 'Over' });
    const target = kind === 'document' ? reference : kind === 'patient' ? `Patient/${patient}` : 'Organization';
    const hold = await admin(one, 'holds', { target, reason: 'Case 2024/17 before the court' });
    expect([hold.status, hold.json]).toEqual([201, expect.objectContaining({ target, reason: 'Case 2024/17 before the court' })]);
    const refused = await one.delete(reference);
    expect([...codeOf(refused), refused.json.issue[0].diagnostics]).toEqual([423, 'held', expect.stringContaining('Case 2024/17 before the court')]);
    expect(codeOf(await one.delete(`DocumentReference?_id=${reference.split('/')[1]}&patient=${patient}`))).toEqual([423, 'held']);
    expect(codeOf(await one.post('', { resourceType: 'Bundle', type: 'transaction', entry: [{ request: { method: 'DELETE', url: reference } }] }))).toEqual([423, 'held']);
    const purge = await admin(other, `purges/${asked.json.id}/$approve`, { reason: 'Fine' });
    expect([...codeOf(purge), purge.json.detail]).toEqual([423, 'held', expect.stringContaining('Case 2024/17')]);
    expect((await dueOf(one))[reference]).toMatchObject({ hold: { target, reason: 'Case 2024/17 before the court' } });
    expect((await one.get(reference)).status).toBe(200);
    expect(codeOf(await admin(one, `holds/${hold.json.id}/$lift`, {}))).toEqual([422, 'required']);
    expect((await admin(one, `holds/${hold.json.id}/$lift`, { reason: 'The case is closed' })).json.lifted.reason).toBe('The case is closed');
    expect(codeOf(await admin(one, `holds/${hold.json.id}/$lift`, { reason: 'Again' }))).toEqual([409, 'conflict']);
    expect((await one.delete(reference)).status).toBe(204);
  });

  it('is placed and lifted by administrators alone, on what can be held, and each is recorded with its reason', async () => {
    const { org, one } = await house();
    const practitioner = fhirClient(server.fhirBase, await server.token({ org, roles: ['practitioner'] }));
    expect((await admin(practitioner, 'holds', { target: 'Organization', reason: 'x' })).status).toBe(403);
    expect(codeOf(await admin(one, 'holds', { target: 'Encounter/1', reason: 'x' }))).toEqual([422, 'code-invalid']);
    expect(codeOf(await admin(one, 'holds', { target: 'DocumentReference/none', reason: 'x' }))).toEqual([422, 'reference-target']);
    const { json: { id }, headers } = await admin(one, 'holds', { target: 'Patient/9', reason: 'Complaint' });
    expect((await one.auditOf(headers.get('x-request-id') ?? ''))[0].outcomeDesc).toBe('Legal hold placed on Patient/9: Complaint');
    expect((await admin(one, `holds/${id}`)).json).toMatchObject({ id, target: 'Patient/9', by: { client: 'muniment-cli' } });
    expect((await admin(one, 'holds')).json.holds).toHaveLength(1);
    const { one: stranger } = await house();
    expect((await admin(stranger, `holds/${id}`)).status).toBe(404);
    expect((await admin(stranger, 'holds?lifted=all')).json.holds).toEqual([]);
  });

  it('that is placed while documents are deleted holds each that was not deleted before', async () => {
    const { one, other } = await house();
    const references = await Promise.all(Array.from({ length: 12 }, () => created(one, documentReference())));
    const [hold, ...deletions] = await Promise.all([admin(other, 'holds', { target: 'Organization', reason: 'Inquiry' }), ...references.map((reference) => one.delete(reference))]);
    expect([hold.status, new Set([...deletions.map(({ status }) => status), 204, 423])]).toEqual([201, new Set([204, 423])]);
    for (const [index, reference] of references.entries()) expect((await one.get(reference)).status).toBe(deletions[index]?.status === 204 ? 410 : 200);
    expect((await one.delete(references[0] as string)).status).toBe(deletions[0]?.status === 204 ? 204 : 423);
  });
});

describe('a purge', () => {
  it('takes text, versions and bytes, leaves a tombstone, a certificate and the record, and the log still proves all of it', async () => {
    const own = await house();
    const { one } = own;
    const secret = randomBytes(3_000);
    const reference = await created(one, tagged('temporary', { description: 'A secret of the patient', ...inline(secret) }));
    const { json } = await one.get(reference);
    const binary = (json.content[0].attachment.url as string).split('/fhir/')[1] as string;
    await one.put(reference, { ...json, description: 'Another secret' });
    await aged(reference, '2 days');
    const files = await filesOf();
    const counted = await purgesCounted();
    const done = await purged(own, reference);
    expect(await purgesCounted()).toBe(counted + 1);
    expect([done.status, done.json]).toEqual([200, expect.objectContaining({ state: 'done', reference, retention: expect.objectContaining({ class: 'temporary' }), certificate: expect.stringMatching(/^DocumentReference\//) })]);
    for (const path of [reference, `${reference}/_history/1`, `${reference}/_history/2`, binary, `${binary}/_history/1`]) expect([path, (await one.get(path)).status]).toEqual([path, 410]);
    const history = await one.get(`${reference}/_history`);
    expect([history.status, history.text.includes('ecret')]).toEqual([200, false]);
    // The certificate's own bytes took the place of those that went.
    expect(await filesOf()).toBe(files);
    const texts = await server.sql<{ found: boolean }>(`select exists (select from resource where body like '%secret%' and body not like '%certificate%') or exists (select from resource_history where body like '%secret%') as found`);
    expect(texts).toEqual([{ found: false }]);
    const certificate = await one.get(done.json.certificate);
    expect(certificate.json).toMatchObject({ docStatus: 'final', type: { text: 'Certificate of destruction' }, description: `Certificate of destruction of ${reference}` });
    const told = (await one.get((certificate.json.content[0].attachment.url as string).split('/fhir/')[1] as string, { accept: '*/*' })).json;
    expect(told).toMatchObject({ reference, requested: { reason: 'Retention is over' }, approved: { reason: 'Reviewed, nothing speaks against it' }, bytes: [{ size: 3_000 }] });
    expect(told.resources.map(({ reference: name, versions }: { reference: string; versions: unknown[] }) => [name, versions.length])).toEqual([[reference, 2], [binary, 1]]);
    const events = await one.auditOf(done.headers.get('x-request-id') ?? '');
    expect(events[0]).toMatchObject({ outcomeDesc: 'Purge approved: Reviewed, nothing speaks against it' });
    expect(JSON.stringify(events[0].entity)).toContain(`${reference}/_history/2`);
    expect(await server.sql(`select 1 from outbox o where o.id = $1 and o.version = 3`, [reference.split('/')[1]])).toHaveLength(1);
  });

  it('takes the small pictures of an image along', async () => {
    const own = await house();
    const picture = await sharp({ create: { width: 600, height: 400, channels: 3, background: '#845' } }).jpeg().toBuffer();
    const reference = await created(own.one, tagged('temporary', { content: [{ attachment: { contentType: 'image/jpeg', data: picture.toString('base64') } }] }));
    const made = async (): Promise<{ content: string }[]> => server.sql(`select d.content from rendition d join attachment_use u on u.org = d.org and u."binary" = d."binary" where u.id = $1 and d.content is not null`, [reference.split('/')[1]]);
    const pictures = await eventually(made, (rows) => rows.length > 0, 30_000);
    await aged(reference, '2 days');
    expect((await purged(own, reference)).json.state).toBe('done');
    expect(await server.sql(`select distinct state from content where id = any($1::uuid[])`, [pictures.map(({ content }) => content)])).toEqual([{ state: 'gone' }]);
  });

  it('is approved by somebody else, whatever client they come with; once, and while it is open', async () => {
    const { org, one, other } = await house();
    const reference = await created(one, tagged('temporary'));
    await aged(reference, '2 days');
    const asked = await admin(one, 'purges', { reference, reason: 'Over' });
    expect(codeOf(await admin(one, 'purges', { reference, reason: 'Over' }))).toEqual([409, 'conflict']);
    const again = fhirClient(server.fhirBase, await server.token({ org, user: 'Practitioner/one', client: 'another-app' }));
    for (const client of [one, again]) expect(codeOf(await admin(client, `purges/${asked.json.id}/$approve`, { reason: 'Fine' }))).toEqual([422, 'business-rule']);
    expect((await one.get(reference)).status).toBe(200);
    const [first, second] = await Promise.all([0, 1].map(() => admin(other, `purges/${asked.json.id}/$approve`, { reason: 'Fine' })));
    expect([first?.status, second?.status].sort()).toEqual([200, 409]);
    expect(codeOf(await admin(one, 'purges', { reference, reason: 'Once more' }))).toEqual([409, 'conflict']);
    const practitioner = fhirClient(server.fhirBase, await server.token({ org, roles: ['practitioner'] }));
    expect((await admin(practitioner, 'purges', { reference, reason: 'x' })).status).toBe(403);
    expect((await admin(one, 'purges?state=done')).json.purges).toHaveLength(1);
  });

  it('is refused before its time with the date, also when that came after it was asked for; it can be withdrawn', async () => {
    const { one, other } = await house();
    const reference = await created(one, documentReference());
    const early = await admin(one, 'purges', { reference, reason: 'Now' });
    expect([...codeOf(early), early.json.class, Date.parse(early.json.until) > Date.now()]).toEqual([422, 'business-rule', 'clinical', true]);
    const temporary = await created(one, tagged('temporary'));
    await aged(temporary, '2 days');
    const asked = await admin(one, 'purges', { reference: temporary, reason: 'Over' });
    const { json } = await one.get(temporary);
    expect((await one.put(temporary, { ...json, description: 'In use again' })).status).toBe(200);
    expect(codeOf(await admin(other, `purges/${asked.json.id}/$approve`, { reason: 'Fine' }))).toEqual([422, 'business-rule']);
    expect((await admin(one, `purges/${asked.json.id}/$withdraw`, { reason: 'It is in use' })).json).toMatchObject({ state: 'withdrawn', withdrawn: { reason: 'It is in use' } });
    expect((await one.get(temporary)).status).toBe(200);
    expect(codeOf(await admin(one, 'purges', { reference: 'DocumentReference/none', reason: 'x' }))).toEqual([404, 'not-found']);
    expect(codeOf(await admin(one, 'purges', { reference: 'Patient/1', reason: 'x' }))).toEqual([422, 'code-invalid']);
  });

  it('leaves bytes that another document uses, and takes them with that one; bytes of a document do not go alone', async () => {
    const own = await house();
    const { json: { id } } = await own.one.post('Binary', 'shared bytes', { 'content-type': 'text/plain' });
    const linked = { content: [{ attachment: { contentType: 'text/plain', url: `Binary/${id}` } }] };
    const [first, second] = [await created(own.one, tagged('temporary', linked)), await created(own.one, tagged('temporary', linked))];
    for (const reference of [first, second, `Binary/${id}`]) await aged(reference, '30 days');
    expect(codeOf(await admin(own.one, 'purges', { reference: `Binary/${id}`, reason: 'x' }))).toEqual([409, 'conflict']);
    expect((await purged(own, first)).json.state).toBe('done');
    expect([(await own.one.get(`Binary/${id}`)).text, (await own.one.get(second)).status]).toEqual(['shared bytes', 200]);
    expect((await purged(own, second)).json.state).toBe('done');
    expect((await own.one.get(`Binary/${id}`)).status).toBe(410);
  });

  it('is finished by any server later, where its bytes could not be removed at once', async () => {
    const own = await house();
    const reference = await created(own.one, tagged('temporary', inline(randomBytes(500))));
    await aged(reference, '2 days');
    const { json: { id } } = await admin(own.one, 'purges', { reference, reason: 'Over' });
    await server.sql(`insert into store_epoch (store, current) values ('local', $1) on conflict (store) do update set current = $1, next = null`, [randomUUID()]);
    const approved = await admin(own.other, `purges/${id}/$approve`, { reason: 'Fine' });
    expect([approved.status, approved.json.state, (await own.one.get(reference)).status]).toEqual([200, 'approved', 410]);
    await server.sql('delete from store_epoch');
    const second = await server.startSecond({ METRICS_PORT: '0' });
    try {
      await eventually(async () => (await admin(own.one, `purges/${id}`)).json.state as string, (state) => state === 'done');
    } finally { await second.stop(); }
  });

  it('is the only way to a history without text: the database refuses any other', async () => {
    const { one } = await house();
    const reference = await created(one, documentReference());
    const { json } = await one.get(reference);
    await one.put(reference, { ...json, description: 'Changed' });
    const id = reference.split('/')[1];
    await expect(server.sql('update resource_history set body = null, patient = null where id = $1', [id])).rejects.toThrow('does not change');
    await expect(server.sql(`update resource_history set body = '{}' where id = $1`, [id])).rejects.toThrow('does not change');
  });

  it('does not read as tampering', async () => {
    const own = await house();
    // What makes it older than it is must not look like tampering itself: no leaf is made meanwhile.
    const [reference, binary] = await withoutLeaves(async () => {
      const made = await created(own.one, tagged('temporary', inline(randomBytes(100))));
      const { json } = await own.one.get(made);
      await own.one.put(made, { ...json, description: 'Changed' });
      await aged(made, '2 days');
      return [made, (json.content[0].attachment.url as string).split('/fhir/')[1] as string];
    });
    await leafOf(reference, 2);
    expect((await findings()).filter(concerning(reference, binary))).toEqual([]);
    expect((await purged(own, reference)).json.state).toBe('done');
    await leafOf(reference, 3);
    expect((await findings()).filter(concerning(reference, binary))).toEqual([]);
  });

  it('that nobody approved is told by verify', async () => {
    const { one } = await house();
    const reference = await created(one, documentReference());
    const { json } = await one.get(reference);
    await one.put(reference, { ...json, description: 'Changed' });
    const id = reference.split('/')[1];
    await leafOf(reference, 2);
    await server.sql(`insert into purged_version (org, type, id, version, purge, sha256) select org, type, id, version, $2, sha256(convert_to(body, 'UTF8')) from resource_history where id = $1`, [id, randomUUID()]);
    await server.sql('update resource_history set body = null, patient = null where id = $1', [id]);
    expect((await findings()).filter(concerning(reference))).toMatchObject([{ kind: 'version-changed', reference: `${reference}/_history/1` }]);
  });
});

describe('the commands', () => {
  it('do the same as the person whose token it is, and exit by what came of it', async () => {
    const { org, one } = await house();
    const reference = await created(one, tagged('temporary'));
    await aged(reference, '2 days');
    const token = async (user: string): Promise<string> => server.token({ org, user });
    const [first, second] = [await token('Practitioner/one'), await token('Practitioner/two')];
    const run = async (command: 'retention' | 'hold' | 'purge', words: string[], who = first): Promise<{ code: number; answer: any }> => { // eslint-disable-line @typescript-eslint/no-explicit-any -- an answer
      const { value, text } = await told(() => runRetentionCommand(command, [...words, '--json'], { MUNIMENT_TOKEN: who, MUNIMENT_BASE: server.fhirBase }));
      return { code: value, answer: text === '' ? undefined : JSON.parse(text) };
    };
    expect((await run('retention', [])).answer.due).toMatchObject([{ reference, class: 'temporary' }]);
    const hold = await run('hold', ['place', reference, '--reason', 'Case']);
    expect([hold.code, hold.answer.target]).toEqual([0, reference]);
    expect((await run('purge', ['request', reference, '--reason', 'Over'])).code).toBe(1);
    expect((await run('hold', ['lift', hold.answer.id, '--reason', 'Closed'])).code).toBe(0);
    const { answer: { id } } = await run('purge', ['request', reference, '--reason', 'Over']);
    expect((await run('purge', ['approve', id, '--reason', 'Fine'])).code).toBe(1);
    expect((await run('purge', ['approve', id, '--reason', 'Fine'], second)).answer).toMatchObject({ state: 'done', reference });
    expect((await run('purge', ['list'])).answer.purges).toHaveLength(1);
    for (const words of [[], ['erase', reference], ['request', reference], ['request', reference, 'more', '--reason', 'x'], ['--no']]) expect([words, (await run('purge', words)).code]).toEqual([words, 2]);
  });
});

/** What was written on standard output meanwhile. */
async function told<T>(work: () => Promise<T>): Promise<{ value: T; text: string }> {
  const texts: string[] = [];
  const [out, err] = [process.stdout.write.bind(process.stdout), process.stderr.write.bind(process.stderr)];
  process.stdout.write = ((text: string) => { texts.push(text); return true; });
  process.stderr.write = (() => true);
  try {
    return { value: await work(), text: texts.join('') };
  } finally {
    process.stdout.write = out;
    process.stderr.write = err;
  }
}

interface Finding { kind: string; reference?: string }

const concerning = (...references: string[]) => ({ reference }: Finding): boolean => references.some((one) => reference?.startsWith(`${one}/`) === true);

/** Until the log has a leaf for that version. */
async function leafOf(reference: string, version: number): Promise<void> {
  await eventually(() => server.sql('select 1 from log_leaf where id = $1 and version = $2', [reference.split('/')[1], version]), (rows) => rows.length > 0);
}

/** While the log is held nobody makes leaves. */
async function withoutLeaves<T>(work: () => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server.ownerUrl });
  await client.connect();
  try {
    await client.query('begin');
    await client.query('select from log_state for update');
    return await work();
  } finally { await client.end(); }
}

async function findings(): Promise<Finding[]> {
  const { text } = await told(() => runVerifyCommand(['--json'], { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl, METRICS_PORT: '0' }));
  return (JSON.parse(text) as { findings: Finding[] }).findings;
}
