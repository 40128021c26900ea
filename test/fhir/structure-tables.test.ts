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
        expect(rule.valueSet === undefined || rule.codes !== undefined || ['mimetypes', 'currencies', 'all-languages', 'ucum-units', 'LL379-9'].includes(rule.valueSet)).toBe(true);
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

  it('refuse a name that is no type', () => {
    expect(() => structureOf('Bot')).toThrow('Bot');
    expect(() => structureOf('constructor')).toThrow('constructor');
  });

  it('tell modifiers, summaries and XML attributes', () => {
    const flagged = (type: string, flag: 'modifier' | 'summary' | 'attribute'): string =>
      [...structureOf(type).elements.values()].filter((rule) => rule[flag]).map((rule) => rule.name).join(' ');
    expect(flagged('DocumentReference', 'modifier')).toBe('implicitRules modifierExtension status');
    expect(flagged('Binary', 'summary')).toBe('id meta implicitRules contentType securityContext');
    expect(flagged('Extension', 'attribute')).toBe('id url');
    expect(flagged('Media', 'attribute')).toBe('');
  });

  it('agree with the tables of another library on names, order, repetition and minimum of every element', () => {
    const differences = Object.keys(OTHER_TABLES).filter((name) => Object.hasOwn(STRUCTURES, name)).flatMap((name) => differencesOf(name, OTHER_TABLES[name]?._properties ?? []));
    expect(differences).toEqual([
      'ClaimResponse.adjudication 0..*', 'ExplanationOfBenefit.adjudication 0..*', 'Invoice.totalPriceComponent 0..*', 'SubstanceSpecification.molecularWeight 0..*',
    ]);
  });
});

interface OtherElement { _name: string; _multiple: boolean; _required?: boolean; _properties?: OtherElement[] }

const OTHER_TABLES = JSON.parse(readFileSync(new URL(import.meta.resolve('fhir/profiles/types.json')), 'utf8')) as Record<string, { _properties?: OtherElement[] }>;

/** What one of both tables has alone, or otherwise. The other library leaves out some elements that repeat the structure of another. */
function differencesOf(name: string, others: OtherElement[]): string[] {
  const { elements, required } = structureOf(name);
  const needed = new Set(required.flatMap((one) => one.properties));
  const mine = [...elements.values()].map((rule) => `${rule.name} ${needed.has(rule.name) ? 1 : 0}..${rule.many ? '*' : '1'}`);
  const theirs = others.filter((one) => !one._name.startsWith('_')).map((one) => `${one._name} ${one._required === true ? 1 : 0}..${one._multiple ? '*' : '1'}`);
  const both = mine.filter((one) => theirs.includes(one));
  const alone = [...mine.filter((one) => !theirs.includes(one)), ...theirs.filter((one) => !mine.includes(one))];
  const inOrder = both.join() === theirs.filter((one) => mine.includes(one)).join() ? [] : ['order'];
  const below = others.flatMap((one) => (one._properties === undefined || one._properties.length === 0 ? [] : differencesOf(`${name}.${one._name}`, one._properties)));
  return [...[...alone, ...inOrder].map((one) => `${name}.${one}`), ...below];
}
