import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonObject } from '../../src/fhir/json.ts';
import { extractIndexValues, NO_VALUES, patientKey } from '../../src/search/extract-index-values.ts';
import { indexHash, tokenKeys, tokenSearchKey } from '../../src/search/index-hash.ts';
import { parseSearch } from '../../src/search/parse-search.ts';
import { SEARCH_PARAMETERS, type SearchParameter } from '../../src/search/search-parameters.ts';

const BASE = 'https://documents.example/fhir';

function parameter(type: keyof typeof SEARCH_PARAMETERS, name: string): SearchParameter {
  return (SEARCH_PARAMETERS[type]).find((one) => one.name === name) as SearchParameter;
}

/** Whether the index rows of the resource answer the search value. */
function finds(resource: JsonObject, type: 'DocumentReference' | 'Media', name: string, value: string): boolean {
  const index = extractIndexValues(resource, type, BASE);
  const [clause] = parseSearch(type, [[name, value]], BASE, true).clauses;
  const { number } = parameter(type, name);
  return clause?.values.some((one) => {
    if (one.kind === 'token') return index.tokens.some((row) => row.param === number && row.hash === indexHash(tokenSearchKey(one)));
    return one.kind === 'reference' && one.keys.some((key) => index.references.some((row) => row.param === number && row.hash === indexHash(key)));
  }) ?? false;
}

describe('index-hash', () => {
  it('is the first 64 bits of SHA-1, signed', () => {
    // SHA-1 of "abc" (FIPS 180-1, appendix A) begins with a9993e364706816a.
    expect(indexHash('abc')).toBe(BigInt.asIntN(64, 0xa9993e364706816an));
    expect(indexHash('ü')).toBe(indexHash(Buffer.from([0xc3, 0xbc]).toString('utf8')));
  });

  it('fits a bigint column', () => {
    fc.assert(fc.property(fc.string(), (text) => { expect(BigInt.asIntN(64, indexHash(text))).toBe(indexHash(text)); }));
  });

  const uri = fc.stringMatching(/^[^\s\u0000-\u001f]{1,20}$/);
  const code = fc.string({ minLength: 1 });

  it('finds a token by code, system|code and system|, and by |code only without a system', () => {
    fc.assert(fc.property(fc.option(uri, { nil: undefined }), code, (system, value) => {
      const keys = new Set(tokenKeys(system, value));
      expect(keys.has(tokenSearchKey({ system: undefined, code: value }))).toBe(true);
      expect(keys.has(tokenSearchKey({ system: '', code: value }))).toBe(system === undefined);
      if (system !== undefined) {
        expect(keys.has(tokenSearchKey({ system, code: value }))).toBe(true);
        expect(keys.has(tokenSearchKey({ system, code: '' }))).toBe(true);
      }
    }));
  });

  it('reads no key in two ways: what is found is meant', () => {
    const stored = fc.record({ system: fc.option(fc.oneof(uri, fc.constantFrom('*', '|', '=')), { nil: undefined }), code: fc.oneof(code, fc.constantFrom('\t', '*', '|', 'a\tb')) });
    const asked = fc.record({ system: fc.option(fc.oneof(uri, fc.constantFrom('', '*', '|', '=')), { nil: undefined }), code: fc.oneof(fc.constant(''), code, fc.constantFrom('\t', '*', '|', 'a\tb')) });
    fc.assert(fc.property(stored, asked, (token, search) => {
      fc.pre(search.code !== '' || (search.system !== undefined && search.system !== ''));
      const found = tokenKeys(token.system, token.code).includes(tokenSearchKey(search));
      const meant = search.code === '' ? token.system === search.system : token.code === search.code && (search.system === undefined || (token.system ?? '') === search.system);
      expect(found).toBe(meant);
    }), { numRuns: 2_000 });
  });
});

