import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FhirError } from '../../src/fhir/fhir-error.ts';
import { includable, INCLUDES_MAX, leadsTo, parseIncludes, reverseIncludable, type IncludeText } from '../../src/search/parse-include.ts';
import type { SearchableType } from '../../src/search/search-parameters.ts';

const include = (text: string, name: IncludeText['name'] = '_include', iterate = false): IncludeText => ({ name, iterate, text });
const names = (texts: IncludeText[], searched: SearchableType[] = ['DocumentReference']): string[] =>
  parseIncludes(texts, searched).includes.map((one) => `${one.reverse ? 'rev ' : ''}${one.iterate ? 'iterate ' : ''}${one.source}:${one.parameter.name}${one.target === undefined ? '' : `:${one.target}`}`);

describe('an include', () => {
  it.each([
    [include('DocumentReference:relatesto'), ['DocumentReference:relatesto']],
    [include('DocumentReference:related:Media'), ['DocumentReference:related:Media']],
    [include('DocumentReference:subject:Patient', '_include', true), ['iterate DocumentReference:subject:Patient']],
    [include('Provenance:target', '_revinclude'), ['rev Provenance:target']],
    [include('List:item:Media', '_revinclude'), ['rev List:item:Media']],
  ])('%j is understood', (text, expected) => {
    expect(names([text])).toEqual(expected);
  });

  it.each([
    'DocumentReference', 'DocumentReference:', 'DocumentReference:nope', 'DocumentReference:type', 'DocumentReference:relatesto:Media', 'DocumentReference:related:Nonsense',
    'DocumentReference:relatesto:DocumentReference:x', 'Patient:organization', ':', '', '**', 'documentreference:relatesto', 'DocumentReference:__proto__', '__proto__:x', 'constructor:name',
  ])('%p is left out and named', (text) => {
    const { includes, ignored, used } = parseIncludes([include(text)], ['DocumentReference']);
    expect([includes, used, ignored]).toEqual([[], [], [`_include=${text}`]]);
  });

  it('backwards by other parameters of the record than its index has is not declared', () => {
    for (const text of ['Provenance:agent', 'AuditEvent:agent']) expect(parseIncludes([include(text, '_revinclude')], ['DocumentReference']).ignored).toHaveLength(1);
  });

  it('repeated adds, the same twice is once, and an asterisk is every reference of the types searched', () => {
    expect(names([include('DocumentReference:relatesto'), include('DocumentReference:related'), include('DocumentReference:relatesto')])).toEqual(['DocumentReference:relatesto', 'DocumentReference:related']);
    expect(names([include('*')])).toEqual(includable('DocumentReference').map(({ name }) => `DocumentReference:${name}`));
    expect(names([include('*')], ['Media']).every((one) => one.startsWith('Media:'))).toBe(true);
    expect(names([include('*', '_revinclude')], ['Media'])).toEqual(reverseIncludable('Media').map(({ source, parameter }) => `rev ${source}:${parameter.name}:Media`));
  });

  it('can be asked for a bounded number of times', () => {
    expect(() => parseIncludes(Array.from({ length: INCLUDES_MAX + 1 }, () => include('*')), ['Media'])).toThrow(FhirError);
    expect(parseIncludes(Array.from({ length: INCLUDES_MAX }, () => include('*', '_include', true)), ['Media']).includes.length).toBeLessThan(100);
  });

  it('of any text is understood or left out, never an exception', () => {
    fc.assert(fc.property(fc.string(), fc.constantFrom<IncludeText['name']>('_include', '_revinclude'), fc.boolean(), (text, name, iterate) => {
      const { includes, ignored } = parseIncludes([{ name, iterate, text }], ['DocumentReference']);
      expect(includes.length > 0).toBe(ignored.length === 0);
    }));
  });
});

describe('what is declared', () => {
  it('brings documents, media and lists from each other, and the record by what it touched', () => {
    const reverse = (type: SearchableType): string[] => reverseIncludable(type).map(({ source, parameter }) => `${source}:${parameter.name}`);
    expect(reverse('DocumentReference')).toEqual(expect.arrayContaining(['DocumentReference:relatesto', 'DocumentReference:related', 'List:item', 'Provenance:target', 'AuditEvent:entity']));
    expect(reverse('Media')).not.toContain('DocumentReference:relatesto');
    const [relatesto] = includable('DocumentReference').filter(({ name }) => name === 'relatesto');
    const [subject] = includable('DocumentReference').filter(({ name }) => name === 'subject');
    expect([relatesto, subject].map((parameter) => parameter !== undefined && leadsTo(parameter, ['DocumentReference']))).toEqual([true, false]);
  });
});
