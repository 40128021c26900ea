// Writes a stream to a file in large pieces without copying: one piece is on its way to the disk while the next is
// gathered and hashed, and the disk takes the bytes for good meanwhile, so that little is left for the end.
import type { FileHandle } from 'node:fs/promises';

const PIECE_BYTES = 1024 * 1024;
/** Written bytes after which the disk is told to keep them. */
const SYNC_BYTES = 32 * 1024 * 1024;

/** One thing at a time, begun now and waited for later; its failure is told then. */
class Background {
  #work: Promise<void> = Promise.resolve();
  running = false;

  begin(work: Promise<void>): void {
    this.running = true;
    this.#work = work.finally(() => { this.running = false; });
    this.#work.catch(() => undefined);
  }

  done(): Promise<void> {
    return this.#work;
  }
}

/** All of `bytes` from the begin of the file on, durable when it resolves with how many there were. */
export async function writeGathered(handle: FileHandle, bytes: AsyncIterable<Buffer>): Promise<number> {
  const writing = new Background();
  const syncing = new Background();
  let gathered: Buffer[] = [];
  let pending = 0;
  let size = 0;
  let syncedAt = 0;

  async function flush(): Promise<void> {
    await writing.done();
    if (size - syncedAt >= SYNC_BYTES && !syncing.running) {
      // A failure is told to one sync only, so each one is waited for.
      await syncing.done();
      syncing.begin(handle.datasync());
      syncedAt = size;
    }
    writing.begin(writeAll(handle, gathered, size));
    size += pending;
    gathered = [];
    pending = 0;
  }

  try {
    for await (const piece of bytes) {
      gathered.push(piece);
      pending += piece.length;
      if (pending >= PIECE_BYTES) await flush();
      // failpoint: bytes-in-part
    }
    if (pending > 0) await flush();
    await writing.done();
    await syncing.done();
    await handle.datasync();
    return size;
  } finally {
    await Promise.allSettled([writing.done(), syncing.done()]);
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
