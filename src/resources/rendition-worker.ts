// Makes the small pictures that wait, in the background of a running server: the image is read and verified as for anybody, drawn
// by the process apart, and what comes of it is received and published as a content of its own.
import { setTimeout as sleep } from 'node:timers/promises';
import { fenceHolds } from '../content/epoch-fence.ts';
import { PictureError, type Picture, type PictureMaker } from '../content/pictures.ts';
import type { ContentStore } from '../content/content-store.ts';
import { ContentIntegrityError, type ContentReader } from '../content/read-content.ts';
import { publishContent, type ContentReceiver, type ReceivedContent } from '../content/receive-content.ts';
import { eraseObject } from '../content/stored-object.ts';
import type { Database } from '../database/database.ts';
import type { ContentRecord } from '../content/scrub.ts';
import type { ContentRow } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import { removeReplaced } from './replaced-images.ts';
import { countRenditions, leaseRenditions, settleRendition, type DueRendition, type RenditionEnd } from './renditions.ts';

export interface RenditionParts {
  database: Database;
  stores: readonly ContentStore[];
  reader: ContentReader;
  content: ContentReceiver;
  pictures: PictureMaker;
  /** Of bytes that are removed after their time. */
  record: ContentRecord;
  logger: Logger;
  /** How a picture ended: made, failed, or waiting again. */
  onEnd?: (outcome: RenditionEnd['state']) => void;
}

const POLL_MS = 500;
const TIDY_MS = 60_000;
/** Leased at once, and on their way at once: one is drawn, the others are read before or stored behind. */
const LEASED_MAX = 8;
const AT_ONCE = 3;
/** Longer than so many images take that are ended for the time they take. */
const LEASE_MS = 5 * 60_000;
/** An image that had to be ended is tried once more: the machine may have been busy. */
const LIMIT_TRIES = 2;
const AGAIN_MS = 60_000;
const HOUR_MS = 3_600_000;
const LATER_MAX_MS = 15 * 60_000;

/** Who made what has no user. */
const MADE_HERE = 'urn:muniment:server||';
const PICTURE_RULES = { allowedTypes: ['image/*'] };

