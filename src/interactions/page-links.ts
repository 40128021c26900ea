// The links of a page (R4 search.html 3.1.1.6.1, http.html 3.1.0.14): they hold what took effect, are followed by GET, and
// say by keyset where a page begins, so that what others write meanwhile moves nothing.
import { parseCursor, printCursor, searchFingerprint, type Keyset } from '../search/page-cursor.ts';
import { searchUrl, type SearchLink } from '../search/searchset.ts';
import { keysetOfMatch, type MatchPage } from './search-matches.ts';

type Pairs = readonly (readonly [string, string])[];

/** Where in its result a page stands. */
export interface PagePlace {
  /** Keyset that the page follows or precedes; undefined = the first page. */
  from: Keyset | undefined;
  backwards: boolean;
  links(page: MatchPage, merged: boolean): SearchLink[];
}

export interface PlaceParts {
  /** Organisation and path that a cursor belongs to. */
  org: number;
  path: string;
  /** Absolute address of the search. */
  url: string;
  cursorKey: Buffer;
  /** What decides which matches there are and in which order. */
  used: readonly [string, string][];
  /** What else the links carry. */
  shown: Pairs;
  cursor: string | undefined;
  before: string | undefined;
}

/** Raises 400 `invalid-parameter` for a cursor that does not belong here. */
export function pagePlace(parts: PlaceParts): PagePlace {
  const fingerprint = searchFingerprint(parts.org, parts.path, parts.used);
  const cursor = parts.before ?? parts.cursor;
  const backwards = parts.before !== undefined;
  const from = cursor === undefined ? undefined : parseCursor(parts.cursorKey, fingerprint, cursor);
  const url = (more: Pairs): string => searchUrl(parts.url, [...parts.used, ...more, ...parts.shown]);
  const print = (keyset: Keyset): string => printCursor(parts.cursorKey, fingerprint, keyset);

  function links(page: MatchPage, merged: boolean): SearchLink[] {
    const found: SearchLink[] = [{ relation: 'self', url: url(cursor === undefined ? [] : [[backwards ? '_before' : '_cursor', cursor]]) }];
    const [first, last] = [page.matches[0], page.matches.at(-1)];
    const [hasPrevious, hasNext] = backwards ? [page.more, true] : [from !== undefined, page.more];
    if (hasPrevious || hasNext) found.push({ relation: 'first', url: url([]) });
    if (hasPrevious && first !== undefined) found.push({ relation: 'previous', url: url([['_before', print(keysetOfMatch(first, merged))]]) });
    if (hasNext && last !== undefined) found.push({ relation: 'next', url: url([['_cursor', print(keysetOfMatch(last, merged))]]) });
    return found;
  }

  return { from, backwards, links };
}
