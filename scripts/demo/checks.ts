// What the demo expects, against what it found. The first difference ends the demo.
import { isDeepStrictEqual } from 'node:util';

/** A check that failed: what was looked at, and both sides as text. */
export class CheckFailed extends Error {
  readonly expected: string;
  readonly found: string;

  constructor(what: string, expected: unknown, found: unknown) {
    super(what);
    this.expected = shown(expected);
    this.found = shown(found);
  }
}

export interface Checks {
  readonly count: number;
  /** Both have the same members and values. */
  equal(what: string, found: unknown, expected: unknown): void;
  /** Each of the wanted is among the found, which may hold more. */
  includes(what: string, found: readonly unknown[], wanted: readonly unknown[]): void;
}

const TEXT_MAX = 400;

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

export function createChecks(): Checks {
  let count = 0;
  return {
    get count() { return count; },
    equal(what, found, expected) {
      count++;
      if (!isDeepStrictEqual(found, expected)) throw new CheckFailed(what, expected, found);
    },
    includes(what, found, wanted) {
      count++;
      if (!wanted.every((one) => found.some((other) => isDeepStrictEqual(one, other)))) throw new CheckFailed(what, wanted, found);
    },
  };
}
