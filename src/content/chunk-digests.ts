// One pass over the bytes: SHA-256 and SHA-1 of the whole, SHA-256 of each 1 MiB chunk, and the size. Pure.
import { createHash, type Hash } from 'node:crypto';

export const CHUNK_BYTES = 1024 * 1024;
export const DIGEST_BYTES = 32;

export interface ContentDigests {
  size: number;
  sha256: Buffer;
  sha1: Buffer;
  /** 32 bytes for each chunk, in order; empty for zero bytes. */
  chunkDigests: Buffer;
}

export interface DigestPass {
  update(bytes: Buffer): void;
  /** Ends the pass. */
  finish(): ContentDigests;
}

/** Digests of bytes in pieces of any size; the pieces do not change the result. */
export function startDigestPass(): DigestPass {
  const whole = createHash('sha256');
  const sha1 = createHash('sha1');
  const chunks: Buffer[] = [];
  let chunk: Hash | undefined;
  let size = 0;

  function updateWithin(bytes: Buffer): void {
    whole.update(bytes);
    sha1.update(bytes);
    size += bytes.length;
    // The first chunk is the whole as far as it goes: its digest is a copy, and a small file is hashed once.
    if (size <= CHUNK_BYTES) {
      if (size === CHUNK_BYTES) chunks.push(whole.copy().digest());
      return;
    }
    chunk ??= createHash('sha256');
    chunk.update(bytes);
    if (size % CHUNK_BYTES !== 0) return;
    chunks.push(chunk.digest());
    chunk = undefined;
  }

  return {
    update(bytes) {
      for (let at = 0; at < bytes.length;) {
        const room = CHUNK_BYTES - (size % CHUNK_BYTES);
        const piece = at === 0 && bytes.length <= room ? bytes : bytes.subarray(at, at + room);
        updateWithin(piece);
        at += piece.length;
      }
    },
    finish() {
      const sha256 = whole.digest();
      if (chunk !== undefined) chunks.push(chunk.digest());
      else if (size > 0 && size < CHUNK_BYTES) chunks.push(sha256);
      return { size, sha256, sha1: sha1.digest(), chunkDigests: Buffer.concat(chunks) };
    },
  };
}
