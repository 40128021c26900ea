// What of one shard goes to HAPI in one transaction, and what goes alone. Pure.
import type { LeasedVersion } from './claim.ts';

/** Characters of JSON in one transaction; what is longer goes alone. */
const LENGTH_MAX = 2 * 1024 * 1024;

/**
 * In the order in which they are sent: together what was not tried yet, then one by one deletions, photos, and whatever failed
 * before, so that what HAPI cannot take holds up itself alone. What waits for another goes with it, or alone, to wait.
 */
export function parcelsOf(leased: readonly LeasedVersion[]): LeasedVersion[][] {
  const together = complete(short(leased.filter(maySend)));
  if (together.length < 2) return leased.map((one) => [one]);
  return [together, ...leased.filter((one) => !together.includes(one)).map((one) => [one])];
}

function short(leased: readonly LeasedVersion[]): LeasedVersion[] {
  let left = LENGTH_MAX;
  return leased.filter(({ text }) => {
    const length = text?.length ?? 0;
    if (length > left) return false;
    left -= length;
    return true;
  });
}

function maySend({ attempts, deleted, photo, text, eventText }: LeasedVersion): boolean {
  return attempts === 0 && !deleted && photo === null && text !== null && eventText !== null;
}

/** Those whose company has everything that they wait for. */
function complete(leased: readonly LeasedVersion[]): LeasedVersion[] {
  const there = new Set(leased.map(referenceOf));
  const left = leased.filter(({ waitsFor }) => waitsFor.every((reference) => there.has(reference)));
  return left.length === leased.length ? left : complete(left);
}

export function referenceOf({ type, id }: Pick<LeasedVersion, 'type' | 'id'>): string {
  return `${type}/${id}`;
}
