// A value that must not be printed. Loggers and JSON see its name only; `reveal` is called where it is used: what stands in a
// file is read again there, so that it is exchanged while the server runs.
import { readFileSync } from 'node:fs';

/** A file is looked into once in so many milliseconds at most. */
const LOOKED_MS = 1_000;
const SECRET_BYTES_MAX = 16 * 1024;

/** What the file holds, without the white space around it; undefined where it cannot be read or holds nothing of use. */
export function readSecretFile(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return text === '' || text.length > SECRET_BYTES_MAX || /[\u0000-\u001f\u007f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** The text of a file that holds a JSON object; undefined where it holds something else or cannot be read. */
export function readJsonFile(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    const value: unknown = text.length > SECRET_BYTES_MAX ? undefined : JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? text : undefined;
  } catch {
    return undefined;
  }
}

export class Secret {
  #value: string;
  #looked = performance.now();
  readonly #again: (() => string | undefined) | undefined;

  /** `again` answers the value of this moment, undefined while it is being exchanged. */
  constructor(value: string, again?: () => string | undefined) {
    this.#value = value;
    this.#again = again;
  }

  reveal(): string {
    if (this.#again === undefined || performance.now() - this.#looked < LOOKED_MS) return this.#value;
    this.#looked = performance.now();
    this.#value = this.#again() ?? this.#value;
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
