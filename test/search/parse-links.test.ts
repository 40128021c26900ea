import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FhirError } from '../../src/fhir/fhir-error.ts';
import { LINKS_MAX, outsideQuestions, parseLinks, type Link, type Reachable } from '../../src/search/parse-links.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';

const all = (types: string[]): Reachable => ({ types, permits: () => true });
const HELD = all(Object.keys(SEARCH_PARAMETERS));
const PASSED = all([...HELD.types, 'Patient', 'Practitioner', 'Organization', 'Encounter']);
const shown = (link: Link): string => (link.kind === 'has'
  ? `${link.question.type}.${link.parameter.name} <- ${link.question.name}=${link.question.value}`
  : `${link.parameter.name} -> ${link.questions.map(({ type, name }) => `${type}.${name}`).join(', ')}${link.logical ? ' or itself' : ''}${link.contained === undefined ? '' : ' or contained'}`);
const links = (key: string, reachable = HELD, type = 'DocumentReference', value = 'x'): string[] => parseLinks(type, [[key, value]], reachable).links.map(shown);

describe('a parameter that reaches another resource', () => {
  it.each([
    ['relatesto.type', HELD, ['relatesto -> DocumentReference.type']],
    ['relatesto:DocumentReference.type:not', HELD, ['relatesto -> DocumentReference.type:not']],
    ['related.identifier', HELD, ['related -> DocumentReference.identifier, Media.identifier, List.identifier or itself']],
    ['related:Media.operator.name', PASSED, ['related -> Media.operator.name']],
    ['patient.identifier', HELD, ['patient ->  or itself']],
    ['patient.identifier', PASSED, ['patient -> Patient.identifier or itself']],
    ['subject:Patient.name', PASSED, ['subject -> Patient.name']],
    ['subject.name', PASSED, ['subject -> Patient.name, Practitioner.name']],
    ['author.family', HELD, ['author ->  or contained']],
    ['author.family', PASSED, ['author -> Patient.family, Practitioner.family or contained']],
    ['_has:List:item:code', HELD, ['List.item <- code=x']],
    ['_has:DocumentReference:relatesto:_has:List:item:code', HELD, ['DocumentReference.relatesto <- _has:List:item:code=x']],
    ['_list', HELD, ['List.item <- _id=x']],
  ])('%s', (key, reachable, expected) => {
    expect(links(key, reachable)).toEqual(expected);
  });

  it('does not ask the record for what a reference to anything may mean, unless it is named', () => {
    expect(links('target._id', HELD, 'Provenance')).toEqual(['target -> DocumentReference._id, Media._id, List._id']);
    expect(links('target:AuditEvent._id', HELD, 'Provenance')).toEqual(['target -> AuditEvent._id']);
  });

  it.each(['subject:Patient.name', 'patient.name', 'status.x', 'relatesto.nope', 'relatesto:Media.type', 'encounter.status', '_has', '_has:List', '_has:List:item', '_has:List:item:', '_has:List:nope:code', '_has:Patient:link:name', '_has:Media:subject:status'])('%s is 400 where nothing is passed on', (key) => {
    expect(() => parseLinks('DocumentReference', [[key, 'x']], HELD)).toThrow(FhirError);
  });

  it('asks what the caller may search of the types that may be meant, and is 403 where that is nothing', () => {
    const some = (...denied: string[]): Reachable => ({ ...PASSED, permits: (type) => !denied.includes(type) });
    expect(links('subject.name', some('Patient'))).toEqual(['subject -> Practitioner.name']);
    expect(links('patient.identifier', some('Patient'))).toEqual(['patient ->  or itself']);
    expect(links('author.family', some('Patient', 'Practitioner'))).toEqual(['author ->  or contained']);
    for (const key of ['patient.name', 'subject:Patient.name']) expect(() => links(key, some('Patient'))).toThrow('does not allow a search');
  });

  it('leaves everything else as it was, and an empty value counts for nothing', () => {
    const plain: [string, string][] = [['status', 'current'], ['foo.bar', 'x'], ['type:not', 'y'], ['_id', 'a.b'], ['date', 'ge2020']];
    expect(parseLinks('DocumentReference', plain, HELD)).toEqual({ links: [], rest: plain });
    expect(parseLinks('DocumentReference', [['relatesto.nope', ''], ['_has:x', '']], HELD)).toEqual({ links: [], rest: [] });
  });

  it('asks other servers the innermost question, and is refused when it goes too deep', () => {
    const asked = (key: string): string[] => outsideQuestions('DocumentReference', [[key, 'x']], PASSED).map(({ type, name }) => `${type}.${name}`);
    expect(asked('relatesto.patient.name')).toEqual(['Patient.name']);
    expect(asked('_has:DocumentReference:relatesto:subject:Patient.name')).toEqual(['Patient.name']);
    expect(asked('relatesto.type')).toEqual([]);
    expect(() => asked('relatesto.relatesto.relatesto.type')).not.toThrow();
    expect(() => asked('relatesto.relatesto.relatesto.relatesto.type')).toThrow(FhirError);
  });

  it('of any text is understood, left or refused with 400', () => {
    fc.assert(fc.property(fc.string(), fc.constantFrom('', 'relatesto.', '_has:', '_has:List:item:', 'related:', 'patient.', 'author.'), fc.string({ minLength: 1 }), (tail, head, value) => {
      try {
        parseLinks('DocumentReference', [[`${head}${tail}`, value]], PASSED);
      } catch (error) {
        expect(error).toMatchObject({ status: 400 });
      }
    }));
  });

  it('may occur a bounded number of times', () => {
    expect(() => parseLinks('DocumentReference', Array.from({ length: LINKS_MAX + 1 }, (): [string, string] => ['relatesto.type', 'x']), HELD)).toThrow(FhirError);
  });
});
