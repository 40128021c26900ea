// The checkpoints outside the database: one JSON object a line in DATA_DIR, appended and never changed.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseCheckpoint } from '../audit/checkpoint.ts';

export interface KeptCheckpoint {
  size: number;
  note: string;
  /** FHIR instant. */
  sealedAt: string;
}

export const checkpointPath = (dataDir: string): string => join(dataDir, 'checkpoints.jsonl');

const TAIL_BYTES = 16_384;

/** undefined for a line that is no checkpoint. */
export function readLine(line: string): KeptCheckpoint | undefined {
  try {
    const { note, sealedAt, size } = JSON.parse(line) as Partial<KeptCheckpoint>;
    if (typeof note !== 'string' || typeof sealedAt !== 'string' || typeof size !== 'number') return undefined;
    return parseCheckpoint(note)?.size === size ? { note, sealedAt, size } : undefined;
  } catch { return undefined; }
}

/** The newest checkpoint of the file; 'damaged' where its last line is none, undefined where there is no line. A line that a crash left half written is cut off. */
export async function mendFile(path: string): Promise<KeptCheckpoint | 'damaged' | undefined> {
  const file = await open(path, 'r+').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const tail = Buffer.alloc(size - start);
    await file.read(tail, 0, tail.length, start);
    const end = tail.lastIndexOf('\n') + 1;
    if (start + end < size) {
      await file.truncate(start + end);
      await file.sync();
    }
    const line = tail.subarray(0, end).toString('utf8').trimEnd().split('\n').at(-1) ?? '';
    return line === '' ? undefined : readLine(line) ?? 'damaged';
  } finally { await file.close(); }
}

/** On the disk when it returns. */
export async function appendCheckpoints(path: string, checkpoints: readonly KeptCheckpoint[]): Promise<void> {
  const file = await open(path, 'a', 0o644);
  try {
    await file.appendFile(checkpoints.map(({ note, sealedAt, size }) => `${JSON.stringify({ note, sealedAt, size })}\n`).join(''));
    await file.sync();
  } finally { await file.close(); }
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}

/** Line by line: the checkpoint, or undefined for a line that is none. A last line without its end is left out: it is being written. */
export async function* readCheckpoints(path: string): AsyncGenerator<KeptCheckpoint | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return;
  const { size } = await file.stat();
  const last = Buffer.alloc(1);
  const whole = size === 0 || ((await file.read(last, 0, 1, size - 1)).bytesRead === 1 && last[0] === 0x0a);
  await file.close();
  if (size === 0) return;
  let held: string | undefined;
  for await (const line of createInterface({ input: createReadStream(path, { end: size - 1 }), crlfDelay: Infinity })) {
    if (held !== undefined) yield readLine(held);
    held = line;
  }
  if (held !== undefined && whole) yield readLine(held);
}
