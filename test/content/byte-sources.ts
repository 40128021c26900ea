// Streams of bytes for the tests of this room.
import { randomBytes } from 'node:crypto';

export const MIB = 1024 * 1024;

/** The bytes in pieces of `pieceBytes`. */
export async function* inPieces(bytes: Buffer, pieceBytes = 64 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

/** The bytes, and then the error in place of an end. */
export async function* brokenOff(bytes: Buffer, error: Error): AsyncGenerator<Buffer> {
  yield* inPieces(bytes);
  throw error;
}

/** `count` pieces of a MiB that share their memory. */
export async function* manyPieces(count: number, piece = randomBytes(MIB)): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < count; sent += 1) yield piece;
}

export async function collect(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Equality of large buffers; the matchers of the test runner take seconds for it. */
export function sameBytes(a: Buffer, b: Buffer): boolean {
  return a.equals(b);
}
