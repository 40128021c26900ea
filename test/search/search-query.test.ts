import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Restriction } from '../../src/access/restriction.ts';
import { parseDateRange } from '../../src/fhir/instant.ts';
import { typeNumber } from '../../src/fhir/resource-type.ts';
import type { Keyset } from '../../src/search/page-cursor.ts';
import { parseSearch, type DatePrefix } from '../../src/search/parse-search.ts';
import { countQuery, instantPredicate, pageQuery, Values, type SearchQuery, type SearchScope } from '../../src/search/search-query.ts';
import { boundValue, evaluate, placeholders, tableUses } from './sql-structure.ts';

const BASE = 'https://documents.example/fhir';
const ORG = 4_711;
/** Stands in every text that a client sends here, and in no SQL of ours. */
const MARK = `zq7'";--$1`;

const PREFIXES: DatePrefix[] = ['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap'];

interface Asked {
  type: 'DocumentReference' | 'Media';
  pairs: [string, string][];
}

const text = fc.string({ minLength: 1, maxLength: 12 }).filter((one) => !one.includes('\u0000')).map((one) => `${MARK}${one}`);
const token = fc.oneof(text, fc.tuple(text, text).map(([system, code]) => `${system}|${code}`), text.map((system) => `${system}|`), text.map((code) => `|${code}`));
const reference = fc.oneof(text, fc.constantFrom('Patient/1', '1', `${BASE}/Patient/1`), text.map((one) => `Patient/${one}`));
const date = fc.tuple(fc.constantFrom('', ...PREFIXES), fc.constantFrom('2024', '2024-05-06', '2024-05-06T07:08:09Z', '9999-12-31', '0001')).map((parts) => parts.join(''));
const several = (one: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.array(one, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','));

function pairsOf(type: Asked['type']): fc.Arbitrary<Asked> {
  const pair = fc.oneof(
    fc.tuple(fc.constantFrom('identifier', 'type', 'status', '_id', ...(type === 'DocumentReference' ? ['category'] : [])), several(token)),
    fc.tuple(fc.constantFrom('patient', 'subject', 'subject:Patient', 'patient:Patient'), several(reference)),
    fc.tuple(fc.constantFrom('_lastUpdated', type === 'Media' ? 'created' : 'date'), several(date)),
    fc.tuple(fc.constant('_sort'), fc.constantFrom('_id', '-_id', '_lastUpdated', '-_lastUpdated', type === 'Media' ? 'created' : '-date', MARK)),
    fc.tuple(fc.constant('_count'), fc.integer({ min: 0, max: 2_000 }).map(String)),
    fc.tuple(text, text),
  );
  return fc.array(pair, { maxLength: 6 }).map((pairs) => ({ type, pairs: pairs }));
}

const asked = fc.oneof(pairsOf('DocumentReference'), pairsOf('Media'));
const after = fc.option(fc.record<Keyset>({ value: fc.constantFrom(null, 1_700_000_000_000, -Infinity, Infinity), id: text }), { nil: undefined });
const restriction = fc.constantFrom<Restriction>({ kind: 'none' }, { kind: 'nothing' });

function scopeOf(type: Asked['type'], limit: Restriction = { kind: 'none' }): SearchScope {
  return { org: ORG, type: typeNumber(type), restriction: limit, fhirBase: BASE };
}

function queriesOf({ type, pairs }: Asked, limit: Restriction, keyset: Keyset | undefined): SearchQuery[] {
  const parsed = parseSearch(type, pairs, BASE, false);
  return [pageQuery(parsed, scopeOf(type, limit), keyset), countQuery(parsed, scopeOf(type, limit), true), countQuery(parsed, scopeOf(type, limit), false)];
}

