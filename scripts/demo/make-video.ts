// A file of the size of a video, which is never held: an MP4's boxes (ISO 14496-12), `ftyp` and then one `mdat` with a
// key stream in place of frames. No player shows it; what looks at its head finds video/mp4. The key stream of AES in
// counter mode can be made from any place on, and always comes out the same.
import { createCipheriv, createHash } from 'node:crypto';
import type { DemoFile } from './demo-file.ts';

const PIECE = 1024 * 1024;
const BLOCK = 16;
const KEY = Buffer.alloc(16, 'muniment demo');
const ZEROS = Buffer.alloc(PIECE);

/** One header of 48 bytes: whole blocks, so that the key stream behind it starts at a block. */
function header(size: number): Buffer {
  const ftyp = Buffer.concat([Buffer.from([0, 0, 0, 32]), Buffer.from('ftypisom'), Buffer.from([0, 0, 2, 0]), Buffer.from('isomiso2avc1mp41')]);
  const mdat = Buffer.alloc(BLOCK);
  mdat.writeUInt32BE(1, 0);
  mdat.write('mdat', 4);
  mdat.writeBigUInt64BE(BigInt(size - ftyp.length), 8);
  return Buffer.concat([ftyp, mdat]);
}

/** Key stream from block `block` on. */
function* keyStream(block: number, length: number): Generator<Buffer> {
  const counter = Buffer.alloc(BLOCK);
  counter.writeBigUInt64BE(BigInt(block), 8);
  const cipher = createCipheriv('aes-128-ctr', KEY, counter);
  for (let left = length; left > 0; left -= PIECE) yield cipher.update(ZEROS.subarray(0, Math.min(left, PIECE)));
}

function* readVideo(head: Buffer, start: number, length: number): Generator<Buffer> {
  let left = length;
  if (start < head.length) {
    const piece = head.subarray(start, start + left);
    left -= piece.length;
    yield piece;
  }
  const from = Math.max(start - head.length, 0);
  const skipped = from % BLOCK;
  let first = skipped;
  for (const piece of keyStream((from - skipped) / BLOCK, left === 0 ? 0 : left + skipped)) {
    yield piece.subarray(first);
    first = 0;
  }
}

export function makeVideo(title: string, size: number): DemoFile {
  const head = header(size);
  const [sha256, sha1] = [createHash('sha256'), createHash('sha1')];
  for (const piece of readVideo(head, 0, size)) {
    sha256.update(piece);
    sha1.update(piece);
  }
  return {
    title, contentType: 'video/mp4', size, sha256: sha256.digest(), sha1: sha1.digest(),
    read: (start, length) => readVideo(head, start, length),
  };
}
