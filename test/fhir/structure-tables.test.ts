// The generated tables: fresh, and R4 without additions.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { structureTablesText } from '../../scripts/generate/structure-tables.ts';
import { isResourceType, structureOf } from '../../src/fhir/structure.ts';
import { RESOURCE_TYPE_NAMES, STRUCTURES } from '../../src/fhir/structure-tables.ts';

describe('the structure tables', () => {
  it('are what `npm run generate` makes', () => {
    const file = readFileSync(new URL('../../src/fhir/structure-tables.ts', import.meta.url), 'utf8');
    expect(file).toBe(structureTablesText());
  });

  it('compile, each line and every type that a line names', () => {
    const pending = Object.keys(STRUCTURES);
    const seen = new Set<string>();
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      for (const rule of structureOf(name).elements.values()) {
        if (rule.primitive === undefined) pending.push(rule.type);
        expect(rule.valueSet === undefined || rule.codes !== undefined || ['mimetypes', 'currencies'].includes(rule.valueSet)).toBe(true);
        rule.targets?.forEach((target) => expect(isResourceType(target)).toBe(true));
      }
    }
    expect(seen.size).toBe(Object.keys(STRUCTURES).length);
  });

  it('know the resource types of R4 and no others', () => {
    expect(RESOURCE_TYPE_NAMES.split(' ')).toHaveLength(146);
    expect(['Patient', 'CatalogEntry', 'VisionPrescription'].every(isResourceType)).toBe(true);
    expect(['Resource', 'DomainResource', 'Bot', 'SubscriptionStatus', 'Project', 'Element', 'toString'].some(isResourceType)).toBe(false);
  });

  it.each([
    ['Binary', 'id meta implicitRules language contentType securityContext data'],
    ['Meta', 'id extension versionId lastUpdated source profile security tag'],
    ['Attachment', 'id extension contentType language data url size hash title creation'],
    ['Media', 'id meta implicitRules language text contained extension modifierExtension identifier basedOn partOf status type modality view subject encounter createdDateTime createdPeriod issued operator reasonCode bodySite deviceName device height width frames duration content note'],
  ])('give %s the elements of R4 and no more', (name, elements) => {
    expect([...structureOf(name).elements.keys()].join(' ')).toBe(elements);
  });

  it('give Extension the 50 kinds of value of R4', () => {
    expect([...structureOf('Extension').elements.values()].filter((rule) => rule.choice === 'value[x]')).toHaveLength(50);
  });

  it('answer an R4 resource without a table as open, and refuse any other name', () => {
    expect(structureOf('Observation').open).toBe(true);
    expect(() => structureOf('Bot')).toThrow('Bot');
    expect(() => structureOf('constructor')).toThrow('constructor');
  });
});
