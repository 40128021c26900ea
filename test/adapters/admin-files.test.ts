// /admin/files, /admin/jobs and /admin/quota over HTTP and by their commands: what is told, the link that was lost, and the record of both.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { runAdminCommand, type AdminCommand } from '../../src/admin-command.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  admin = await as({});
});
afterAll(() => server.stop());

const as = async (options: TokenOptions): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token(options));
const ask = (client: FhirClient, path: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> => client.call(`${new URL(client.base).origin}/admin/${path}`, {
  method: body === undefined ? 'GET' : 'POST', ...(body === undefined ? {} : { body: JSON.stringify(body) }), headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
});
/** A Binary that no document uses, made by somebody else than who asks. */
async function lost(bytes = Buffer.from(`%PDF-1.4\n% ${randomUUID()}\n`)): Promise<{ id: string; bytes: Buffer }> {
  const { json: { id } } = await (await as({ user: 'Practitioner/scanner', roles: ['practitioner'], client: 'scanner' })).post('Binary', bytes, { 'content-type': 'application/pdf' });
  return { id, bytes };
}
const REASON = 'The scanner lost its link';

describe('files by id', () => {
  it('are told with type, size, digest and who sent them, and never with where they are stored', async () => {
    const { id, bytes } = await lost();
    const { status, json, text } = await ask(admin, `files/${id}`);
    expect(status).toBe(200);
    expect(json).toMatchObject({ id, binary: `Binary/${id}`, state: 'live', content_type: 'application/pdf', size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex'), documents: [], linked: false, by: { client: 'scanner' } });
    const [row] = await server.sql<{ key: string }>('select key from content where id = $1', [json.content]);
    expect(text).not.toContain(row?.key.split('/').at(-1));
  });

  it('are found by the id of the Binary or of the content, by the handle of an upload and by the number of a patient\'s file', async () => {
    const { id } = await lost();
    const { json: { content } } = await ask(admin, `files/${id}`);
    for (const fileId of [id, content, `muniment://${id}/scan.pdf`]) expect([fileId, (await ask(admin, `files?fileId=${encodeURIComponent(fileId as string)}`)).json.files.map((file: { id: string }) => file.id)]).toEqual([fileId, [id]]);
    const form = new FormData();
    form.append('file', new Blob(['a drawing'], { type: 'text/plain' }), 'a.txt');
    const encoded = new Response(form);
    const sent = await admin.call(`${new URL(admin.base).origin}/api/patients/p-${randomUUID().slice(0, 8)}/files`, { method: 'POST', body: Buffer.from(await encoded.arrayBuffer()), headers: { 'content-type': encoded.headers.get('content-type') ?? '' } });
    expect((await ask(admin, `files?fileId=${sent.json.file_id}`)).json.files).toMatchObject([{ documents: [sent.json.document_reference], linked: true }]);
    for (const fileId of ['nothing', '../x', '019ac000-0000-7000-8000-000000000000']) expect((await ask(admin, `files/${encodeURIComponent(fileId)}`)).status).toBe(404);
  });

  it('are listed page by page, those without a document by themselves', async () => {
    const org = `files-${randomUUID().slice(0, 8)}`;
    const own = await as({ org });
    const ids = [];
    for (let count = 0; count < 3; count += 1) ids.push((await own.post('Binary', Buffer.from(randomUUID()), { 'content-type': 'text/plain' })).json.id as string);
    await own.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: `Binary/${ids[0]}` } }] }));
    const seen: string[] = [];
    for (let next: string | undefined = '/admin/files?linked=no&_count=1'; next !== undefined;) {
      const { json } = await ask(own, next.replace('/admin/', ''));
      seen.push(...json.files.map((file: { id: string }) => file.id));
      next = json.next as string | undefined;
    }
    expect(seen.sort()).toEqual(ids.slice(1).sort());
    expect((await ask(own, 'files')).json.files).toHaveLength(3);
    expect((await ask(own, 'files?linked=maybe')).status).toBe(400);
  });

  it('are those of the own organisation, for its administrators alone', async () => {
    const { id } = await lost();
    expect((await ask(await as({ org: 'elsewhere' }), `files/${id}`)).status).toBe(404);
    expect((await ask(await as({ roles: ['practitioner'] }), `files/${id}`)).status).toBe(403);
  });
});

