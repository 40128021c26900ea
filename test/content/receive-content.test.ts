// The write path on a real PostgreSQL and the local store: what is kept, what is refused, and what is left after a failure.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { CHUNK_BYTES } from '../../src/content/chunk-digests.ts';
import type { ContentStore } from '../../src/content/content-store.ts';
import { createContentReader, quarantineContent } from '../../src/content/read-content.ts';
import { CLINICAL_TYPES } from '../../src/content/declared-type.ts';
import { createContentReceiver, publishContent, type ContentReceiver, type ReceivedContent, type Reception } from '../../src/content/receive-content.ts';
import { fenceHolds, haltedStores, renewEpoch } from '../../src/content/epoch-fence.ts';
import { planSweep, sweepContent } from '../../src/content/sweep.ts';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import type { ContentRow } from '../../src/database/tables.ts';
import { fhirError } from '../../src/fhir/fhir-error.ts';
import { createDatabase } from '../support/start-muniment.ts';
import { brokenOff, collect, inPieces, MIB, sameBytes } from './byte-sources.ts';

const HOUR_MS = 60 * 60 * 1_000;
const DAY_MS = 24 * HOUR_MS;
const BYTES_MAX = 12 * MIB;

let directory: string;
let database: Database;
let owner: pg.Client;
let org: { id: number; name: string };
let store: ContentStore;
let receiver: ContentReceiver;

const receiverOn = (other: ContentStore, keyTemplate = '{org}/{year}/{month}/{uuid}'): ContentReceiver => createContentReceiver({ database, store: other, keyTemplate, scan: { scanner: undefined, required: false } });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'muniment-receive-'));
  const url = await createDatabase();
  database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true });
  owner = new pg.Client({ connectionString: url });
  await owner.connect();
  const { rows } = await owner.query<{ id: number }>(`insert into organisation (name) values ('demo') returning id`);
  org = { id: rows[0]?.id ?? 0, name: 'demo' };
  store = openFilesystemStore({ directory });
  receiver = receiverOn(store);
});
afterAll(async () => {
  await database.close();
  await owner.end();
  await rm(directory, { recursive: true });
});

function reception(bytes: Buffer, more: Partial<Reception> = {}): Reception {
  return { org, bytes: inPieces(bytes), declaredType: 'application/octet-stream', rules: { allowedTypes: CLINICAL_TYPES }, creator: 'issuer|user|client', bytesMax: BYTES_MAX, now: Date.now(), ...more };
}

async function rowOf(id: string): Promise<ContentRow> {
  const { rows } = await owner.query<ContentRow>('select * from content where id = $1', [id]);
  return rows[0] as ContentRow;
}

it('refuses every byte while a scan is required and no scanner is at work, and leaves no row', async () => {
  const strict = createContentReceiver({ database, store, keyTemplate: '{org}/{uuid}', scan: { scanner: undefined, required: true } });
  const count = async (): Promise<number> => (await owner.query('select 1 from content')).rowCount ?? 0;
  const before = await count();
  await expect(strict.receive(reception(Buffer.from('hello')))).rejects.toMatchObject({ status: 503, detail: 'unavailable' });
  expect(await count()).toBe(before);
});

async function publish(received: ReceivedContent): Promise<ContentRow> {
  await database.transaction(org.id, (tx) => publishContent(tx, org.id, received));
  return rowOf(received.id);
}

const isKept = (received: { key: string }): boolean => existsSync(join(directory, received.key));

/** Rows and files that a failed reception left, by state. */
async function left(work: () => Promise<unknown>): Promise<{ error: unknown; states: string[]; files: number }> {
  const before = await owner.query<{ id: string }>('select id from content');
  const error = await work().then(() => undefined, (thrown: unknown) => thrown);
  const { rows } = await owner.query<{ state: string; key: string }>('select state, key from content where id <> all($1) order by created_at', [before.rows.map((row) => row.id)]);
  return { error, states: rows.map((row) => row.state), files: rows.filter(isKept).length };
}

