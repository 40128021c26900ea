// What the server and the process that draws say to each other: frames of a length, a head in JSON, and bytes.

export interface PictureLimits {
  /** Of an image as it was sent. */
  bytesMax: number;
  pixelsMax: number;
  /** Resident memory of the process. */
  memoryBytes: number;
  /** Milliseconds for one image. */
  timeMs: number;
}

export interface PictureWish {
  /** Pixels of the longer edge; of both where it is square. */
  edge: number;
  shape: 'whole' | 'square';
  form: 'webp' | 'jpeg';
}

export interface PictureTask {
  /** Bytes of the image, which follow the head. */
  size: number;
  wishes: readonly PictureWish[];
}

/** The pictures' bytes follow the head, one after the other. */
export type PictureAnswer = { pictures: { size: number; width: number; height: number }[] } | { fault: string };

/** Exit code of a process that took too much memory. */
export const MEMORY_EXIT = 77;
const HEAD_MAX = 64 * 1024;

/** A frame's length and head; its bytes are written behind it. */
export function printHead(head: unknown, size: number): Buffer {
  const text = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(text.length, 0);
  lengths.writeUInt32BE(size, 4);
  return Buffer.concat([lengths, text]);
}

export function printFrame(head: unknown, bytes: Buffer): Buffer {
  return Buffer.concat([printHead(head, bytes.length), bytes]);
}

/** The frames of a stream. Raises an Error for one that is longer than it may be, or that ends within. */
export async function* frameReader(source: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<{ head: unknown; bytes: Buffer }> {
  const pieces = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);

  /** Exactly so many bytes; undefined where the stream ended before the first of them. */
  async function take(count: number): Promise<Buffer | undefined> {
    const taken = Buffer.allocUnsafe(count);
    let have = 0;
    while (have < count) {
      if (rest.length === 0) {
        const next = await pieces.next();
        if (next.done === true && have === 0) return undefined;
        if (next.done === true) throw new Error('A frame ends too early');
        rest = next.value;
      }
      const part = rest.subarray(0, count - have);
      part.copy(taken, have);
      have += part.length;
      rest = rest.subarray(part.length);
    }
    return taken;
  }

  for (;;) {
    const lengths = await take(8);
    if (lengths === undefined) return;
    const [headLength, size] = [lengths.readUInt32BE(0), lengths.readUInt32BE(4)];
    if (headLength > HEAD_MAX || size > bytesMax) throw new Error('A frame is too long');
    const head = JSON.parse((await take(headLength))?.toString('utf8') ?? '') as unknown;
    yield { head, bytes: size === 0 ? Buffer.alloc(0) : await take(size) ?? Buffer.alloc(0) };
  }
}