async function* oneBuffer(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** What becomes of a picture that was not made. */
function endOfFailure(error: unknown, attempts: number): RenditionEnd {
  if (error instanceof PictureError && error.kind === 'image') return { state: 'failed', failure: error.message };
  if (error instanceof PictureError && error.kind === 'limit') return attempts + 1 >= LIMIT_TRIES ? { state: 'failed', failure: error.message } : { state: 'waiting', delayMs: AGAIN_MS, failure: error.message };
  // Out of service now; looked at again when a good copy may be back.
  if (error instanceof ContentIntegrityError) return { state: 'waiting', delayMs: HOUR_MS, failure: 'Its bytes are out of service' };
  return { state: 'waiting', delayMs: Math.min(LATER_MAX_MS, 1_000 * 2 ** Math.min(attempts, 12)), failure: 'Its bytes could not be read, or the picture not be stored' };
}

async function publishPicture({ database, content }: RenditionParts, due: DueRendition, picture: Picture, received: ReceivedContent): Promise<void> {
  try {
    await database.transaction(due.org, async (tx) => {
      await publishContent(tx, due.org, received);
      if (!await settleRendition(tx, due, { state: 'made', content: received.id, width: picture.width, height: picture.height })) throw new Error('Another server was faster');
    });
  } catch (error) {
    await content.discard(due.org, received);
    throw error;
  }
}

async function makeOne(parts: RenditionParts, due: DueRendition, row: ContentRow): Promise<void> {
  const [picture] = await parts.pictures.draw(await parts.reader.open(row), Number(row.size), [{ edge: due.edge, shape: 'whole', form: 'webp' }]);
  if (picture === undefined) throw new Error('No picture was drawn');
  const received = await parts.content.receive({
    org: { id: due.org, name: due.orgName }, bytes: oneBuffer(picture.bytes), size: picture.bytes.length, bytesMax: picture.bytes.length,
    declaredType: 'image/webp', rules: PICTURE_RULES, creator: MADE_HERE, beside: row.key, now: Date.now(),
  });
  await publishPicture(parts, due, picture, received);
}

async function end({ database, logger }: RenditionParts, due: DueRendition, outcome: RenditionEnd): Promise<void> {
  await database.workerTransaction((tx) => settleRendition(tx, due, outcome));
  if (outcome.state === 'failed') logger.warn({ content: due.source, failure: outcome.failure }, 'no picture can be made of an image');
}

/** Never rejects: what cannot be settled is due again when its lease has ended. */
async function work(parts: RenditionParts, due: DueRendition): Promise<void> {
  const { row } = due;
  let outcome: RenditionEnd = { state: 'made', content: '', width: 0, height: 0 };
  try {
    if (row?.state === 'live') await makeOne(parts, due, row);
    else outcome = row?.state === 'quarantined' ? { state: 'waiting', delayMs: HOUR_MS, failure: 'Its bytes are out of service' } : { state: 'failed', failure: 'The image is gone' };
  } catch (error) {
    outcome = endOfFailure(error, due.attempts);
    if (outcome.state === 'waiting') parts.logger.debug({ err: error, content: due.source }, 'a picture waits');
  }
  try {
    if (outcome.state !== 'made') await end(parts, due, outcome);
    parts.onEnd?.(outcome.state);
  } catch (error) { parts.logger.warn({ err: error }, 'what came of a picture could not be noted'); }
}

/** Makes what is due now. Answers how many there were. */
export async function makeRenditions(parts: RenditionParts, signal?: AbortSignal): Promise<number> {
  const due = await parts.database.workerTransaction((tx) => leaseRenditions(tx, LEASED_MAX, LEASE_MS));
  const queue = [...due];
  const take = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined && signal?.aborted !== true; next = queue.shift()) await work(parts, next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return due.length;
}

type Stale = Pick<ContentRow, 'org' | 'id' | 'store' | 'key' | 'store_version'> & { source: string; edge: number; sourceGone: boolean };

/** Pictures of images that were purged, where the purge did not take them itself, and those whose own bytes are damaged: the first go, the others are made anew. */
async function findStale({ database, stores }: Pick<RenditionParts, 'database' | 'stores'>): Promise<Stale[]> {
  return database.workerTransaction(async (tx) => (await tx.query<Stale>(
    `select c.org, c.id, c.store, c.key, c.store_version, t.source, t.edge, s.state in ('gone', 'condemned') as "sourceGone"
      from rendition t join content c on c.org = t.org and c.id = t.content join content s on s.org = t.org and s.id = t.source
      where c.store = any($1) and c.state <> 'condemned' and (s.state in ('gone', 'condemned') or (c.state = 'quarantined' and c.scan_verdict is distinct from 'infected' and c.scan_verdict is distinct from 'unscannable')) limit 100`,
    [stores.map(({ name }) => name)],
  )).rows);
}

/** Takes such pictures away, bytes and all. Answers how many. */
export async function tidyRenditions(parts: Pick<RenditionParts, 'database' | 'stores'>): Promise<number> {
  const stale = await findStale(parts);
  for (const { org, id, store: name, key, store_version: version, source, edge, sourceGone } of stale) {
    const store = parts.stores.find((one) => one.name === name);
    if (store === undefined || !await fenceHolds({ database: parts.database, store })) continue;
    await eraseObject(store, key, version ?? undefined);
    await parts.database.workerTransaction(async (tx) => {
      await tx.query(`update content set state = 'gone' where org = $1 and id = $2`, [org, id]);
      await tx.query(sourceGone
        ? 'delete from rendition where org = $1 and source = $2 and edge = $3'
        : `update rendition set state = 'waiting', content = null, due_at = now(), attempts = 0 where org = $1 and source = $2 and edge = $3`, [org, source, edge]);
    });
  }
  return stale.length;
}

export interface RenditionWorker {
  status(): Promise<{ waiting: number; failed: number }>;
  stop(): Promise<void>;
}

/** Works until stopped; failures are logged and tried again. */
export function startRenditions(parts: RenditionParts): RenditionWorker {
  const ending = new AbortController();
  const { signal } = ending;
  let tidyAt = performance.now() + TIDY_MS;
  const pass = async (): Promise<boolean> => {
    if (performance.now() >= tidyAt) {
      tidyAt = performance.now() + TIDY_MS;
      await tidyRenditions(parts);
      await removeReplaced(parts);
    }
    // Where there was one the next may have come meanwhile.
    return await makeRenditions(parts, signal) > 0;
  };
  const loop = (async () => {
    while (!signal.aborted) {
      const more = await pass().catch((error: unknown) => {
        if (!signal.aborted) parts.logger.warn({ err: error }, 'pictures could not be made');
        return false;
      });
      if (!more) await sleep(POLL_MS, undefined, { signal, ref: false }).catch(() => { /* It ends. */ });
    }
  })();
  return {
    status: () => parts.database.workerTransaction(countRenditions),
    async stop() {
      ending.abort();
      await parts.pictures.stop();
      await loop;
    },
  };
}
