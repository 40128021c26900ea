// The bytes of a sender on their one pass: bounded, announced length checked, digested. What is small is taken into
// memory whole, so that all checks come before anything is stored.
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { CHUNK_BYTES, startDigestPass, type ContentDigests, type DigestPass } from './chunk-digests.ts';

/** What the sender's stream itself raised, told apart from what the store raises. */
const ABORTED = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ECONNRESET', 'EPIPE', 'ABORT_ERR']);

function translateSource(error: unknown): unknown {
  if (error instanceof FhirError) return error;
  const { code, name, message } = error as { code?: string; name?: string; message?: string };
  const aborted = ABORTED.has(code ?? '') || name === 'AbortError' || message === 'aborted';
  return aborted ? fhirError('client-aborted', 'The client ended the transfer before the bytes were complete', { cause: error }) : error;
}

export interface AnnouncedBytes {
  bytes: AsyncIterable<Buffer>;
  /** Length, when known before the first byte. */
  size?: number;
  bytesMax: number;
}

export interface BytePass {
  /** The first bytes: HEAD_BYTES of them at least, all when there are fewer. */
  head: Buffer;
  /** Set when the bytes are few and in memory already; `stream` yields the same ones. */
  digests: ContentDigests | undefined;
  /** All bytes, once; digested as they pass. Those in memory can be had again. */
  stream: AsyncIterable<Buffer>;
  /** The digests of all, after `stream` came to its end. */
  finish(): ContentDigests;
  /** Ends the source when the stream is not taken; resolves when the source lets go. */
  close(): Promise<void>;
}

async function* checked({ bytes, size, bytesMax }: AnnouncedBytes): AsyncGenerator<Buffer> {
  let have = 0;
  try {
    for await (const piece of bytes) {
      have += piece.length;
      if (have > bytesMax) throw fhirError('too-long', `The bytes may be ${bytesMax} at most`);
      if (piece.length > 0) yield piece;
    }
  } catch (error) { throw translateSource(error); }
  if (size !== undefined && have < size) throw fhirError('client-aborted', `Only ${have} of ${size} bytes came`);
  if (size !== undefined && have > size) throw fhirError('malformed-request', `More than the announced ${size} bytes came`);
}

/** Takes pieces until there are `wanted` bytes; `ended` when the source gave less. */
async function take(source: AsyncGenerator<Buffer>, pieces: Buffer[], wanted: number): Promise<{ have: number; ended: boolean }> {
  let have = pieces.reduce((sum, piece) => sum + piece.length, 0);
  while (have < wanted) {
    const next = await source.next();
    if (next.done === true) return { have, ended: true };
    pieces.push(next.value);
    have += next.value.length;
  }
  return { have, ended: false };
}

async function* digested(pieces: readonly Buffer[], source: AsyncGenerator<Buffer>, pass: DigestPass): AsyncGenerator<Buffer> {
  try {
    for (const piece of pieces) {
      pass.update(piece);
      yield piece;
    }
    for await (const piece of source) {
      pass.update(piece);
      yield piece;
    }
  } finally { await source.return(undefined); }
}

async function* all(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

/**
 * Begins to read. Raises `too-long` (before the first byte when the announced length says so), `client-aborted`,
 * `malformed-request`, and so does the stream.
 */
export async function startBytePass(announced: AnnouncedBytes, headBytes: number): Promise<BytePass> {
  const { size, bytesMax } = announced;
  if (size !== undefined && size > bytesMax) throw fhirError('too-long', `The bytes may be ${bytesMax} at most`);
  const source = checked(announced);
  const pieces: Buffer[] = [];
  const small = size === undefined || size <= CHUNK_BYTES;
  let { have, ended } = await take(source, pieces, headBytes);
  // One more byte than fits tells a small body from a large one.
  if (small && !ended) ({ have, ended } = await take(source, pieces, CHUNK_BYTES + 1));
  const first = pieces[0] ?? Buffer.alloc(0);
  const head = first.length >= Math.min(headBytes, have) ? first : Buffer.concat(pieces).subarray(0, headBytes);
  const pass = startDigestPass();
  const close = async (): Promise<void> => { await source.return(undefined).catch(() => { /* Nobody reads it any more. */ }); };
  if (!ended) return { head, digests: undefined, stream: digested(pieces, source, pass), finish: () => pass.finish(), close };
  for (const piece of pieces) pass.update(piece);
  const digests = pass.finish();
  return { head, digests, stream: { [Symbol.asyncIterator]: () => all(pieces) }, finish: () => digests, close };
}
