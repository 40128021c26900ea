// One page of matches, of one type or of several: each type answers from its own index, and the pages are merged by
// time, type and id, so that a keyset says for each of them where it goes on.
import type { Transaction } from '../database/database.ts';
import type { Keyset } from '../search/page-cursor.ts';
import { AFTER_IDS, type SearchMatch, type SearchSource } from '../resources/search-source.ts';

export interface MatchesWanted {
  sources: readonly SearchSource[];
  count: number;
  descending: boolean;
  /** Keyset that the page follows, or that it comes before. Of several types its id is `Type/id`. */
  from: Keyset | undefined;
  backwards: boolean;
}

export interface MatchPage {
  matches: SearchMatch[];
  /** Whether there are more matches in the direction of the page. */
  more: boolean;
}

/** Where `type` goes on after a match of another type: with all of that instant, or with none. */
function keysetFor(type: string, from: Keyset, descending: boolean): Keyset {
  const slash = from.id.indexOf('/');
  const other = from.id.slice(0, slash);
  if (type === other) return { ...from, id: from.id.slice(slash + 1) };
  const comesLater = descending ? type < other : type > other;
  return { ...from, id: comesLater === descending ? AFTER_IDS : '' };
}

function compare(a: SearchMatch, b: SearchMatch): number {
  const byTime = (a.keyset.value ?? 0) - (b.keyset.value ?? 0);
  if (byTime !== 0) return byTime;
  if (a.type !== b.type) return a.type < b.type ? -1 : 1;
  return a.keyset.id < b.keyset.id ? -1 : 1;
}

export function keysetOfMatch(match: SearchMatch, several: boolean): Keyset {
  return several ? { ...match.keyset, id: `${match.type}/${match.id}` } : match.keyset;
}

export async function readMatches(tx: Transaction, wanted: MatchesWanted): Promise<MatchPage> {
  const { sources, count, from, backwards } = wanted;
  const several = sources.length !== 1;
  const descending = wanted.descending !== backwards;
  const found: SearchMatch[] = [];
  for (const source of sources) {
    const at = from === undefined || !several ? from : keysetFor(source.type, from, descending);
    found.push(...await source.page(tx, at, backwards));
  }
  if (several) found.sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
  const matches = found.slice(0, count);
  return { matches: backwards ? matches.reverse() : matches, more: found.length > count };
}