describe('the SQL of a search', () => {
  it('binds every table that it reads to the organisation and the type', () => {
    fc.assert(fc.property(asked, restriction, after, (search, limit, keyset) => {
      for (const query of queriesOf(search, limit, keyset)) {
        const uses = tableUses(query.text);
        expect(uses.length).toBeGreaterThan(0);
        for (const { table, alias } of uses) {
          expect(['resource', 'search_token', 'search_reference', 'search_date']).toContain(table);
          expect(boundValue(query.text, query.values, alias, 'org')).toBe(ORG);
          expect(boundValue(query.text, query.values, alias, 'type')).toBe(typeNumber(search.type));
        }
      }
    }), { numRuns: 1_000 });
  });

  it('holds no text that a client sent: it travels as a value', () => {
    fc.assert(fc.property(asked, restriction, after, (search, limit, keyset) => {
      for (const query of queriesOf(search, limit, keyset)) {
        expect(query.text).not.toContain('zq7');
        expect(query.text).not.toMatch(/['";\\]|--/);
      }
    }), { numRuns: 1_000 });
  });

  it('has a value for each placeholder, and a placeholder for each value', () => {
    fc.assert(fc.property(asked, restriction, after, (search, limit, keyset) => {
      for (const query of queriesOf(search, limit, keyset)) expect(placeholders(query.text)).toEqual(query.values.map((_value, index) => index + 1));
    }), { numRuns: 1_000 });
  });

  it('is the same text for other values of one shape, so that its plan is reused', () => {
    const shape = (value: string): SearchQuery => pageQuery(parseSearch('DocumentReference', [['patient', `Patient/${value}`], ['category', `http://c|${value}`], ['_sort', '-date']], BASE, true), scopeOf('DocumentReference'), undefined);
    expect(shape('one').text).toBe(shape('two').text);
    expect(shape('one').plannedOnce).toBe(true);
  });

  it('ties each index row to the version that made it', () => {
    fc.assert(fc.property(asked, (search) => {
      for (const query of queriesOf(search, { kind: 'none' }, undefined)) {
        for (const { table, alias } of tableUses(query.text)) {
          if (table === 'resource') continue;
          // Where the search begins at the index, its resource is looked up by both; elsewhere the index row is.
          for (const column of ['last_updated', 'id']) expect(query.text).toMatch(new RegExp(`\\b(?:${alias}\\.${column} = r\\.${column}|v\\.${column} = ${alias}\\.${column})\\b`));
        }
      }
    }));
  });

  it('finds nothing when the permit is for nothing, and nothing that was deleted', () => {
    const parsed = parseSearch('DocumentReference', [['identifier', 'a']], BASE, true);
    expect(pageQuery(parsed, scopeOf('DocumentReference', { kind: 'nothing' }), undefined).text).toMatch(/ and false\b/);
    expect(pageQuery(parsed, scopeOf('DocumentReference'), undefined).text).toContain('not r.deleted');
  });

  it('asks for one row more than the page', () => {
    const limitOf = (query: string): string | undefined => /limit (\d+)$/.exec(pageQuery(parseSearch('Media', new URLSearchParams(query), BASE, false), scopeOf('Media'), undefined).text)?.[1];
    expect(limitOf('')).toBe('21');
    expect(limitOf('_count=1000')).toBe('1001');
    expect(limitOf('_count=0')).toBe('1');
  });

  it.each([
    ['_id', undefined, 'r.id asc'],
    ['-_id', undefined, 'r.id desc'],
    ['-date', undefined, 'r.date_lo desc, r.id desc'],
    ['_lastUpdated', undefined, 'r.last_updated asc, r.id asc'],
    ['-_lastUpdated', 'identifier=a', 'i0.last_updated desc, i0.id desc'],
    ['-_lastUpdated', 'patient=1&category=a', 'r.last_updated desc, r.id desc'],
  ])('_sort=%s with %s orders by %s', (sort, query, order) => {
    const parsed = parseSearch('DocumentReference', new URLSearchParams(`${query ?? ''}&_sort=${sort}`), BASE, true);
    expect(pageQuery(parsed, scopeOf('DocumentReference'), undefined).text).toContain(`order by ${order} limit`);
  });
});

describe('date prefixes (R4 search.html 3.1.1.5.4)', () => {
  const range = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 20 })).map(([lo, width]) => ({ lo: Date.UTC(2024, 0, 1) + lo * 1_000, hi: Date.UTC(2024, 0, 1) + (lo + width) * 1_000 }));
  type Range = { lo: number; hi: number };

  /** In the words of the specification: s is the search value, t the target in the resource. */
  const MEANING: Record<DatePrefix, (s: Range, t: Range) => boolean> = {
    eq: (s, t) => s.lo <= t.lo && t.hi <= s.hi,
    ne: (s, t) => !(s.lo <= t.lo && t.hi <= s.hi),
    gt: (s, t) => t.hi > s.hi,
    lt: (s, t) => t.lo < s.lo,
    ge: (s, t) => t.hi > s.hi || (s.lo <= t.lo && t.hi <= s.hi),
    le: (s, t) => t.lo < s.lo || (s.lo <= t.lo && t.hi <= s.hi),
    sa: (s, t) => t.lo >= s.hi,
    eb: (s, t) => t.hi <= s.lo,
    ap: (s, t) => t.lo < s.hi && t.hi > s.lo,
  };

  function predicateOf(prefix: DatePrefix, s: Range): { predicate: string; values: unknown[] } {
    const parsed = parseSearch('DocumentReference', [['date', `${prefix}2024`]], BASE, true);
    const [clause] = parsed.clauses;
    if (clause !== undefined) clause.values = [{ kind: 'date', prefix, range: s }];
    const { text: sql, values } = pageQuery(parsed, scopeOf('DocumentReference'), undefined);
    const predicate = /\(r\.date_hi is not null and (.*?)\)\) order by/.exec(sql)?.[1];
    if (predicate === undefined) throw new Error(`No date predicate in ${sql}`);
    return { predicate, values };
  }

  it.each(PREFIXES)('%s compares ranges as the specification says', (prefix) => {
    fc.assert(fc.property(range, range, (s, t) => {
      const { predicate, values } = predicateOf(prefix, s);
      expect(evaluate(predicate, { 'r.date_lo': t.lo, 'r.date_hi': t.hi }, values)).toBe(MEANING[prefix](s, t));
    }), { numRuns: 300 });
  });

  it.each(PREFIXES)('%s compares an instant as a range of one millisecond', (prefix) => {
    fc.assert(fc.property(range, fc.integer({ min: 0, max: 80_000 }), (s, offset) => {
      const values = new Values();
      const predicate = instantPredicate('r.last_updated', prefix, s, (ms) => values.instant(ms));
      const at = Date.UTC(2024, 0, 1) + offset;
      expect(evaluate(predicate, { 'r.last_updated': at }, values.list)).toBe(MEANING[prefix](s, { lo: at, hi: at + 1 }));
    }), { numRuns: 300 });
  });

  it('prints every bound as PostgreSQL reads it', () => {
    for (const text of ['9999', '9999-12-31', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59-14:00', '0001', '0001-01-01T00:00:00+14:00', '0099-02-28']) {
      const values = new Values();
      const bounds = parseDateRange(text);
      values.instant(bounds?.lo as number);
      values.instant(bounds?.hi as number);
      for (const value of values.list) expect(value).toMatch(/^(-?infinity|(?!0000)\d{4}-\d{2}-\d{2}T[\d:.]+Z)$/);
    }
  });
});
