import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FhirError } from '../../src/fhir/fhir-error.ts';
import { COUNT_DEFAULT, COUNT_MAX, parseSearch, type ParsedSearch } from '../../src/search/parse-search.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';

const BASE = 'https://documents.example/fhir';
const parse = (query: string, type = 'DocumentReference', strict = false): ParsedSearch => parseSearch(type, new URLSearchParams(query), BASE, strict);
const valuesOf = (query: string, type?: string): unknown[] => parse(query, type).clauses.map((clause) => clause.values);

function refusal(run: () => unknown): FhirError {
  try {
    run();
  } catch (error) {
    if (error instanceof FhirError) return error;
    throw error;
  }
  throw new Error('It was not refused');
}

describe('tokens (R4 search.html 3.1.1.5.5)', () => {
  it.each([
    ['code', [{ kind: 'token', system: undefined, code: 'code' }]],
    ['http://s|code', [{ kind: 'token', system: 'http://s', code: 'code' }]],
    ['|code', [{ kind: 'token', system: '', code: 'code' }]],
    ['http://s|', [{ kind: 'token', system: 'http://s', code: '' }]],
    ['a,b', [{ kind: 'token', system: undefined, code: 'a' }, { kind: 'token', system: undefined, code: 'b' }]],
    ['a\\,b', [{ kind: 'token', system: undefined, code: 'a,b' }]],
    ['a\\|b', [{ kind: 'token', system: undefined, code: 'a|b' }]],
    ['a\\$b', [{ kind: 'token', system: undefined, code: 'a$b' }]],
    // An escaped backslash does not escape what follows it.
    ['a\\\\,b', [{ kind: 'token', system: undefined, code: 'a\\' }, { kind: 'token', system: undefined, code: 'b' }]],
    ['a\\\\|b', [{ kind: 'token', system: 'a\\', code: 'b' }]],
    ['a\\\\\\,b', [{ kind: 'token', system: undefined, code: 'a\\,b' }]],
    ['s|a|b', [{ kind: 'token', system: 's', code: 'a|b' }]],
    [',,a,', [{ kind: 'token', system: undefined, code: 'a' }]],
    ['a\\', [{ kind: 'token', system: undefined, code: 'a\\' }]],
  ])('identifier=%s', (text, expected) => {
    expect(valuesOf(new URLSearchParams({ identifier: text }).toString())).toEqual([expected]);
  });

  it('are read back as they were printed, whatever stands in them', () => {
    const escaped = (text: string): string => text.replace(/[\\,$|]/g, (character) => `\\${character}`);
    const part = fc.string({ minLength: 1 }).filter((text) => !text.includes('\u0000'));
    const token = fc.record({ system: fc.option(part, { nil: undefined }), code: part });
    fc.assert(fc.property(fc.array(token, { minLength: 1, maxLength: 4 }), (tokens) => {
      const text = tokens.map(({ system, code }) => (system === undefined ? escaped(code) : `${escaped(system)}|${escaped(code)}`)).join(',');
      const [clause] = parseSearch('DocumentReference', [['identifier', text]], BASE, true).clauses;
      expect(clause?.values).toEqual(tokens.map((one) => ({ kind: 'token', ...one })));
    }));
  });
});

describe('references (3.1.1.5.9)', () => {
  it.each([
    ['patient=1', ['Patient/1']],
    ['patient=Patient/1', ['Patient/1']],
    [`patient=${BASE}/Patient/1`, ['Patient/1']],
    ['patient=http://documents.example/fhir/Patient/1', ['Patient/1']],
    ['patient=https://elsewhere.example/Patient/1', ['//elsewhere.example/Patient/1']],
    ['subject=1', ['Patient/1', 'Group/1', 'Device/1', 'Practitioner/1']],
    ['subject:Device=1', ['Device/1']],
    ['subject=Device/1', ['Device/1']],
    ['subject=urn:uuid:6f1c', ['urn:uuid:6f1c']],
  ])('%s looks for %j', (query, keys) => {
    expect(valuesOf(query)).toEqual([[expect.objectContaining({ kind: 'reference', keys })]]);
  });
});

describe('dates (3.1.1.5.4)', () => {
  it.each(['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap'])('takes the prefix %s', (prefix) => {
    expect(valuesOf(`date=${prefix}2024-05-06`)).toEqual([[{ kind: 'date', prefix, range: { lo: Date.UTC(2024, 4, 6), hi: Date.UTC(2024, 4, 7) } }]]);
  });

  it('means eq without a prefix', () => {
    expect(valuesOf('date=2024')).toEqual(valuesOf('date=eq2024'));
  });

  it('takes a zone whose + arrived as a space', () => {
    expect(valuesOf('date=ge2024-05-06T07:08:09+02:00')).toEqual(valuesOf('date=ge2024-05-06T07:08:09%2B02:00'));
  });

  it.each(['date=soon', 'date=xx2024', 'date=2024-13', 'date=ge', 'date=GE2024', 'date=2024-02-30', 'date=2024,never', '_lastUpdated=yesterday'])('%s is 400 invalid-parameter', (query) => {
    expect(refusal(() => parse(query))).toMatchObject({ status: 400, detail: 'invalid-parameter' });
  });
});

