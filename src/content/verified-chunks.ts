// Chunks of stored bytes, each compared with its digest before it is handed on. One chunk is read ahead.
import { createHash, hash, webcrypto, type Hash } from 'node:crypto';
import type { ContentRow } from '../database/tables.ts';
import { DIGEST_BYTES } from './chunk-digests.ts';
import { isSilence } from './stored-object.ts';

/** The store gave other bytes than were published, twice. */
export class ContentIntegrityError extends Error {
  readonly contentId: string;
  /** Position of the chunk, from 0. */
  readonly chunk: number;

  constructor(contentId: string, chunk: number, what = `chunk ${chunk} does not match its digest`) {
    super(`Content ${contentId}: ${what}`);
    this.name = 'ContentIntegrityError';
    this.contentId = contentId;
    this.chunk = chunk;
  }
}

/** Reads the chunks `first` to `last` of a content from its store. */
export interface FetchChunks {
  (first: number, last: number): Promise<AsyncIterable<Buffer>>;
  /** The chunk, verified, from another copy; undefined when no copy has it. Asked once its own store gave it wrong twice. */
  rescue?: (chunk: number) => Promise<Buffer | undefined>;
}

export function chunkCount(row: ContentRow): number {
  return Math.ceil(Number(row.size) / row.chunk_bytes);
}

function chunkLength(row: ContentRow, chunk: number): number {
  return Math.min(row.chunk_bytes, Number(row.size) - chunk * row.chunk_bytes);
}

function expectedDigest(row: ContentRow, chunk: number): string {
  return (row.chunk_digests as Buffer).toString('hex', chunk * DIGEST_BYTES, (chunk + 1) * DIGEST_BYTES);
}

function isIntact(row: ContentRow, chunk: number, bytes: Buffer): boolean {
  return bytes.length === chunkLength(row, chunk) && hash('sha256', bytes, 'hex') === expectedDigest(row, chunk);
}

/** As above on a thread of the pool, so that this thread can hash the whole meanwhile. */
async function isIntactAside(row: ContentRow, chunk: number, bytes: Buffer): Promise<boolean> {
  if (bytes.length !== chunkLength(row, chunk)) return false;
  const digest = Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes));
  return digest.toString('hex') === expectedDigest(row, chunk);
}

function join(parts: Buffer[]): Buffer {
  return parts.length === 1 ? parts[0] as Buffer : Buffer.concat(parts);
}

/** Cuts pieces of any size into chunks; bytes that end early end in a short chunk, or in none. */
async function* cutChunks(row: ContentRow, first: number, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let chunk = first;
  let parts: Buffer[] = [];
  let have = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const taken = piece.subarray(at, at + chunkLength(row, chunk) - have);
      // A store that gives more than was asked for: what is too much belongs to no chunk.
      if (taken.length === 0) return;
      parts.push(taken);
      have += taken.length;
      at += taken.length;
      if (have < chunkLength(row, chunk)) continue;
      yield join(parts);
      parts = [];
      have = 0;
      chunk += 1;
    }
  }
  if (have > 0) yield join(parts);
}

/** One chunk by itself, once more when it is wrong: a fault on the way does not come twice; then from another copy. Leaves nothing open. */
export async function fetchChunk(row: ContentRow, chunk: number, fetch: FetchChunks, attempts: 1 | 2): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    for await (const piece of await fetch(chunk, chunk)) parts.push(piece);
  } catch (error) {
    if (attempts === 1 || isSilence(error)) throw error;
    return fetchChunk(row, chunk, fetch, 1);
  }
  const bytes = join(parts);
  if (isIntact(row, chunk, bytes)) return bytes;
  if (attempts === 2) return fetchChunk(row, chunk, fetch, 1);
  const rescued = await fetch.rescue?.(chunk);
  if (rescued === undefined) throw new ContentIntegrityError(row.id, chunk);
  return rescued;
}

/** The chunks as the store gives them; after a fault the rest comes by a new request. */
interface Source {
  /** The next chunk, not yet verified; undefined when the store broke off. */
  next(): Promise<Buffer | undefined>;
  /** Goes on behind `chunk`. */
  restart(chunk: number): Promise<void>;
  close(): Promise<void>;
}

function openSource(row: ContentRow, fetch: FetchChunks, first: number, last: number): Source {
  const start = (chunk: number): AsyncGenerator<Buffer> => (async function* () {
    if (chunk <= last) yield* cutChunks(row, chunk, await fetch(chunk, last));
  })();
  let chunks = start(first);
  return {
    async next() {
      try {
        const next = await chunks.next();
        return next.done === true ? undefined : next.value;
      } catch (error) {
        if (isSilence(error)) throw error;
        return undefined;
      }
    },
    async restart(chunk) {
      await chunks.return(undefined);
      chunks = start(chunk + 1);
    },
    close: async () => { await chunks.return(undefined); },
  };
}

export interface WholeCheck {
  /** Holds the chunks before the first one. */
  digest: Hash;
  sha256: Buffer;
}

/** A whole read begins with chunk 0, which the caller fetched and verified. */
export function startWholeCheck(row: ContentRow, firstChunk: Buffer): WholeCheck {
  return { digest: createHash('sha256').update(firstChunk), sha256: row.sha256 as Buffer };
}

/**
 * Chunks `first` to `last`, verified. `begun` is the first of them, on its way already. With `whole` the digest of all
 * is compared before the last chunk is handed on.
 */
export async function* verifiedChunks(row: ContentRow, first: number, last: number, fetch: FetchChunks, begun: Promise<Buffer>, whole: WholeCheck | undefined): AsyncGenerator<Buffer> {
  const source = openSource(row, fetch, first + 1, last);
  let loading = source.next();
  loading.catch(() => undefined);
  try {
    const opening = await begun;
    whole?.digest.update(opening);
    if (first === last) checkWhole(row, first, whole);
    yield opening;
    for (let chunk = first + 1; chunk <= last; chunk += 1) {
      const candidate = await loading;
      loading = chunk < last ? source.next() : Promise.resolve(undefined);
      // Its failure is told when its turn comes.
      loading.catch(() => undefined);
      let bytes = await acceptChunk(row, chunk, candidate, whole);
      if (bytes === undefined) {
        await loading.catch(() => undefined);
        await source.restart(chunk);
        bytes = await fetchChunk(row, chunk, fetch, 1);
        whole?.digest.update(bytes);
        if (chunk < last) loading = source.next();
      }
      if (chunk === last) checkWhole(row, chunk, whole);
      yield bytes;
    }
  } finally {
    await loading.catch(() => undefined);
    await source.close();
  }
}

/** The chunk when it matches, and then it is part of the whole digest; undefined when it does not. */
async function acceptChunk(row: ContentRow, chunk: number, candidate: Buffer | undefined, whole: WholeCheck | undefined): Promise<Buffer | undefined> {
  if (candidate === undefined) return undefined;
  if (whole === undefined) return isIntact(row, chunk, candidate) ? candidate : undefined;
  const comparing = isIntactAside(row, chunk, candidate);
  const before = whole.digest.copy();
  whole.digest.update(candidate);
  if (await comparing) return candidate;
  whole.digest = before;
  return undefined;
}

function checkWhole(row: ContentRow, chunk: number, whole: WholeCheck | undefined): void {
  if (whole === undefined || whole.digest.digest().equals(whole.sha256)) return;
  throw new ContentIntegrityError(row.id, chunk, 'all chunks match, but not the digest of the whole');
}
