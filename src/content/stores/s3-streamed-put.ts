// One PUT of known length in one pass: the SHA-256 follows the bytes as a trailer, and the store compares it before the
// object is there (aws-chunked, STREAMING-UNSIGNED-PAYLOAD-TRAILER).
import type { StoredObject } from '../content-store.ts';
import { storedObject, storeError, type S3Caller } from './s3-call.ts';
import { UNSIGNED_TRAILER } from './s3-signature.ts';

const FRAME_BYTES = 256 * 1024;
/** Stores end an upload after 20 to 30 silent seconds; a client may pause longer. */
const DRIP_MS = 5_000;

/** What comes next; undefined when the source lets us wait. */
async function nextOrPause<T>(coming: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const pause = new Promise<undefined>((resolve) => { timer = setTimeout(resolve, DRIP_MS, undefined).unref(); });
  try {
    return await Promise.race([coming, pause]);
  } finally {
    clearTimeout(timer);
  }
}

/** Pieces that wait to be sent as one frame. Some are always held back, for a pause of the source. */
class Frame {
  pieces: Buffer[] = [];
  size = 0;

  add(piece: Buffer): void {
    this.pieces.push(piece);
    this.size += piece.length;
  }

  * takeAll(): Generator<Buffer> {
    if (this.size === 0) return;
    yield Buffer.from(`${this.size.toString(16)}\r\n`, 'latin1');
    yield* this.pieces;
    yield Buffer.from('\r\n', 'latin1');
    this.pieces = [];
    this.size = 0;
  }

  /** A single byte keeps the upload alive; without one nothing is sent, but whoever takes the frames can stop. */
  takeDrop(): Buffer {
    const [first, ...rest] = this.pieces;
    if (first === undefined) return Buffer.alloc(0);
    this.pieces = first.length === 1 ? rest : [first.subarray(1), ...rest];
    this.size -= 1;
    return Buffer.concat([Buffer.from('1\r\n', 'latin1'), first.subarray(0, 1), Buffer.from('\r\n', 'latin1')]);
  }
}

/** The bytes framed, and `checksum()` (base64), which is asked after the last of them, as the trailer. */
export async function* framed(bytes: AsyncIterable<Buffer>, checksum: () => string): AsyncGenerator<Buffer> {
  const iterator = bytes[Symbol.asyncIterator]();
  const frame = new Frame();
  try {
    let coming = iterator.next();
    for (;;) {
      const next = await nextOrPause(coming);
      if (next === undefined) {
        yield frame.takeDrop();
        continue;
      }
      if (next.done === true) break;
      if (frame.size >= FRAME_BYTES) yield* frame.takeAll();
      frame.add(next.value);
      coming = iterator.next();
      // Its failure is told when it is waited for.
      coming.catch(() => undefined);
    }
    yield* frame.takeAll();
    yield Buffer.from(`0\r\nx-amz-checksum-sha256:${checksum()}\r\n\r\n`, 'latin1');
  } finally {
    iterator.return?.().catch(() => { /* Nobody reads it any more. */ });
  }
}

export async function putStreamed(call: S3Caller, key: string, bytes: AsyncIterable<Buffer>, size: number, checksum: () => string): Promise<StoredObject> {
  const answer = await call({
    method: 'PUT', key, body: framed(bytes, checksum), payloadHash: UNSIGNED_TRAILER,
    headers: { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': String(size), 'x-amz-trailer': 'x-amz-checksum-sha256', 'transfer-encoding': 'chunked', 'if-none-match': '*' },
  });
  if (answer.status !== 200) throw storeError(answer);
  return storedObject(size, answer);
}