describe('modifiers and names', () => {
  it.each(['identifier:foo=a', 'date:exact=2020', 'date:not=2020', 'subject:Specimen=1', 'subject:Patient:x=1', 'subject:=1', 'subject:Patient.name=x', 'subject:contains=x', '_id:exact=1', '_id:text=1', 'status:text=x', 'type:of-type=a|b|c', 'type:below=x', 'status:above=x', 'description:below=x', 'description:not=x', 'location:exact=x', 'identifier:in=x', 'relationship:missing=true', 'relationship:not=a$b', 'type:Missing=true'])('%s is refused in words', (query) => {
    const error = refusal(() => parse(query));
    expect(error).toMatchObject({ status: 400, detail: 'invalid-parameter' });
    expect(error.message).toContain('modifier');
  });

  it('leaves an unknown parameter out and names it, and refuses it when handling is strict', () => {
    const parsed = parse('colour=red&identifier=a&patient.name=x&_has:Group:member:_id=1');
    expect(parsed.ignored).toEqual(['colour', 'patient.name', '_has:Group:member:_id']);
    expect(parsed.clauses).toHaveLength(1);
    expect(parsed.used.map(([name]) => name)).toEqual(['identifier', '_sort', '_count']);
    expect(refusal(() => parse('colour=red', 'DocumentReference', true)).message).toContain('colour');
  });

  it.each(['identifier=', 'identifier=,', '_format=json', '_pretty=true', ''])('%j asks for nothing', (query) => {
    expect(parse(query).clauses).toEqual([]);
  });

  it('takes no parameter of an object\'s own, and none of another type', () => {
    expect(parse('constructor=1&__proto__=1&toString=1&_sort=toString').clauses).toEqual([]);
    expect(parse('entity=1').ignored).toEqual(['entity']);
    expect(parse('identifier=1', 'Patient').ignored).toEqual(['identifier']);
  });

  it('joins values by OR and repetitions by AND', () => {
    expect(parse('type=a,b&type=c').clauses.map((clause) => clause.values.length)).toEqual([2, 1]);
  });

  it('refuses NUL, which no column can hold', () => {
    expect(refusal(() => parse('identifier=a%00b'))).toMatchObject({ status: 400 });
  });
});

describe('the page', () => {
  it('has 20 matches, newest first, unless told', () => {
    expect(parse('')).toMatchObject({ count: COUNT_DEFAULT, sort: { column: 'last_updated', descending: true }, total: 'none', cursor: undefined });
  });

  it.each([['0', 0], ['1', 1], ['1000', COUNT_MAX], ['1001', COUNT_MAX], ['999999999', COUNT_MAX]])('_count=%s gives %d', (text, count) => {
    expect(parse(`_count=${text}`).count).toBe(count);
  });

  it.each(['_count=-1', '_count=1.5', '_count=many', '_count=1e2', '_count=9999999999', '_total=all', '_total=1'])('%s is 400', (query) => {
    expect(refusal(() => parse(query)).status).toBe(400);
  });

  it.each([
    ['date', { column: 'date', descending: false }],
    ['-date', { column: 'date', descending: true }],
    ['-date,_id', { column: 'date', descending: true }],
    ['_lastUpdated', { column: 'last_updated', descending: false }],
    ['_id', { column: 'id', descending: false }],
  ])('_sort=%s', (text, sort) => {
    expect(parse(`_sort=${text}`)).toMatchObject({ sort, ignored: [] });
  });

  it.each(['identifier', 'date,type', '--date', '-', 'created', 'recorded', 'date,'])('_sort=%s is left out and named', (text) => {
    const parsed = parse(`_sort=${text}`);
    expect(parsed.sort).toEqual({ column: 'last_updated', descending: true });
    expect(parsed.ignored).toEqual([`_sort=${text}`]);
  });

  it('names in `used` what took effect, so that the same search follows from it', () => {
    const query = fc.constantFrom('identifier=a', 'date=ge2024', 'type=s%7Cc', 'subject:Patient=1', '_sort=-date', '_count=7', '_total=accurate', 'colour=red', '_format=json', 'status=', '_sort=colour');
    fc.assert(fc.property(fc.uniqueArray(query, { maxLength: 8, selector: (one) => one.split('=')[0] }), (parts) => {
      const parsed = parse(parts.join('&'));
      const again = parseSearch('DocumentReference', parsed.used, BASE, true);
      expect(again).toEqual({ ...parsed, ignored: [] });
    }));
  });
});

it('answers clauses or 400, whatever the query', () => {
  const names = Object.values(SEARCH_PARAMETERS).flatMap((parameters) => (parameters).map((parameter) => parameter.name));
  const name = fc.oneof(fc.constantFrom(...names, '_count', '_sort', '_total', '_cursor'), fc.string());
  const pairs = fc.array(fc.tuple(fc.tuple(name, fc.option(fc.string(), { nil: undefined })).map(([key, modifier]) => (modifier === undefined ? key : `${key}:${modifier}`)), fc.string()), { maxLength: 5 });
  fc.assert(fc.property(fc.constantFrom('DocumentReference', 'Media', 'AuditEvent', 'Provenance', 'Binary'), pairs, fc.boolean(), (type, query, strict) => {
    try {
      const parsed = parseSearch(type, query, BASE, strict);
      expect(parsed.count).toBeLessThanOrEqual(COUNT_MAX);
    } catch (error) {
      expect(error).toBeInstanceOf(FhirError);
      expect((error as FhirError).status).toBe(400);
    }
  }), { numRuns: 1_000 });
});
