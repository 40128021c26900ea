// Pages over several types: whatever the instants and ids are, they partition the matches, forth and back.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Transaction } from '../../src/database/database.ts';
import { keysetOfMatch, readMatches } from '../../src/interactions/search-matches.ts';
import type { SearchMatch, SearchSource } from '../../src/resources/search-source.ts';
import type { Keyset } from '../../src/search/page-cursor.ts';

const TYPES = ['DocumentReference', 'List', 'Media'] as const;
const tx = {} as Transaction;

/** A source of values: what SQL answers, by comparison of (instant, id). */
function source(type: (typeof TYPES)[number], all: readonly SearchMatch[], descending: boolean, count: number): SearchSource {
  const before = (a: Keyset, b: Keyset): boolean => (a.value ?? 0) < (b.value ?? 0) || (a.value === b.value && a.id < b.id);
  return {
    type,
    async page(_tx, from, backwards) {
      const down = descending !== backwards;
      const sorted = all.filter((one) => one.type === type).sort((a, b) => (before(a.keyset, b.keyset) === down ? 1 : -1));
      return sorted.filter(({ keyset }) => from === undefined || (down ? before(keyset, from) : before(from, keyset))).slice(0, count + 1);
    },
    count: async () => all.length,
  };
}

const matches = fc.uniqueArray(fc.record({ type: fc.constantFrom(...TYPES), at: fc.integer({ min: 0, max: 3 }), id: fc.constantFrom('a', 'b', 'c', '-', 'A.1', 'zz') }), { selector: ({ type, id }) => `${type}/${id}`, maxLength: 18 })
  .map((all) => all.map(({ type, at, id }): SearchMatch => ({ type, id, version: 1, patient: null, text: '{}', keyset: { value: at, id } })));

describe('merged pages', () => {
  it('hold every match once, in one order, and lead back over the same pages', async () => {
    await fc.assert(fc.asyncProperty(matches, fc.integer({ min: 1, max: 5 }), fc.boolean(), async (all, count, descending) => {
      const wanted = { sources: TYPES.map((type) => source(type, all, descending, count)), count, descending };
      const pages: SearchMatch[][] = [];
      for (let from: Keyset | undefined; ;) {
        const { matches: page, more } = await readMatches(tx, { ...wanted, from, backwards: false });
        pages.push(page);
        const last = page.at(-1);
        if (!more || last === undefined) break;
        from = keysetOfMatch(last, true);
      }
      const names = pages.map((page) => page.map(({ type, id }) => `${type}/${id}`));
      expect(names.flat().toSorted()).toEqual(all.map(({ type, id }) => `${type}/${id}`).toSorted());
      const instants = pages.flat().map(({ keyset }) => keyset.value ?? 0);
      expect(instants).toEqual(instants.toSorted((a, b) => (descending ? b - a : a - b)));
      const back: string[][] = [];
      for (let first = pages.at(-1)?.[0]; first !== undefined;) {
        const { matches: page, more } = await readMatches(tx, { ...wanted, from: keysetOfMatch(first, true), backwards: true });
        if (page.length > 0) back.unshift(page.map(({ type, id }) => `${type}/${id}`));
        first = more ? page[0] : undefined;
      }
      expect(back).toEqual(names.slice(0, -1));
    }));
  });
});
