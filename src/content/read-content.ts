// The read path: each chunk is hashed and compared before any of it leaves, for ranges as for whole reads; a whole
// read compares the whole digest before its last chunk leaves.
import { createHash, hash, type Hash } from 'node:crypto';
import type { Transaction } from '../database/database.ts';
import type { ContentRow, OrgId } from '../database/tables.ts';
import { DIGEST_BYTES } from './chunk-digests.ts';
import type { ContentStore } from './content-store.ts';

/** The store gave other bytes than were published, twice. */
export class ContentIntegrityError extends Error {
  readonly contentId: string;
  readonly chunk: number;

  constructor(contentId: string, chunk: number) {
    super(`Content ${contentId}: chunk ${chunk} does not match its digest`);
    this.name = 'ContentIntegrityError';
    this.contentId = contentId;
    this.chunk = chunk;
  }
}

export interface ContentReader {
  /**
   * The bytes of a range, the whole without one. Resolves once the first chunk is verified, so that a failure can still
   * be answered. Raises ContentIntegrityError, then or while the bytes are read.
   */
  open(row: ContentRow, range?: { start: number; length: number }): Promise<AsyncIterable<Buffer>>;
}

export interface ReaderParts {
  stores: readonly ContentStore[];
  /** Called with what was found wrong, before the error is raised. */
  onDamage: (row: ContentRow, error: ContentIntegrityError) => Promise<void>;
}

interface Span {
  first: number;
  last: number;
  /** Bytes to leave out at the begin of the first and the end of the last chunk. */
  skip: number;
  until: number;
}

function spanOf(row: ContentRow, range: { start: number; length: number }): Span {
  const first = Math.floor(range.start / row.chunk_bytes);
  const end = range.start + range.length;
  const last = Math.max(first, Math.ceil(end / row.chunk_bytes) - 1);
  return { first, last, skip: range.start - first * row.chunk_bytes, until: end - last * row.chunk_bytes };
}

function chunkLength(row: ContentRow, chunk: number): number {
  return Math.min(row.chunk_bytes, Number(row.size) - chunk * row.chunk_bytes);
}

function isIntact(row: ContentRow, chunk: number, bytes: Buffer): boolean {
  const digests = row.chunk_digests as Buffer;
  const expected = digests.toString('hex', chunk * DIGEST_BYTES, (chunk + 1) * DIGEST_BYTES);
  return bytes.length === chunkLength(row, chunk) && hash('sha256', bytes, 'hex') === expected;
}

/** Cuts a stream of any pieces into the chunks of the row; a stream that ends early ends in a short chunk. */
async function* cutChunks(row: ContentRow, span: Span, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let chunk = span.first;
  let parts: Buffer[] = [];
  let have = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const take = Math.min(chunkLength(row, chunk) - have, piece.length - at);
      parts.push(take === piece.length ? piece : piece.subarray(at, at + take));
      have += take;
      at += take;
      if (have < chunkLength(row, chunk)) continue;
      yield parts.length === 1 ? parts[0] as Buffer : Buffer.concat(parts, have);
      parts = [];
      have = 0;
      chunk += 1;
      if (chunk > span.last) return;
    }
  }
  yield Buffer.concat(parts, have);
}

export function createContentReader(parts: ReaderParts): ContentReader {
  const stores = new Map(parts.stores.map((store) => [store.name, store]));

  function storeOf(row: ContentRow): ContentStore {
    const store = stores.get(row.store);
    if (store === undefined) throw new Error(`Content lies in the store ${row.store}, which is not configured`);
    return store;
  }

  function fetch(row: ContentRow, first: number, last: number): Promise<AsyncIterable<Buffer>> {
    const start = first * row.chunk_bytes;
    const length = Math.min((last + 1) * row.chunk_bytes, Number(row.size)) - start;
    return storeOf(row).get(row.key, { start, length }, row.store_version === null ? {} : { version: row.store_version });
  }

  /** One more try from the store: a fault of the transport does not come twice. */
  async function fetchAgain(row: ContentRow, chunk: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of await fetch(row, chunk, chunk)) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    if (isIntact(row, chunk, bytes)) return bytes;
    const error = new ContentIntegrityError(row.id, chunk);
    await parts.onDamage(row, error);
    throw error;
  }

  async function* verifiedChunks(row: ContentRow, span: Span): AsyncGenerator<Buffer> {
    const whole = span.first === 0 && span.last * row.chunk_bytes + chunkLength(row, span.last) === Number(row.size) ? createHash('sha256') : undefined;
    let chunk = span.first;
    for await (const candidate of cutChunks(row, span, await fetch(row, span.first, span.last))) {
      const bytes = isIntact(row, chunk, candidate) ? candidate : await fetchAgain(row, chunk);
      whole?.update(bytes);
      if (chunk === span.last && whole !== undefined) await checkWhole(row, whole, chunk);
      const from = chunk === span.first ? span.skip : 0;
      yield chunk === span.last ? bytes.subarray(from, span.until) : bytes.subarray(from);
      chunk += 1;
    }
    if (chunk <= span.last) await fetchAgain(row, chunk);
  }

  async function checkWhole(row: ContentRow, whole: Hash, chunk: number): Promise<void> {
    if (whole.digest().equals(row.sha256 as Buffer)) return;
    const error = new ContentIntegrityError(row.id, chunk);
    await parts.onDamage(row, error);
    throw error;
  }

  return {
    async open(row, range = { start: 0, length: Number(row.size) }) {
      if (range.length === 0) return empty();
      const chunks = verifiedChunks(row, spanOf(row, range));
      const first = await chunks.next();
      return rejoin(first, chunks);
    },
  };
}

async function* empty(): AsyncGenerator<Buffer> {
  // Zero bytes need no store.
}

async function* rejoin(first: IteratorResult<Buffer, unknown>, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (first.done === true) return;
    yield first.value;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

/** Bytes that were found wrong are not served until a good copy is back. */
export async function quarantineContent(tx: Transaction, org: OrgId, id: string, reason: string): Promise<void> {
  await tx.query(`update content set state = 'quarantined', quarantine_reason = $3 where org = $1 and id = $2 and state = 'live'`, [org, id, reason]);
}
