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

export function startDigestPass(): DigestPass {
  const whole = createHash('sha256');
  const sha1 = createHash('sha1');
  const chunks: Buffer[] = [];
  let chunk: Hash | undefined;
  let chunkSize = 0;
  let size = 0;

  function closeChunk(): void {
    if (chunk === undefined) return;
    chunks.push(chunk.digest());
    chunk = undefined;
    chunkSize = 0;
  }

  return {
    update(bytes) {
      whole.update(bytes);
      sha1.update(bytes);
      size += bytes.length;
      for (let at = 0; at < bytes.length;) {
        const take = Math.min(CHUNK_BYTES - chunkSize, bytes.length - at);
        chunk ??= createHash('sha256');
        chunk.update(at === 0 && take === bytes.length ? bytes : bytes.subarray(at, at + take));
        chunkSize += take;
        at += take;
        if (chunkSize === CHUNK_BYTES) closeChunk();
      }
    },
    finish() {
      closeChunk();
      return { size, sha256: whole.digest(), sha1: sha1.digest(), chunkDigests: Buffer.concat(chunks) };
    },
  };
}
