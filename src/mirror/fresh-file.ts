// A secret in a file, which whoever renews it may exchange while the server runs.
import { readFile } from 'node:fs/promises';

/** The text without white space around it. Rejects with an Error for people, which names the variable and never the text. */
export type FreshFile = () => Promise<string>;

const LOOKED_AT_MS = 1_000;

/** Read again once a second at most; what was read before stands while the file cannot be read, as in the middle of its exchange. */
export function freshFile(path: string, variable: string, now: () => number = () => performance.now()): FreshFile {
  let known: string | undefined;
  let readAt = -Infinity;
  return async () => {
    if (known !== undefined && now() - readAt < LOOKED_AT_MS) return known;
    const text = await readFile(path, 'utf8').then((whole) => whole.trim(), () => '');
    readAt = now();
    if (text !== '') known = text;
    if (known === undefined) throw new Error(`The file of ${variable} cannot be read, or is empty`);
    return known;
  };
}