describe('receiving bytes', () => {
  it.each([0, 1, 100_000, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * MIB + 3])('keeps %d bytes, invisible until they are published', async (size) => {
    const bytes = randomBytes(size);
    for (const announced of [{}, { size }]) {
      const received = await receiver.receive(reception(bytes, announced));
      expect(received).toMatchObject({ size, store: 'local', declaredType: 'application/octet-stream', sniffedType: undefined, storeVersion: undefined });
      expect(received.sha256).toEqual(createHash('sha256').update(bytes).digest());
      expect(received.sha1).toEqual(createHash('sha1').update(bytes).digest());
      expect(await rowOf(received.id)).toMatchObject({ state: 'staging', key: received.key, size: null });
      const row = await publish(received);
      expect(row).toMatchObject({ state: 'live', size: String(size), sha256: received.sha256, chunk_digests: received.chunkDigests, creator: 'issuer|user|client' });
      const reader = createContentReader({ stores: [store], onDamage: async () => undefined });
      expect(sameBytes(await collect(await reader.open(row)), bytes)).toBe(true);
    }
  });

  it('commits the row before the store is touched', async () => {
    const seen: string[] = [];
    const watching: ContentStore = {
      ...store,
      put: async (key, bytes, options) => {
        const { rows } = await owner.query<{ state: string }>('select state from content where key = $1', [key]);
        seen.push(rows[0]?.state ?? 'none');
        return store.put(key, bytes, options);
      },
    };
    for (const size of [10, 3 * MIB]) await receiverOn(watching).receive(reception(randomBytes(size)));
    expect(seen).toEqual(['staging', 'staging']);
  });

  it('uses the layout of the customer, with the extension that the bytes show', async () => {
    const laidOut = receiverOn(store, '{org}/{patient}/documents/{year}/{month}/{uuid}.{ext}');
    const pdf = Buffer.concat([Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1'), randomBytes(5_000)]);
    const now = Date.UTC(2026, 2, 4);
    const one = await laidOut.receive(reception(pdf, { now, patient: 'p1' }));
    expect(one.key).toMatch(/^demo\/p1\/documents\/2026\/03\/[0-9a-f-]{36}\.pdf$/);
    expect(one.sniffedType).toBe('application/pdf');
    expect((await laidOut.receive(reception(pdf, { now }))).key).toMatch(/^demo\/unlinked\//);
  });

  it('refuses by type before anything is stored', async () => {
    const exe = Buffer.concat([Buffer.from('\x7fELF', 'latin1'), randomBytes(3 * MIB)]);
    expect(await left(() => receiver.receive(reception(exe)))).toMatchObject({ error: { detail: 'media-type' }, states: [], files: 0 });
    expect(await left(() => receiver.receive(reception(Buffer.from('x'), { declaredType: 'application/x-sh' })))).toMatchObject({ error: { detail: 'media-type' }, states: [] });
  });

  it('refuses what is over the limit: at once when it is announced, else when it is passed', async () => {
    expect(await left(() => receiver.receive(reception(Buffer.alloc(1), { size: BYTES_MAX + 1 })))).toMatchObject({ error: { detail: 'too-long' }, states: [] });
    expect(await left(() => receiver.receive(reception(randomBytes(BYTES_MAX + 1))))).toMatchObject({ error: { detail: 'too-long', status: 413 }, states: ['condemned'], files: 0 });
    expect(await left(() => receiver.receive(reception(Buffer.alloc(11), { bytesMax: 10 })))).toMatchObject({ error: { detail: 'too-long' }, states: [] });
    expect(await left(() => receiver.receive(reception(randomBytes(BYTES_MAX))))).toMatchObject({ error: undefined, states: ['staging'] });
  });

  it.each([[100, []], [4 * MIB, ['condemned']]] as const)('refuses wrong claims on %d bytes by the error that the caller chose, and keeps nothing', async (size, states) => {
    const bytes = randomBytes(size);
    const right = { size, sha256: createHash('sha256').update(bytes).digest(), sha1: createHash('sha1').update(bytes).digest() };
    for (const wrong of [{ size: size + 1 }, { sha256: randomBytes(32) }, { sha1: randomBytes(20) }]) {
      for (const error of ['digest-mismatch', 'claim-mismatch'] as const) {
        expect(await left(() => receiver.receive(reception(bytes, { claims: { ...right, ...wrong, error } })))).toMatchObject({ error: { detail: error }, states, files: 0 });
      }
    }
    expect(await left(() => receiver.receive(reception(bytes, { claims: { ...right, error: 'claim-mismatch' } })))).toMatchObject({ error: undefined, states: ['staging'], files: 1 });
  });

  it.each([[2_000, []], [5 * MIB, ['condemned']]] as const)('takes a sender who leaves after %d bytes as aborted, and keeps nothing', async (size, states) => {
    for (const error of [Object.assign(new Error('aborted'), { code: 'ECONNRESET' }), Object.assign(new Error('x'), { code: 'ERR_STREAM_PREMATURE_CLOSE' }), fhirError('client-aborted', 'gone')]) {
      expect(await left(() => receiver.receive(reception(Buffer.alloc(0), { bytes: brokenOff(randomBytes(size), error) })))).toMatchObject({ error: { detail: 'client-aborted' }, states, files: 0 });
    }
    expect(await left(() => receiver.receive(reception(randomBytes(size), { size: size + 1 })))).toMatchObject({ error: { detail: 'client-aborted' }, states, files: 0 });
    expect(await left(() => receiver.receive(reception(randomBytes(size), { size: size - 1 })))).toMatchObject({ error: { detail: 'malformed-request' }, states, files: 0 });
  });

  it('passes on what else a source raises', async () => {
    const error = new Error('a fault of ours');
    expect(await left(() => receiver.receive(reception(Buffer.alloc(0), { bytes: brokenOff(randomBytes(5 * MIB), error) })))).toMatchObject({ error, states: ['condemned'], files: 0 });
  });

  it.each([100, 3 * MIB])('answers a full store as storage-full and keeps nothing of %d bytes', async (size) => {
    const full: ContentStore = { ...store, put: async (key, bytes) => { await writeFile(join(directory, key.replaceAll('/', '_')), ''); for await (const piece of bytes) if (piece.length > 0) break; throw fhirError('storage-full', 'full'); } };
    expect(await left(() => receiverOn(full).receive(reception(randomBytes(size))))).toMatchObject({ error: { detail: 'storage-full', status: 507 }, states: ['condemned'], files: 0 });
  });

  it('does not believe a store that holds other bytes than were sent', async () => {
    const lying = (held: Partial<{ size: number; sha256: Buffer }>): ContentStore => ({ ...store, name: 'lying', lengthProves: false, stat: async (key) => ({ ...(await store.stat(key) ?? { size: -1 }), ...held }) });
    const bytes = randomBytes(1_000);
    const sha256 = createHash('sha256').update(bytes).digest();
    for (const held of [{ size: 999 }, { sha256: randomBytes(32) }]) {
      expect(await left(() => receiverOn(lying(held)).receive(reception(bytes)))).toMatchObject({ error: { detail: 'unavailable' }, states: ['condemned'], files: 0 });
    }
    await receiverOn(lying({ sha256 })).receive(reception(bytes));
    // Without a digest of its own the store is read back.
    await receiverOn(lying({})).receive(reception(bytes));
    const rotten: ContentStore = { ...lying({}), get: async () => inPieces(randomBytes(1_000)) };
    expect(await left(() => receiverOn(rotten).receive(reception(bytes)))).toMatchObject({ error: { detail: 'unavailable' }, states: ['condemned'], files: 0 });
  });
});

describe('publishing, discarding, sweeping', () => {
  it('publishes once, and not after the sweeper condemned', async () => {
    const received = await receiver.receive(reception(Buffer.from('x')));
    await publish(received);
    await expect(publish(received)).rejects.toMatchObject({ detail: 'conflict', status: 409 });
    const late = await receiver.receive(reception(Buffer.from('y')));
    await sweepContent({ database, stores: [store], now: Date.now() + 25 * HOUR_MS });
    await expect(publish(late)).rejects.toMatchObject({ detail: 'conflict' });
  });

  it('discards what was not published, and nothing that was', async () => {
    const received = await receiver.receive(reception(Buffer.from('x')));
    await receiver.discard(org.id, received);
    expect([isKept(received), (await rowOf(received.id)).state]).toEqual([false, 'condemned']);
    await receiver.discard(org.id, received);
  });

  it('sweeps in two steps: condemned after a day, removed after one more, live never', async () => {
    const [stale, live] = [await receiver.receive(reception(Buffer.from('stale'))), await receiver.receive(reception(Buffer.from('live')))];
    await publish(live);
    const sweep = (hours: number): ReturnType<typeof sweepContent> => sweepContent({ database, stores: [store], now: Date.now() + hours * HOUR_MS, limit: 1_000 });
    await sweep(23);
    expect((await rowOf(stale.id)).state).toBe('staging');
    await sweep(25);
    expect([(await rowOf(stale.id)).state, isKept(stale)]).toEqual(['condemned', true]);
    await sweep(47);
    expect(isKept(stale)).toBe(true);
    await sweep(49);
    expect([(await rowOf(stale.id)).state, isKept(stale)]).toEqual(['gone', false]);
    expect([(await rowOf(live.id)).state, isKept(live)]).toEqual(['live', true]);
  });

  it('never removes in the pass that condemned, however late it comes', async () => {
    const stale = await receiver.receive(reception(Buffer.from('stale')));
    await sweepContent({ database, stores: [store], now: Date.now() + 30 * DAY_MS, limit: 1_000 });
    expect([(await rowOf(stale.id)).state, isKept(stale)]).toEqual(['condemned', true]);
  });

  it('goes on when a store does not let go of one object, and removes it the next time', async () => {
    const stale = [await receiver.receive(reception(Buffer.from('1'))), await receiver.receive(reception(Buffer.from('2')))];
    const now = Date.now() + 10 * DAY_MS;
    await sweepContent({ database, stores: [store], now, limit: 1_000 });
    const stuck: ContentStore = { ...store, remove: async (key) => { if (key === stale[0]?.key) throw fhirError('unavailable', 'stuck'); await store.remove(key); } };
    expect((await sweepContent({ database, stores: [stuck], now, limit: 1_000 })).failed).toBe(1);
    expect(await Promise.all(stale.map(async (one) => (await rowOf(one.id)).state))).toEqual(['condemned', 'gone']);
    expect((await sweepContent({ database, stores: [store], now, limit: 1_000 })).failed).toBe(0);
    expect((await rowOf(stale[0]?.id ?? '')).state).toBe('gone');
  });

  it('may be run by several servers at once', async () => {
    for (let count = 0; count < 5; count += 1) await receiver.receive(reception(Buffer.from('x')));
    const now = Date.now() + 20 * DAY_MS;
    for (let round = 0; round < 3; round += 1) {
      const results = await Promise.all(Array.from({ length: 4 }, () => sweepContent({ database, stores: [store], now, limit: 1_000 })));
      expect(results.every((result) => result.failed === 0)).toBe(true);
    }
    const { rows } = await owner.query(`select 1 from content where store = 'local' and state in ('staging', 'condemned')`);
    expect(rows).toHaveLength(0);
  });

  it('says what it would do and why, and does none of it', async () => {
    const received = await receiver.receive(reception(Buffer.from('left behind')));
    const planned = async (hours: number): Promise<unknown[]> => (await planSweep({ database, stores: [store], now: Date.now() + hours * HOUR_MS })).filter(({ content }) => content === received.id).map(({ step }) => step);
    expect([await planned(23), await planned(25)]).toEqual([[], ['condemn']]);
    expect(await rowOf(received.id)).toMatchObject({ state: 'staging' });
    await database.transaction(org.id, (tx) => tx.query(`update content set state = 'condemned' where org = $1 and id = $2`, [org.id, received.id]));
    expect([await planned(47), await planned(49)]).toEqual([[], ['remove']]);
    expect(await rowOf(received.id)).toMatchObject({ state: 'condemned' });
  });

  it('removes nothing when the database or the store was restored, until an administrator says that they belong together', async () => {
    const now = Date.now() + 100 * HOUR_MS;
    const sweep = (): ReturnType<typeof sweepContent> => sweepContent({ database, stores: [store], now, limit: 1_000 });
    await sweep();
    const mark = async (): Promise<string> => (await owner.query<{ current: string }>(`select current from store_epoch where store = 'local'`)).rows[0]?.current ?? '';
    const yesterday = await mark();
    // An hour later it has another mark, and the old one is gone.
    await owner.query(`update store_epoch set renewed_at = now() - interval '2 hours'`);
    expect((await sweep()).halted).toEqual([]);
    expect(await mark()).not.toBe(yesterday);
    const received = await receiver.receive(reception(Buffer.from('of the days between')));
    await owner.query(`update content set state = 'condemned' where id = $1`, [received.id]);
    await owner.query(`update store_epoch set current = $1, next = null`, [yesterday]);
    expect(await sweep()).toEqual({ condemned: 0, removed: 0, failed: 0, halted: ['local'] });
    expect(await haltedStores(database)).toBe(1);
    expect(await rowOf(received.id)).toMatchObject({ state: 'condemned' });
    await renewEpoch({ database, store }, true);
    expect(await sweep()).toMatchObject({ removed: 1, halted: [] });
    expect(await haltedStores(database)).toBe(0);
  });

  it('holds the fence when a server died while it renewed the mark', async () => {
    await owner.query(`update store_epoch set next = gen_random_uuid()`);
    expect(await fenceHolds({ database, store })).toBe(true);
    await owner.query(`update store_epoch set next = current, current = gen_random_uuid()`);
    expect(await fenceHolds({ database, store })).toBe(true);
  });

  it('quarantines live content once', async () => {
    const received = await receiver.receive(reception(Buffer.from('x')));
    const quarantine = (): Promise<boolean> => database.transaction(org.id, (tx) => quarantineContent(tx, org.id, received.id, 'chunk 0'));
    expect(await quarantine()).toBe(false);
    await publish(received);
    expect([await quarantine(), await quarantine()]).toEqual([true, false]);
    expect(await rowOf(received.id)).toMatchObject({ state: 'quarantined', quarantine_reason: 'chunk 0' });
  });
});
