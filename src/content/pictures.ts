// Small pictures out of images that came from outside. The work is done by a process of its own, which is ended when it takes
// too long or too much memory, and started again for the next image: what is wrong with an image is wrong for that one alone.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { frameReader, MEMORY_EXIT, printHead, type PictureAnswer, type PictureLimits, type PictureWish } from './picture-frames.ts';

export type { PictureWish };

/** Types, as they are recognised by their bytes, that pictures are made of. */
export const PICTURED_TYPES = ['image/jpeg', 'image/png', 'image/webp'] as const;

/** A scan of A3 at 600 dpi has 70 million pixels. */
export const PICTURE_LIMITS: PictureLimits = { bytesMax: 64 * 1024 * 1024, pixelsMax: 100_000_000, memoryBytes: 768 * 1024 * 1024, timeMs: 20_000 };

export interface Picture {
  bytes: Buffer;
  width: number;
  height: number;
}

/** No picture. `image`: for what the image is, and always will be. `limit`: it was ended. `process`: for another reason, which may pass. */
export class PictureError extends Error {
  readonly kind: 'image' | 'limit' | 'process';

  constructor(kind: PictureError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface PictureMaker {
  /** One picture for each wish. `size` is that of `bytes`. Raises PictureError, and what `bytes` raises. */
  draw(bytes: AsyncIterable<Buffer>, size: number, wishes: readonly PictureWish[]): Promise<Picture[]>;
  /** Ends the process; what waits for it fails. */
  stop(): Promise<void>;
}

const ENTRY = fileURLToPath(new URL(`./picture-process${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
const PICTURES_BYTES_MAX = 8 * 1024 * 1024;
/** Images that a process draws before the next one takes its place: what a decoder leaks does not add up. */
const IMAGES_MAX = 1_000;

/** Sources are run as they are in development alone. */
function argumentsFor(limits: PictureLimits): string[] {
  const loader = ENTRY.endsWith('.ts') ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [];
  return [...loader, '--max-old-space-size=64', ENTRY, JSON.stringify(limits)];
}

interface Waiting {
  resolve(answer: { head: PictureAnswer; bytes: Buffer }): void;
  reject(error: PictureError): void;
}

/** One process, from its start to its end. */
interface Drawer {
  child: ChildProcessWithoutNullStreams;
  waiting: Waiting[];
  taken: number;
  /** Why it was ended. */
  reason: string | undefined;
  ended: boolean;
  closed: Promise<unknown>;
}

function startDrawer(limits: PictureLimits): Drawer {
  // Nothing of the server's environment is the business of what decodes images. Pixels stay in memory, where they are counted.
  const child = spawn(process.execPath, argumentsFor(limits), { stdio: ['pipe', 'pipe', 'pipe'], env: { VIPS_DISC_THRESHOLD: '16g', MALLOC_ARENA_MAX: '2' } });
  const drawer: Drawer = { child, waiting: [], taken: 0, reason: undefined, ended: false, closed: once(child, 'close').catch(() => undefined) };
  child.stderr.resume();
  child.stdin.on('error', () => { /* Its end tells. */ });
  const fail = (code: number | null): void => {
    if (drawer.ended) return;
    drawer.ended = true;
    const reason = drawer.reason ?? (code === MEMORY_EXIT ? `It takes more than ${Math.round(limits.memoryBytes / 1024 / 1024)} MiB of memory` : undefined);
    // Only the first was being drawn.
    drawer.waiting.splice(0).forEach(({ reject }, at) => reject(at === 0 && reason !== undefined ? new PictureError('limit', reason) : new PictureError('process', 'The process that draws ended')));
  };
  child.once('error', () => fail(null));
  child.once('exit', (code) => fail(code));
  void readAnswers(drawer).catch(() => child.kill('SIGKILL'));
  return drawer;
}

async function readAnswers({ child, waiting }: Drawer): Promise<void> {
  for await (const { head, bytes } of frameReader(child.stdout, PICTURES_BYTES_MAX)) waiting.shift()?.resolve({ head: head as PictureAnswer, bytes });
}

export function createPictureMaker(limits: PictureLimits = PICTURE_LIMITS): PictureMaker {
  let drawer: Drawer | undefined;
  let sending: Promise<unknown> = Promise.resolve();
  let stopped = false;

  function current(): Drawer {
    if (stopped) throw new PictureError('process', 'The server stops');
    if (drawer === undefined || drawer.ended) drawer = startDrawer(limits);
    else if (drawer.taken >= IMAGES_MAX) {
      // It ends by itself once it has drawn what it was given.
      drawer.child.stdin.end();
      drawer = startDrawer(limits);
    }
    return drawer;
  }

  /** Raises what `bytes` raises; a process that was given a part alone is of no use any more. */
  async function send(to: Drawer, bytes: AsyncIterable<Buffer>, size: number, wishes: readonly PictureWish[]): Promise<void> {
    const { child } = to;
    let sent = 0;
    try {
      child.stdin.write(printHead({ size, wishes }, size));
      for await (const piece of bytes) {
        sent += piece.length;
        if (to.ended) return;
        if (!child.stdin.write(piece)) await Promise.race([once(child.stdin, 'drain'), to.closed]);
      }
      if (sent !== size) throw new PictureError('process', `There are ${sent} bytes, not ${size}`);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** The clock runs once the bytes are there and those before are drawn. */
  async function timed<Answer>(from: Drawer, before: Promise<unknown> | undefined, answer: Promise<Answer>): Promise<Answer> {
    await before;
    const timer = setTimeout(() => {
      from.reason = `It takes more than ${limits.timeMs / 1_000} s`;
      from.child.kill('SIGKILL');
    }, limits.timeMs);
    try {
      return await answer;
    } finally { clearTimeout(timer); }
  }

  let last: Promise<unknown> | undefined;

  async function enter(bytes: AsyncIterable<Buffer>, size: number, wishes: readonly PictureWish[]): Promise<{ answer: Promise<{ head: PictureAnswer; bytes: Buffer }> }> {
    const to = current();
    to.taken += 1;
    const answer = new Promise<{ head: PictureAnswer; bytes: Buffer }>((resolve, reject) => { to.waiting.push({ resolve, reject }); });
    answer.catch(() => { /* Told by whoever awaits it. */ });
    const before = last?.catch(() => undefined);
    last = answer;
    await send(to, bytes, size, wishes);
    const drawn = timed(to, before, answer);
    drawn.catch(() => { /* The same. */ });
    return { answer: drawn };
  }

  return {
    async draw(bytes, size, wishes) {
      if (size > limits.bytesMax) throw new PictureError('image', `It has more than ${limits.bytesMax} bytes`);
      const entered = sending.then(() => enter(bytes, size, wishes));
      // The next one is sent while this one is drawn.
      sending = entered.catch(() => undefined);
      const { head, bytes: drawn } = await (await entered).answer;
      if ('fault' in head) throw new PictureError('image', head.fault);
      let at = 0;
      return head.pictures.map(({ size: length, width, height }) => {
        const picture = { bytes: drawn.subarray(at, at + length), width, height };
        at += length;
        return picture;
      });
    },
    async stop() {
      stopped = true;
      drawer?.child.kill('SIGKILL');
      await drawer?.closed;
    },
  };
}
