// The generated table of what is passed on: fresh, and R4.
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { passedParametersText } from '../../scripts/generate/passed-parameters.ts';
import { PASSED_TYPES, passedParameters } from '../../src/search/passed-parameters.ts';

describe('the parameters of the types that are passed on', () => {
  it('are those that the definitions give', () => {
    expect(readFileSync(new URL('../../src/search/passed-parameters.ts', import.meta.url), 'utf8')).toBe(passedParametersText());
  });

  it('hold all of R4 for a Patient, and nothing that needs a full-text index', () => {
    const names = passedParameters('Patient').map(({ name }) => name);
    expect(names).toEqual([
      '_id', '_lastUpdated', '_profile', '_security', '_source', '_tag', 'active', 'address', 'address-city', 'address-country',
      'address-postalcode', 'address-state', 'address-use', 'birthdate', 'death-date', 'deceased', 'email', 'family', 'gender',
      'general-practitioner', 'given', 'identifier', 'language', 'link', 'name', 'organization', 'phone', 'phonetic', 'telecom',
    ]);
  });

  it('name each parameter once, and the targets of each reference', () => {
    for (const type of PASSED_TYPES) {
      const parameters = passedParameters(type);
      expect(new Set(parameters.map(({ name }) => name)).size).toBe(parameters.length);
      expect(parameters.filter((one) => one.type === 'reference' && one.targets === undefined)).toEqual([]);
    }
  });
});
