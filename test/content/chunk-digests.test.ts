// The digests of one pass: compared with the same hashes over the whole input, for any split into pieces.
import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { CHUNK_BYTES, startDigestPass, type ContentDigests } from '../../src/content/chunk-digests.ts';

const BYTES = randomBytes(3 * CHUNK_BYTES + 17);

function digest(pieces: readonly Buffer[]): ContentDigests {
  const pass = startDigestPass();
  for (const piece of pieces) pass.update(piece);
  return pass.finish();
}

function expected(bytes: Buffer): ContentDigests {
  const sha = (algorithm: string, part: Buffer): Buffer => createHash(algorithm).update(part).digest();
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) chunks.push(sha('sha256', bytes.subarray(at, at + CHUNK_BYTES)));
  return { size: bytes.length, sha256: sha('sha256', bytes), sha1: sha('sha1', bytes), chunkDigests: Buffer.concat(chunks) };
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, position) => bytes.subarray(at[position], end));
}

describe('the digest pass', () => {
  it.each([0, 1, 4_096, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, BYTES.length])('gives the digests of %d bytes', (size) => {
    const bytes = BYTES.subarray(0, size);
    expect(digest([bytes])).toEqual(expected(bytes));
  });

  it('has no chunk digest for zero bytes', () => {
    expect(digest([]).chunkDigests).toHaveLength(0);
    expect(digest([Buffer.alloc(0), Buffer.alloc(0)])).toEqual(expected(Buffer.alloc(0)));
  });

  it('gives the same digests for any split of the input', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: BYTES.length }), fc.array(fc.nat(), { maxLength: 12 }), (size, cuts) => {
      const bytes = BYTES.subarray(0, size);
      expect(digest(split(bytes, cuts))).toEqual(expected(bytes));
    }), { numRuns: 60 });
  });

  it('cuts one piece that holds several chunks', () => {
    expect(digest([BYTES.subarray(0, 5), BYTES.subarray(5)])).toEqual(expected(BYTES));
  });
});
