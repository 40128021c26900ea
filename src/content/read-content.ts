// The read path: each chunk is hashed and compared before any of it leaves, for ranges as for whole reads; a whole
// read compares the whole digest before its last chunk leaves.
import type { Transaction } from '../database/database.ts';
import type { ContentRow, OrgId } from '../database/tables.ts';
import type { ContentStore } from './content-store.ts';
import { createRescue, fetcherOf, type CopyOrigin } from './copies.ts';
import { chunkCount, ContentIntegrityError, fetchChunk, startWholeCheck, verifiedChunks, type FetchChunks } from './verified-chunks.ts';

export { ContentIntegrityError };

export interface ByteSpan {
  start: number;
  length: number;
}

export interface ContentReader {
  /**
   * The bytes of a range, the whole without one. Resolves once the first chunk is verified, so that a failure can still
   * be answered, and holds nothing open until the bytes are read. Raises ContentIntegrityError, `unavailable`, then or
   * while the bytes are read.
   */
  open(row: ContentRow, range?: ByteSpan): Promise<AsyncIterable<Buffer>>;
}

export interface ReaderParts {
  stores: readonly ContentStore[];
  /** A second store that holds the same objects under the same keys. */
  replica?: ContentStore;
  /** Called when a chunk was wrong in its store and right in another copy. */
  onRescue?: (row: ContentRow, chunk: number, from: CopyOrigin) => void;
  /** Called with what was found wrong, before the error is raised. */
  onDamage: (row: ContentRow, error: ContentIntegrityError) => Promise<void>;
}

interface Span {
  first: number;
  last: number;
  /** Bytes to leave out at the begin of the first chunk. */
  skip: number;
  /** Where the range ends in the last chunk. */
  until: number;
}

function spanOf(row: ContentRow, range: ByteSpan): Span {
  const end = range.start + range.length;
  const first = Math.floor(range.start / row.chunk_bytes);
  const last = Math.ceil(end / row.chunk_bytes) - 1;
  return { first, last, skip: range.start - first * row.chunk_bytes, until: end - last * row.chunk_bytes };
}

function trim(span: Span, chunk: number, bytes: Buffer): Buffer {
  const from = chunk === span.first ? span.skip : 0;
  const until = chunk === span.last ? span.until : bytes.length;
  return from === 0 && until === bytes.length ? bytes : bytes.subarray(from, until);
}

/** The verified bytes of `range` (inside the content, one byte at least) by `fetch`; the first chunk is there already. */
async function openRange(row: ContentRow, range: ByteSpan, fetch: FetchChunks): Promise<AsyncIterable<Buffer>> {
  const span = spanOf(row, range);
  // The second chunk is on its way while the first is hashed; each of them ends its own request to the store.
  const second = span.last > span.first ? fetchChunk(row, span.first + 1, fetch, 2) : undefined;
  second?.catch(() => undefined);
  const first = await fetchChunk(row, span.first, fetch, 2);
  const whole = span.first === 0 && span.last === chunkCount(row) - 1;
  if (second === undefined) {
    if (whole && !(row.sha256 as Buffer).equals(row.chunk_digests as Buffer)) throw new ContentIntegrityError(row.id, 0, 'its only chunk matches, but not the digest of the whole');
    return one(trim(span, span.first, first));
  }
  return several(row, span, first, second, fetch, whole);
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function* several(row: ContentRow, span: Span, first: Buffer, second: Promise<Buffer>, fetch: FetchChunks, whole: boolean): AsyncGenerator<Buffer> {
  const check = whole ? startWholeCheck(row, first) : undefined;
  yield trim(span, span.first, first);
  let chunk = span.first;
  for await (const bytes of verifiedChunks(row, span.first + 1, span.last, fetch, second, check)) {
    chunk += 1;
    yield trim(span, chunk, bytes);
  }
}

async function* nothing(): AsyncGenerator<Buffer> {
  // No byte was asked for, or there is none.
}

export function createContentReader(parts: ReaderParts): ContentReader {
  const stores = new Map(parts.stores.map((store) => [store.name, store]));

  function sourceOf(row: ContentRow): FetchChunks {
    const store = stores.get(row.store);
    if (store === undefined) throw new Error(`Content lies in the store ${row.store}, which is not configured`);
    const rescue = createRescue({ store, replica: parts.replica, onRescue: parts.onRescue }, row);
    return Object.assign(fetcherOf(row, { store, key: row.key, version: row.store_version ?? undefined }), { rescue });
  }

  async function tell(row: ContentRow, error: unknown): Promise<unknown> {
    if (error instanceof ContentIntegrityError) await parts.onDamage(row, error);
    return error;
  }

  async function* told(row: ContentRow, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* bytes;
    } catch (error) { throw await tell(row, error); }
  }

  return {
    async open(row, range = { start: 0, length: Number(row.size) }) {
      if (range.length === 0) return nothing();
      try {
        return told(row, await openRange(row, range, sourceOf(row)));
      } catch (error) { throw await tell(row, error); }
    },
  };
}

/** The same reader, telling each read that opens and the bytes that are taken of it. */
export function countedReader(reader: ContentReader, told: { onRead: () => void; onBytes: (bytes: number) => void }): ContentReader {
  async function* counted(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of bytes) {
      yield piece;
      told.onBytes(piece.length);
    }
  }
  return {
    async open(row, range) {
      const bytes = await reader.open(row, range);
      told.onRead();
      return counted(bytes);
    },
  };
}

/** Bytes that were found wrong are not served until a good copy is back. False when they were not live (any more). */
export async function quarantineContent(tx: Transaction, org: OrgId, id: string, reason: string): Promise<boolean> {
  const { rowCount } = await tx.query(`update content set state = 'quarantined', quarantine_reason = $3 where org = $1 and id = $2 and state = 'live'`, [org, id, reason]);
  return rowCount === 1;
}

/** The scrubber looks next at bytes that a read found wrong and could mend from another copy. */
export async function distrustContent(tx: Transaction, org: OrgId, id: string): Promise<void> {
  await tx.query(`update content set verified_at = to_timestamp(0), scrubbed_at = null where org = $1 and id = $2 and state = 'live' and verified_at > to_timestamp(0)`, [org, id]);
}
