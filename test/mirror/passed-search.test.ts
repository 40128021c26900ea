// From a client's search to HAPI's: what goes through, and what is refused before HAPI is asked.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FhirError } from '../../src/fhir/fhir-error.ts';
import { hapiQuery, readPassedSearch, typesThrough, type PassedSearch } from '../../src/mirror/passed-search.ts';
import { PASSED_TYPES, passedParameters, type PassedType } from '../../src/search/passed-parameters.ts';

const BASE = 'https://muniment.test/fhir';

function read(type: PassedType, query: string, options: { strict?: boolean; readable?: readonly PassedType[] } = {}): PassedSearch {
  return readPassedSearch(type, new URLSearchParams(query), {
    publicBase: BASE, hapiBase: 'http://hapi:8080/fhir', strict: options.strict ?? false, mayRead: (one) => (options.readable ?? PASSED_TYPES).includes(one),
  });
}

const sent = (type: PassedType, query: string): string => hapiQuery(read(type, query)).map(([name, value]) => `${name}=${value}`).join('&');

describe('a search that is passed on', () => {
  it.each<[PassedType, string, string]>([
    ['Patient', 'family=Meier&given:exact=Anna', 'family=Meier&given:exact=Anna'],
    ['Patient', 'identifier=urn:a|1,urn:b|2\\,3', 'identifier=urn:a|1,urn:b|2\\,3'],
    ['Patient', `identifier=${BASE}/NamingSystem/x|1`, 'identifier=http://hapi:8080/fhir/NamingSystem/x|1'],
    ['Patient', 'birthdate=ge1980-01-01&_lastUpdated=lt2024-01-01T00:00:00+01:00', 'birthdate=ge1980-01-01&_lastUpdated=lt2024-01-01T00:00:00+01:00'],
    ['Patient', 'birthdate=ge1960&birthdate=lt1960-02&birthdate=le1960-02&birthdate=gt1961-02&birthdate=sa1960&birthdate=eb1960', 'birthdate=ge1960-01-01&birthdate=lt1960-02-01&birthdate=le1960-02-29&birthdate=gt1961-02-28&birthdate=sa1960-12-31&birthdate=eb1960-01-01'],
    ['Patient', 'birthdate=1960&birthdate=ne1960-02', 'birthdate=1960&birthdate=ne1960-02'],
    ['Patient', `general-practitioner=${BASE}/Practitioner/1`, 'general-practitioner=Practitioner/1'],
    ['Patient', 'general-practitioner:Practitioner=1', 'general-practitioner:Practitioner=1'],
    ['Patient', 'general-practitioner:missing=true', 'general-practitioner:missing=true'],
    ['Patient', 'organization.name=Ward', 'organization:Organization.name=Ward'],
    ['Patient', 'organization.partof.identifier=urn:x|1', 'organization:Organization.partof:Organization.identifier=urn:x|1'],
    ['Encounter', 'subject.family=Meier', 'subject:Patient.family=Meier'],
    ['Patient', '_has:Encounter:patient:status=finished', '_has:Encounter:patient:status=finished'],
    ['Encounter', 'length=gt5||min', 'length=gt5||min'],
    ['Location', 'near=48.2|16.3|5|km', 'near=48.2|16.3|5|km'],
    ['Device', 'url:below=http://x', 'url:below=http://x'],
    ['Patient', '_sort=-birthdate,family', '_sort=-birthdate,family'],
    ['Patient', '_include=Patient:organization', '_include=Patient:organization:Organization'],
    ['Patient', '_include=*', '_include=Patient:general-practitioner:Organization&_include=Patient:general-practitioner:Practitioner&_include=Patient:general-practitioner:PractitionerRole&_include=Patient:link:Patient&_include=Patient:link:RelatedPerson&_include=Patient:organization:Organization'],
    ['Encounter', '_include=Encounter:subject&_include:iterate=Patient:organization', '_include=Encounter:subject:Patient&_include:iterate=Patient:organization:Organization'],
    ['Patient', 'family=&_format=json&_pretty=true&_count=5&_total=accurate&_elements=name', ''],
  ])('of %s: %s', (type, query, expected) => {
    expect(sent(type, query)).toBe(expected);
  });

  it.each<[PassedType, string, RegExp]>([
    ['Patient', 'family:contains=x', /modifier :contains .* family/], ['Patient', 'identifier:of-type=a|b|c', /modifier :of-type/], ['Patient', 'gender:in=x', /modifier :in/],
    ['Patient', 'birthdate=1980-13', /birthdate must be a date/], ['Patient', 'birthdate=ap1980', /birthdate must be a date/], ['Patient', 'family:missing=perhaps', /true or false/],
    ['Patient', 'organization=a b', /organization must be an id/], ['Patient', 'general-practitioner.name=x', /may mean Organization or Practitioner/],
    ['Patient', 'organization.nonsense=x', /does not lead to a type/], ['Encounter', 'diagnosis.code=x', /does not lead to a type/], ['Patient', 'family.given=x', /does not lead to a type/],
    ['Organization', 'partof.partof.partof.partof.name=x', /3 links/], ['Patient', '_has:DocumentReference:patient:status=current', /types that are passed on/],
    ['Patient', '_has:Encounter:location:status=x', /no parameter location that refers to Patient/], ['Patient', '_has:Encounter:patient:nonsense=x', /no parameter nonsense/],
    ['Encounter', 'length=five', /length must be a number/], ['Location', 'near=here', /near must be/], ['Patient', '_count=-1', /_count/], ['Patient', '_total=some', /_total/],
    ['Patient', '_summary=some', /_summary/], ['Patient', '_summary=true&_elements=name', /cannot be combined/], ['Patient', '_include:never=Patient:link', /:iterate alone/],
    ['Patient', `_id=${Array.from({ length: 501 }, (_, n) => n).join(',')}`, /500 values/], ['Patient', 'family=%00', /NUL/],
  ])('of %s is refused with 400: %s', (type, query, text) => {
    expect(() => read(type, query)).toThrow(text);
    expect(() => read(type, query)).toThrow(expect.objectContaining({ status: 400 }));
  });

  it('leaves out what the type does not declare, and refuses it where handling is strict', () => {
    const query = 'family=Meier&_text=x&subject=1&_revinclude=Encounter:patient&_sort=nonsense&_include=Encounter:subject&_content=y';
    const search = read('Patient', query);
    expect(search.ignored).toEqual(['_text', 'subject', '_revinclude', '_sort=nonsense', '_include=Encounter:subject', '_content']);
    expect(search.used).toEqual([['family', 'Meier'], ['_count', '20']]);
    expect(() => read('Patient', query, { strict: true })).toThrow(expect.objectContaining({ status: 400 }));
  });

  it('shows 20 matches on a page by default and 1,000 at most', () => {
    expect(['', '_count=0', '_count=7', '_count=5000', '_summary=count'].map((query) => read('Patient', query).count)).toEqual([20, 0, 7, 1_000, 0]);
  });

  it('asks for no included type that the caller may not read', () => {
    expect(read('Patient', '_include=Patient:general-practitioner', { readable: ['Patient', 'Practitioner'] }).includes).toEqual([['_include', 'Patient:general-practitioner:Practitioner']]);
  });

  it('tells through which types it looks', () => {
    expect(typesThrough(read('Patient', 'organization.partof.name=x&_has:Encounter:patient:location.name=y&family=z'))).toEqual(['Organization', 'Encounter', 'Location']);
  });

  it('tells whether a resource without content may match', () => {
    const certain = (query: string): boolean => read('Patient', query).criteria.some((criterion) => criterion.certain);
    expect(['family=x', 'organization.name:missing=true', '_id=1&gender=male'].map(certain)).toEqual([true, true, true]);
    expect(['', '_id=1', 'family:missing=true', 'gender:not=male', 'deceased=false', '_has:Encounter:patient:status=finished', '_lastUpdated=gt2020'].map(certain)).toEqual([false, false, false, false, false, false, false]);
  });

  it('never fails otherwise than with 400, whatever stands in it', () => {
    const names = fc.oneof(fc.string(), fc.constantFrom('valueOf', '__proto__', ...passedParameters('Encounter').map(({ name }) => name), '_has:', '_include', '_sort', '_elements', 'subject:Patient.'));
    fc.assert(fc.property(names, fc.string(), fc.string(), (name, more, value) => {
      try {
        readPassedSearch('Encounter', [[name + more, value], [name, more]], { publicBase: BASE, hapiBase: 'http://hapi/fhir', strict: false, mayRead: () => true });
      } catch (error) {
        expect(error).toBeInstanceOf(FhirError);
        expect((error as FhirError).status).toBe(400);
      }
    }), { numRuns: 2_000 });
  });
});