describe('$link', () => {
  it('makes a document about a patient of a file that nobody names, with its record, and the mirror is told', async () => {
    const { id, bytes } = await lost();
    const [patient, requestId] = [`p-${randomUUID().slice(0, 8)}`, randomUUID()];
    const { status, json } = await ask(admin, `files/${id}/$link`, { patient_id: patient, category: 'lab', title: 'Blood', reason: REASON }, { 'x-request-id': requestId });
    expect([status, json.linked, json.changed]).toEqual([200, true, true]);
    const document = (await admin.get(json.document as string)).json;
    expect(document).toMatchObject({ subject: { reference: `Patient/${patient}` }, content: [{ attachment: { url: `${server.fhirBase}/Binary/${id}`, title: 'Blood', size: bytes.length } }] });
    const events = await admin.auditOf(requestId);
    expect(events.map(({ action }: { action: string }) => action)).toEqual(['E']);
    expect((await admin.get(`Provenance?target=${json.document}`)).json.entry.map(({ resource }: { resource: { activity: { coding: { code: string }[] } } }) => resource.activity.coding[0]?.code)).toContain('CREATE');
    expect(JSON.stringify(events)).toContain(REASON);
    expect(JSON.stringify(events)).toContain(`Binary/${id}`);
    expect(await server.sql('select 1 from outbox where id = $1', [document.id])).toHaveLength(1);
    expect((await ask(admin, `files/${id}/$link`, { patient_id: patient, reason: REASON })).status).toBe(409);
  });

  it('adds the file to a document that is there, once', async () => {
    const { id } = await lost();
    const { json: { id: document } } = await admin.post('DocumentReference', documentReference());
    const link = (): Promise<Answer> => ask(admin, `files/${id}/$link`, { document, reason: REASON });
    const requestId = randomUUID();
    expect((await ask(admin, `files/${id}/$link`, { document, reason: REASON }, { 'x-request-id': requestId })).json).toMatchObject({ document: `DocumentReference/${document}`, version: '2', changed: true });
    expect(await admin.auditOf(requestId)).toHaveLength(1);
    expect((await admin.get(`DocumentReference/${document}`)).json.content).toHaveLength(2);
    expect((await link()).json).toMatchObject({ version: '2', changed: false });
  });

  it.each<[string, object, number, string | undefined]>([
    ['no reason', { patient_id: 'p1' }, 422, 'reason'], ['no patient', { reason: REASON }, 422, 'patient_id'], ['a path', { patient_id: '../1', reason: REASON }, 400, 'patient_id'], ['another category', { patient_id: 'p1', category: 'xray', reason: REASON }, 422, 'category'],
    ['both', { patient_id: 'p1', document: 'd1', reason: REASON }, 400, 'document'], ['an unknown document', { document: 'not-here', reason: REASON }, 404, undefined], ['a further member', { patient_id: 'p1', key: 's3', reason: REASON }, 400, 'key'],
  ])('refuses %s, links nothing, and says where', async (_what, body, status, place) => {
    const { id } = await lost();
    const refused = await ask(admin, `files/${id}/$link`, body);
    expect([refused.status, refused.headers.get('content-type'), refused.json.errors?.[0]?.expression]).toEqual([status, 'application/problem+json', place]);
    expect((await ask(admin, `files/${id}`)).json.linked).toBe(false);
  });
});

