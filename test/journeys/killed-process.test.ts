// kill -9 in the middle of uploads: what was answered is there byte for byte and recorded, and nothing is half there.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { startChild, type ChildMuniment } from '../support/child-muniment.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { freePort } from '../support/start-muniment.ts';

interface Promised {
  requestId: string;
  /** Where the resource is, and where its bytes are. */
  path: string;
  bytesAt: string;
  sha256: string;
}

const ROUNDS = 3;
const UPLOADERS = 8;
let dataDir: string;
let port: number;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'muniment-killed-'));
  port = await freePort();
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The same numbers in each run of one seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One write of a kind that the number chooses; undefined when the server was gone before it answered. */
async function write(client: FhirClient, random: () => number): Promise<Promised | undefined> {
  const requestId = randomUUID();
  const bytes = randomBytes(1 + Math.floor(random() ** 3 * 3_000_000));
  const inline = { content: [{ attachment: { contentType: 'application/octet-stream', data: bytes.toString('base64') } }] };
  const headers = { 'x-request-id': requestId };
  const kind = random();
  const id = randomUUID();
  let answer: Answer;
  try {
    if (kind < 0.4) answer = await client.post('Binary', bytes, { ...headers, 'content-type': 'application/octet-stream' });
    else if (kind < 0.6) answer = await client.post('DocumentReference', documentReference(inline), { ...headers, 'idempotency-key': randomUUID() });
    else if (kind < 0.8) answer = await client.post('DocumentReference', documentReference(inline), headers);
    else answer = await client.put(`DocumentReference/${id}`, { ...documentReference(inline), id }, headers);
  } catch {
    return undefined;
  }
  expect([kind, answer.status]).toEqual([kind, 201]);
  const { resourceType, id: made, content } = answer.json;
  return { requestId, path: `${resourceType}/${made}`, bytesAt: resourceType === 'Binary' ? `Binary/${made}` : content[0].attachment.url, sha256: sha256(bytes) };
}

/** Kills the server a moment after some have been answered: eight writes are under way then. */
async function uploadUntilKilled(server: ChildMuniment, random: () => number): Promise<Promised[]> {
  const client = fhirClient(server.fhirBase, await server.token());
  const promised: Promised[] = [];
  const uploaders = Array.from({ length: UPLOADERS }, async () => {
    for (let one = await write(client, random); one !== undefined; one = await write(client, random)) promised.push(one);
  });
  const enough = 10 + Math.floor(random() * 30);
  await eventually(async () => promised.length, (count) => count >= enough, 30_000);
  await sleep(random() * 150);
  await server.end('SIGKILL');
  await Promise.all(uploaders);
  return promised;
}

async function checkPromises(server: ChildMuniment, promised: readonly Promised[]): Promise<void> {
  const client = fhirClient(server.fhirBase, await server.token());
  for (const one of promised) {
    const bytes = await client.get(one.bytesAt, { accept: '*/*' });
    expect([one.path, bytes.status, sha256(bytes.bytes)]).toEqual([one.path, 200, one.sha256]);
    const events = await client.auditOf(one.requestId);
    expect([one.path, events.map((event) => event.outcome), JSON.stringify(events).includes(`${one.path}/_history/1`)]).toEqual([one.path, ['0'], true]);
  }
}

/** What must hold of the rows and files whatever happened: each query finds the exceptions. */
const EXCEPTIONS: Record<string, string> = {
  'a Binary without live content': `select r.id from resource r left join content c on c.org = r.org and c.id = r.content where r.type = 1 and not r.deleted and c.state is distinct from 'live'`,
  'live content without a Binary': `select c.id from content c left join resource r on r.org = c.org and r.content = c.id where c.state = 'live' and r.id is null`,
  'a version without its access event': `select v.id from (select org, type, id, version from resource union all select org, type, id, version from resource_history) v
    left join outbox o using (org, type, id, version) left join access_event e on e.org = o.org and e.id = o.event and e.write where e.id is null`,
  'a document without its Binary': `select u.id from attachment_use u left join resource b on b.org = u.org and b.type = 1 and b.id = u."binary" where b.id is null`,
  'an access event without its entities': `select e.id from access_event e where e.write and not exists (select from access_entity x where x.org = e.org and x.event = e.id)`,
  'a finished Idempotency-Key without its resource': `select i.key from idempotency i left join resource r on r.org = i.org and r.type = i.type and r.id = i.id where i.state = 'done' and r.id is null`,
};

async function checkRows(): Promise<number> {
  const postgres: EmbeddedPostgres = await startEmbeddedPostgres({ directory: join(dataDir, 'postgres') });
  const owner = new pg.Client({ connectionString: postgres.url });
  try {
    await owner.connect();
    for (const [what, query] of Object.entries(EXCEPTIONS)) expect([what, (await owner.query(query)).rows]).toEqual([what, []]);
    const { rows } = await owner.query<{ key: string; sha256: Buffer }>(`select key, sha256 from content where state = 'live'`);
    for (const row of rows) expect([row.key, sha256(await readFile(join(dataDir, 'content', row.key)))]).toEqual([row.key, row.sha256.toString('hex')]);
    return rows.length;
  } finally {
    await owner.end();
    await postgres.stop();
  }
}

it('after each of three kills among eight uploaders the same folder serves all that was answered, and nothing is half visible', async () => {
  const random = seeded(20_241_125);
  const promised: Promised[] = [];
  let server = await startChild(dataDir, port);
  for (let round = 0; round < ROUNDS; round += 1) {
    const fresh = await uploadUntilKilled(server, random);
    promised.push(...fresh);
    server = await startChild(dataDir, port);
    await checkPromises(server, fresh);
  }
  await checkPromises(server, promised);
  expect(await server.end('SIGTERM')).toBe(0);
  expect(await checkRows()).toBeGreaterThanOrEqual(promised.length);
}, 180_000);