describe('extractIndexValues of a DocumentReference', () => {
  const resource: JsonObject = {
    resourceType: 'DocumentReference',
    status: 'current',
    masterIdentifier: { system: 'urn:ietf:rfc:3986', value: 'urn:oid:1.2.3' },
    identifier: [{ system: 'http://hospital/accession', value: 'A1' }, { value: 'bare' }],
    type: { coding: [{ system: 'http://loinc.org', code: '34133-9' }, { system: 'http://snomed.info/sct', code: '1' }] },
    category: [{ coding: [{ system: 'http://c', code: 'note' }] }, { text: 'only words' }],
    subject: { reference: 'Patient/p1' },
    date: '2024-05-06T07:08:09.123+02:00',
  };
  const index = extractIndexValues(resource, 'DocumentReference', BASE);

  it('puts status, patient and date into columns', () => {
    expect(index.status).toBe('current');
    expect(index.patient).toBe('p1');
    expect(index.date).toEqual({ lo: Date.parse('2024-05-06T05:08:09.123Z'), hi: Date.parse('2024-05-06T05:08:09.124Z') });
  });

  it.each([
    ['identifier', 'urn:ietf:rfc:3986|urn:oid:1.2.3', true],
    ['identifier', 'A1', true],
    ['identifier', 'http://hospital/accession|A1', true],
    ['identifier', 'http://hospital/accession|', true],
    ['identifier', '|bare', true],
    ['identifier', '|A1', false],
    ['identifier', 'a1', false],
    ['identifier', 'http://hospital/other|A1', false],
    ['type', '34133-9', true],
    ['type', 'http://snomed.info/sct|1', true],
    ['type', 'http://loinc.org|1', false],
    ['category', 'http://c|note', true],
    ['category', 'only words', false],
    ['subject', 'Patient/p1', true],
    ['subject', 'p1', true],
    ['subject', `${BASE}/Patient/p1`, true],
    ['subject', 'Device/p1', false],
  ])('%s=%s: %s', (name, value, expected) => {
    expect(finds(resource, 'DocumentReference', name, value)).toBe(expected);
  });

  it('holds every value once', () => {
    const twice = extractIndexValues({ ...resource, identifier: [{ value: 'x' }, { value: 'x' }] }, 'DocumentReference', BASE);
    expect(new Set(twice.tokens.map((row) => `${row.param} ${row.hash}`)).size).toBe(twice.tokens.length);
  });

  it.each<[JsonObject, string | null]>([
    [{ reference: 'Patient/p1/_history/2' }, 'p1'],
    [{ reference: `${BASE}/Patient/p1` }, 'p1'],
    [{ reference: 'https://elsewhere.example/Patient/p1' }, '//elsewhere.example/Patient/p1'],
    [{ reference: 'Device/p1' }, null],
    [{ reference: 'https://elsewhere.example/Device/p1' }, null],
    [{ reference: '#contained' }, null],
    [{ identifier: { value: 'x' } }, null],
    [{ reference: 'http:Patient/p1' }, 'http:Patient/p1'],
  ])('the patient of %j is %s', (subject, expected) => {
    expect(extractIndexValues({ ...resource, subject }, 'DocumentReference', BASE).patient).toBe(expected);
  });

  it('finds the patient by the key that the column has', () => {
    for (const reference of ['Patient/p1', 'Patient/p1/_history/2', `${BASE}/Patient/p1`, 'https://elsewhere.example/Patient/p1']) {
      const [clause] = parseSearch('DocumentReference', [['patient', reference]], BASE, true).clauses;
      const [value] = clause?.values ?? [];
      const column = extractIndexValues({ ...resource, subject: { reference } }, 'DocumentReference', BASE).patient;
      expect(value?.kind === 'reference' ? value.keys.map((key) => patientKey(key, BASE)) : []).toEqual([column]);
    }
  });

  it('is empty for a resource without any of it', () => {
    expect(extractIndexValues({ resourceType: 'DocumentReference' }, 'DocumentReference', BASE)).toEqual({ ...NO_VALUES, present: 0n });
    expect(extractIndexValues(resource, 'Binary', BASE)).toEqual(NO_VALUES);
  });
});

describe('extractIndexValues of a Media', () => {
  it.each<[JsonObject, [string, string] | null]>([
    [{ createdDateTime: '2024-05' }, ['2024-05-01T00:00:00Z', '2024-06-01T00:00:00Z']],
    [{ createdPeriod: { start: '2024-05-01', end: '2024-05-02' } }, ['2024-05-01T00:00:00Z', '2024-05-03T00:00:00Z']],
    [{}, null],
  ])('created of %j', (created, expected) => {
    const { date } = extractIndexValues({ resourceType: 'Media', status: 'completed', ...created }, 'Media', BASE);
    expect(date).toEqual(expected === null ? null : { lo: Date.parse(expected[0]), hi: Date.parse(expected[1]) });
  });

  it('is open where a Period is', () => {
    expect(extractIndexValues({ resourceType: 'Media', createdPeriod: { start: '2024' } }, 'Media', BASE).date).toEqual({ lo: Date.parse('2024'), hi: Infinity });
  });

  it('has its subject without being a patient', () => {
    const media: JsonObject = { resourceType: 'Media', subject: { reference: 'Specimen/s' } };
    expect(finds(media, 'Media', 'subject', 'Specimen/s')).toBe(true);
    expect(finds(media, 'Media', 'subject', 's')).toBe(true);
    expect(extractIndexValues(media, 'Media', BASE).patient).toBeNull();
  });
});

describe('the table of search parameters', () => {
  const all = Object.entries(SEARCH_PARAMETERS).flatMap(([type, parameters]) => (parameters).map((one) => ({ type, one })));

  it('gives each number to one name of one type', () => {
    const own = all.filter(({ one }) => one.number >= 10).map(({ one }) => one.number);
    expect(new Set(own).size).toBe(own.length);
    for (const parameters of Object.values(SEARCH_PARAMETERS)) expect(new Set(parameters.map((one) => one.name)).size).toBe(parameters.length);
  });

  it('names an element of its own type, and a canonical definition', () => {
    for (const { type, one } of all) {
      for (const path of one.expression.split('|')) expect([type, 'Resource']).toContain(/[A-Za-z]+/.exec(path)?.[0]);
      expect(one.definition).toMatch(/^https?:\/\/[^ ]+\/SearchParameter\/[A-Za-z-]+$/);
      expect(one.documentation.length).toBeGreaterThan(0);
    }
  });
});
