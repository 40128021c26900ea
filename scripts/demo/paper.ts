// How the demo is printed: columns, units, and colours where a person looks at a terminal.
const COLOURS = { bold: 1, dim: 2, red: 31, green: 32, cyan: 36 } as const;

export type Ink = (text: string) => string;
export type Inks = Record<keyof typeof COLOURS, Ink>;

/** https://no-color.org: the variable alone counts, whatever its value. */
export function inksFor(coloured: boolean): Inks {
  const names = Object.keys(COLOURS) as (keyof typeof COLOURS)[];
  return Object.fromEntries(names.map((name) => [name, (text: string) => (coloured ? `\u001b[${COLOURS[name]}m${text}\u001b[0m` : text)])) as Inks;
}

export function printSize(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}

export function printTime(ms: number): string {
  return ms < 1_000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

const SPEED_BYTES_MIN = 100_000;

/** Empty for so few bytes that the speed would be the latency. */
export function printSpeed(bytes: number, ms: number): string {
  return bytes < SPEED_BYTES_MIN ? '' : `${Math.round(bytes / ms / 1_000)} MB/s`;
}

const VERSIONED = /^(?:.*\/)?([A-Za-z]+)\/[^/]+(?:\/_history\/(\d+))?$/;

/** `DocumentReference v1`, or `3 × Binary` where there are several of a kind. */
export function printKinds(references: readonly string[]): string {
  const kinds = new Map<string, string[]>();
  for (const reference of references) {
    const [, type = reference, version] = VERSIONED.exec(reference) ?? [];
    kinds.set(type, [...(kinds.get(type) ?? []), version === undefined ? type : `${type} v${version}`]);
  }
  return [...kinds].map(([type, names]) => (names.length === 1 ? (names[0] ?? type) : `${names.length} × ${type}`)).join(', ');
}

/** Without `/_history/n`. */
export function unversioned(reference: string): string {
  return reference.replace(/\/_history\/[^/]+$/, '');
}