describe('jobs and quotas', () => {
  it('tells the operator what goes on in the background, and how far it is', async () => {
    await lost();
    const { status, json } = await ask(admin, 'jobs');
    expect(status).toBe(200);
    const names = json.jobs.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['reindex', 'scrub', 'sweep', 'purge']));
    for (const job of json.jobs) expect(job.total === null || job.done <= job.total).toBe(true);
    expect(json.jobs.find(({ name }: { name: string }) => name === 'scrub')).toMatchObject({ state: 'complete', done: json.jobs.find(({ name }: { name: string }) => name === 'scrub').total });
    expect((await ask(await as({ org: 'elsewhere' }), 'jobs')).status).toBe(403);
  });

  it('shows what began and did not go on as waiting, and what ended as complete', async () => {
    await server.sql(`insert into mirror_run (org, kind, progress, updated_at) select id, 'backfill', '{"done": 3, "total": 10}', now() - interval '1 hour' from organisation where name = 'demo'`);
    await server.sql(`insert into mirror_run (org, kind, progress, ended_at) select id, 'reconcile', '{"types": {"DocumentReference": {"here": 5, "compared": 5}, "Media": {"here": 2, "compared": 2}}}', now() from organisation where name = 'demo'`);
    const { json: { jobs } } = await ask(admin, 'jobs');
    expect(jobs).toEqual(expect.arrayContaining([expect.objectContaining({ name: 'backfill', organisation: 'demo', state: 'waiting', done: 3, total: 10 }), expect.objectContaining({ name: 'reconcile', state: 'complete', done: 7, total: 7 })]));
  });

  it('shows how far the comparison of each store is: under way, broken off, ended', async () => {
    await Promise.all([lost(), lost(), lost()]);
    const [own] = await server.sql<{ store: string; count: number; middle: string }>(`select store, count(*)::int as count, (array_agg(key order by key collate "C"))[2] as middle from content where state <> 'gone' group by store`);
    const inventory = async (): Promise<unknown> => (await ask(admin, 'jobs')).json.jobs.filter(({ name }: { name: string }) => name === 'inventory');
    expect(await inventory()).toEqual([]);
    await server.sql(`insert into store_inventory (store, after_key, lease, leased_until) values ($1, $2, gen_random_uuid(), now() + interval '1 minute')`, [own?.store, own?.middle]);
    expect(await inventory()).toEqual([expect.objectContaining({ of: own?.store, state: 'running', done: 2, total: own?.count, ended: null })]);
    await server.sql(`update store_inventory set leased_until = now() - interval '1 second'`);
    expect(await inventory()).toEqual([expect.objectContaining({ state: 'waiting', done: 2 })]);
    await server.sql(`update store_inventory set finished_at = now(), after_key = ''`);
    expect(await inventory()).toEqual([expect.objectContaining({ state: 'complete', done: own?.count, total: own?.count, ended: expect.any(String) })]);
  });

  it('tells an organisation what it holds of what it may', async () => {
    const org = `quota-${randomUUID().slice(0, 8)}`;
    const own = await as({ org });
    await own.post('Binary', Buffer.from('12345'), { 'content-type': 'text/plain' });
    expect((await ask(own, 'quota')).json).toEqual({ organisation: org, bytes: 5, count: 1, quotaBytes: null, quotaCount: null });
  });
});

describe('the commands', () => {
  async function told(command: AdminCommand, ...words: string[]): Promise<{ code: number; out: string }> {
    let out = '';
    const [write, error] = [process.stdout.write.bind(process.stdout), process.stderr.write.bind(process.stderr)];
    process.stdout.write = process.stderr.write = ((text: string) => { out += text; return true; }) as typeof process.stdout.write;
    try {
      return { code: await runAdminCommand(command, words, { MUNIMENT_TOKEN: await server.token(), MUNIMENT_BASE: server.fhirBase }), out };
    } finally {
      process.stdout.write = write;
      process.stderr.write = error;
    }
  }

  it('find, show and link files', async () => {
    const { id } = await lost();
    expect((await told('files', 'unlinked')).out).toContain(id);
    expect(await told('files', 'find', id)).toMatchObject({ code: 0, out: expect.stringContaining('no document') });
    expect(await told('files', 'link', id, '--patient', 'p1', '--category', 'lab', '--reason', REASON)).toMatchObject({ code: 0, out: expect.stringContaining('linked to DocumentReference/') });
    expect(await told('files', 'link', id, '--patient', 'p1', '--reason', REASON)).toMatchObject({ code: 1, out: expect.stringMatching(/^409: /) });
    expect(JSON.parse((await told('files', 'show', id, '--json')).out).linked).toBe(true);
    for (const words of [['link', id, '--patient', 'p1'], ['link', id, '--patient', 'p1', '--document', 'd1', '--reason', REASON], ['drop', id], []]) expect((await told('files', ...words)).code).toBe(2);
  });

  it('list jobs, and show and set quotas', async () => {
    expect(await told('jobs')).toMatchObject({ code: 0, out: expect.stringMatching(/^reindex {2}DocumentReference/m) });
    expect((await told('jobs')).out).toMatch(/^inventory {2}local {2}complete {2}\d+ of \d+ /m);
    const org = `q-${randomUUID().slice(0, 8)}`;
    await (await as({ org })).get('DocumentReference');
    expect(await told('quota', 'set', org, '--bytes', '1000', '--count', 'none')).toMatchObject({ code: 0, out: expect.stringContaining('may hold 1000 (bytes), no bound (contents)') });
    expect((await told('quota', 'show', org)).out).toContain('1000');
    expect((await told('quota')).out).toMatch(/^demo {2}holds \d+ bytes/);
    for (const words of [['set', org], ['set', org, '--bytes', '-1'], ['what']]) expect((await told('quota', ...words)).code).toBe(2);
  });
});
