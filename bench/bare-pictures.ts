// sharp alone, in a process of its own as low in priority as the one that draws for the server: what a small picture costs
// without a queue, a store and a record.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, unlink, writeFile } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const SELF = fileURLToPath(import.meta.url);
const NICE = 10;

export interface BarePictures {
  /** Draws so many small pictures of the image, one after the other. */
  draw(count: number): Promise<void>;
  stop(): void;
}

export async function startBarePictures(image: Buffer): Promise<BarePictures> {
  const file = join(tmpdir(), `bare-picture-${process.pid}.jpg`);
  await writeFile(file, image);
  const child = fork(SELF, [file], { execArgv: ['--import', 'tsx'] });
  await once(child, 'message');
  await unlink(file);
  return {
    async draw(count) {
      const drawn = once(child, 'message');
      child.send(count);
      await drawn;
    },
    stop: () => { child.kill(); },
  };
}

async function serve(file: string): Promise<void> {
  setPriority(NICE);
  sharp.cache(false);
  sharp.concurrency(1);
  const bytes = await readFile(file);
  process.on('message', (count: number) => {
    void (async () => {
      for (let drawn = 0; drawn < count; drawn += 1) {
        await sharp(bytes, { failOn: 'error', sequentialRead: true }).autoOrient().resize(256, 256, { fit: 'inside', withoutEnlargement: true }).webp({ quality: 75, effort: 2 }).toBuffer();
      }
      process.send?.('drawn');
    })();
  });
  process.send?.('ready');
}

if (process.argv[1] === SELF) await serve(process.argv[2] ?? '');
