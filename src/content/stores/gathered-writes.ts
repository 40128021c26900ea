// Writes a stream to a file in large pieces without copying: one piece is on its way to the disk while the next is
// gathered and hashed.
import type { FileHandle } from 'node:fs/promises';

const PIECE_BYTES = 1024 * 1024;

/** All of `bytes` from the begin of the file on; resolves with how many were written, once none is on its way. */
export async function writeGathered(handle: FileHandle, bytes: AsyncIterable<Buffer>): Promise<number> {
  let writing: Promise<void> | undefined;
  let gathered: Buffer[] = [];
  let pending = 0;
  let size = 0;
  try {
    for await (const piece of bytes) {
      gathered.push(piece);
      pending += piece.length;
      if (pending < PIECE_BYTES) continue;
      await writing;
      writing = writeAll(handle, gathered, size);
      // Its failure is told at the next piece, or at the end.
      writing.catch(() => undefined);
      size += pending;
      gathered = [];
      pending = 0;
    }
    await writing;
    if (pending > 0) await writeAll(handle, gathered, size);
    return size + pending;
  } finally {
    await writing?.catch(() => undefined);
  }
}

async function writeAll(handle: FileHandle, pieces: Buffer[], position: number): Promise<void> {
  const wanted = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const { bytesWritten } = pieces.length === 1
    ? await handle.write(pieces[0] as Buffer, 0, wanted, position)
    : await handle.writev(pieces, position);
  if (bytesWritten === wanted) return;
  // A write may be short; one that makes no headway fails by itself, with the reason.
  await writeAll(handle, [Buffer.concat(pieces).subarray(bytesWritten)], position + bytesWritten);
}
