// A process of its own that makes small pictures out of images that strangers sent. It reads its work from standard input, one
// frame for each image, and answers in the same order. It ends itself when it takes too much memory; its parent ends it when
// it takes too long. It has no network, no credentials and no environment.
import { setPriority } from 'node:os';
import { writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { frameReader, MEMORY_EXIT, printFrame, type PictureAnswer, type PictureLimits, type PictureTask, type PictureWish } from './picture-frames.ts';

/** Below what people wait for. */
const NICE = 10;
const WATCH_MS = 20;
const LOADERS = ['JpegBuffer', 'PngBuffer', 'WebpBuffer'].map((name) => `VipsForeignLoad${name}`);

const limits = JSON.parse(process.argv[2] ?? '') as PictureLimits;

function watchMemory(): void {
  setInterval(() => {
    if (process.memoryUsage.rss() > limits.memoryBytes) process.exit(MEMORY_EXIT);
  }, WATCH_MS).unref();
  try {
    // Where the machine runs out of memory, the system ends this process before the server.
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch { /* Elsewhere than on Linux there is no such order. */ }
}

/** The first image of the bytes, upright, without metadata. A photograph of a person is filled, anything else is shown whole. */
async function draw(bytes: Buffer, { edge, shape, form }: PictureWish): Promise<{ data: Buffer; width: number; height: number }> {
  const upright = sharp(bytes, { limitInputPixels: limits.pixelsMax, failOn: 'error', sequentialRead: true, pages: 1 }).autoOrient();
  const sized = upright.resize(edge, edge, shape === 'square' ? { fit: 'cover', position: 'centre' } : { fit: 'inside', withoutEnlargement: true });
  const coded = form === 'jpeg' ? sized.flatten({ background: '#ffffff' }).jpeg({ quality: 85 }) : sized.webp({ quality: 75, effort: 2 });
  const { data, info } = await coded.toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

async function answerTo({ wishes }: PictureTask, bytes: Buffer): Promise<[PictureAnswer, Buffer]> {
  try {
    const drawn: Awaited<ReturnType<typeof draw>>[] = [];
    for (const wish of wishes) drawn.push(await draw(bytes, wish));
    return [{ pictures: drawn.map(({ data, width, height }) => ({ size: data.length, width, height })) }, Buffer.concat(drawn.map(({ data }) => data))];
  } catch (error) {
    return [{ fault: (error as Error).message.split('\n')[0]?.slice(0, 200) ?? 'It cannot be read' }, Buffer.alloc(0)];
  }
}

sharp.cache(false);
sharp.concurrency(1);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: LOADERS });
try {
  setPriority(NICE);
} catch { /* It is not needed to work. */ }
watchMemory();

// The next image comes while this one is drawn.
let before: Promise<void> = Promise.resolve();
for await (const { head, bytes } of frameReader(process.stdin, limits.bytesMax)) {
  await before;
  before = answerTo(head as PictureTask, bytes).then(([answer, pictures]) => { process.stdout.write(printFrame(answer, pictures)); });
}
await before;
