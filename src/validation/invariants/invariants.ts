// THE TABLE of R4's constraints, by the structure that they are rules of.
import { DATA_TYPE_INVARIANTS } from './datatypes.ts';
import { DEFINITION_INVARIANTS } from './definitions.ts';
import { RESOURCE_INVARIANTS } from './resources.ts';
import type { Invariant } from './invariant.ts';

export const INVARIANTS: readonly Invariant[] = [...DATA_TYPE_INVARIANTS, ...RESOURCE_INVARIANTS, ...DEFINITION_INVARIANTS];

const byContext = new Map<string, Invariant[]>();
for (const invariant of INVARIANTS) {
  if (invariant.check === undefined) continue;
  const known = byContext.get(invariant.context);
  if (known === undefined) byContext.set(invariant.context, [invariant]);
  else known.push(invariant);
}

/** Those that are checked on each element of a structure; undefined = none. */
export function invariantsOf(structure: string): readonly Invariant[] | undefined {
  return byContext.get(structure);
}

const byKey = new Map(INVARIANTS.map((invariant) => [invariant.key, invariant]));

/** One that the walk itself checks. Throws on a key that is not in the table. */
export function invariantNamed(key: string): Invariant {
  const invariant = byKey.get(key);
  if (invariant === undefined) throw new Error(`No invariant ${key}`);
  return invariant;
}
