// Profiles: what they demand beyond R4, one demand each, and the ones that are shipped.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { errorCodeSystemText } from '../../scripts/generate/error-code-system.ts';
import type { JsonObject, JsonValue } from '../../src/fhir/json.ts';
import { checkResource } from '../../src/validation/check-resource.ts';
import { registryOf, shippedProfiles } from '../../src/validation/profile-registry.ts';
import { inspectResource, validateResource } from '../../src/validation/validate-resource.ts';
import { documentReference } from './valid-resources.ts';

const URL = 'https://profiles.example/StructureDefinition/letter';

function profile(elements: JsonObject[], changes: JsonObject = {}): JsonObject {
  const withPaths = elements.map((element): JsonObject => {
    const id = String(element['id']);
    const slice = /:([^.]+)$/.exec(id)?.[1];
    return { path: id.replaceAll(/:[^.]+/g, ''), ...(slice === undefined ? {} : { sliceName: slice }), ...element };
  });
  return {
    resourceType: 'StructureDefinition', id: 'letter', url: URL, name: 'Letter', status: 'active', kind: 'resource', abstract: false, type: 'DocumentReference',
    baseDefinition: 'http://hl7.org/fhir/StructureDefinition/DocumentReference', derivation: 'constraint',
    differential: { element: [...(withPaths[0]?.['id'] === 'DocumentReference' ? [] : [{ id: 'DocumentReference', path: 'DocumentReference' }]), ...withPaths] as JsonValue[] }, ...changes,
  };
}

/** What a document is told that declares this profile: "detail expression" of each error, warnings with a leading ~. */
async function told(elements: JsonObject[], changes: Record<string, JsonValue | undefined> = {}, more: JsonObject[] = []): Promise<string[]> {
  const definition = profile(elements);
  expect(validateResource(definition, 'StructureDefinition')).toEqual([]);
  const issues = await checkResource(documentReference({ meta: { profile: [URL] }, ...changes }), 'DocumentReference', [], registryOf([definition, ...more]));
  return issues.filter(({ diagnostics }) => !diagnostics.includes('dom-6')).map(({ detail, expression, severity }) => `${severity === 'warning' ? '~' : ''}${detail} ${expression?.replace('DocumentReference.', '')}`);
}

const slicing = (type: string, path: string, rules = 'open'): JsonObject => ({ slicing: { discriminator: [{ type, path }], rules } });
const loinc = (code: string): JsonObject => ({ coding: [{ system: 'http://loinc.org', code }] });
const DR = 'DocumentReference';

describe('a profile', () => {
  it.each<[string, JsonObject[], Record<string, JsonValue | undefined>, string[]]>([
    ['an element that is required', [{ id: `${DR}.subject`, min: 1 }], { subject: undefined }, ['required subject']],
    ['an element that may not occur', [{ id: `${DR}.docStatus`, max: '0' }], {}, ['cardinality docStatus']],
    ['fewer repetitions', [{ id: `${DR}.author`, max: '1' }], {}, ['cardinality author[1]']],
    ['more repetitions', [{ id: `${DR}.category`, min: 2 }], {}, ['required category']],
    ['an element inside others', [{ id: `${DR}.content.attachment.title`, min: 1 }], { content: [{ attachment: { url: 'x:y' } }] }, ['required content[0].attachment.title']],
    ['nothing inside an element that is not there', [{ id: `${DR}.context.period`, min: 1 }], { context: undefined }, []],
    ['a fixed value', [{ id: `${DR}.status`, fixedCode: 'superseded' }], {}, ['profile status']],
    ['a fixed value, exactly', [{ id: `${DR}.type`, fixedCodeableConcept: { text: 'x' } }], { type: { text: 'x', id: 'y' } }, ['profile type']],
    ['a pattern that is kept', [{ id: `${DR}.type`, patternCodeableConcept: loinc('18842-5') }], {}, []],
    ['a pattern that is not', [{ id: `${DR}.type`, patternCodeableConcept: loinc('11506-3') }], {}, ['profile type']],
    ['a target type', [{ id: `${DR}.subject`, type: [{ code: 'Reference', targetProfile: ['http://hl7.org/fhir/StructureDefinition/Group'] }] }], {}, ['reference-target subject']],
    ['a length', [{ id: `${DR}.description`, maxLength: 3 }], {}, ['profile description']],
    ['an extension that may not occur', [{ id: `${DR}.extension`, max: '0' }], { extension: [{ url: 'http://x.example/e', valueCode: 'a' }] }, ['cardinality extension[0]']],
    ['an extension of a primitive', [{ id: `${DR}.description.extension`, min: 1 }], {}, ['required description.extension']],
  ])('demands %s', async (_title, elements, changes, faults) => {
    expect(await told(elements, changes)).toEqual(faults);
  });

  it('demands types of a choice, also by the name of one variant', async () => {
    const extension = [{ url: 'http://x.example/e', valueCode: 'a' }];
    const element = { id: `${DR}.extension.value[x]`, type: [{ code: 'Coding' }] };
    expect(await told([element], { extension })).toEqual(['profile extension[0].value']);
    expect(await told([{ id: `${DR}.extension.valueCode`, min: 1, fixedCode: 'b' }], { extension })).toEqual(['profile extension[0].value']);
  });

  it('demands codes of its value sets, of codes, codings and concepts', async () => {
    const valueSet = { resourceType: 'ValueSet', url: 'urn:vs', status: 'active', compose: { include: [{ system: 'http://loinc.org', concept: [{ code: '18842-5' }] }, { system: 'urn:cs' }] } };
    const codeSystem = { resourceType: 'CodeSystem', url: 'urn:cs', status: 'active', content: 'complete', concept: [{ code: 'a', concept: [{ code: 'current' }] }] };
    const binding = { strength: 'required', valueSet: 'urn:vs' };
    const at = (element: string, changes = {}): Promise<string[]> => told([{ id: `${DR}.${element}`, binding }], changes, [valueSet, codeSystem] as JsonObject[]);
    expect(await at('type')).toEqual([]);
    expect(await at('type', { type: { coding: [{ system: 'urn:other', code: '18842-5' }] } })).toEqual(['code-invalid type']);
    expect(await at('type', { type: { coding: [{ system: 'urn:other', code: 'z' }, { system: 'urn:cs', code: 'a' }] } })).toEqual([]);
    expect(await at('status')).toEqual([]);
    expect(await at('docStatus')).toEqual(['code-invalid docStatus']);
    expect(await at('content.format')).toEqual(['code-invalid content[0].format']);
    expect(await told([{ id: `${DR}.type`, binding: { strength: 'required', valueSet: 'urn:unknown' } }])).toEqual([]);
  });

  it('tells slices apart by value, and by codes of a binding', async () => {
    const elements = [
      { id: `${DR}.category`, ...slicing('pattern', '$this'), min: 1 },
      { id: `${DR}.category:class`, min: 1, max: '1', patternCodeableConcept: loinc('a') },
    ];
    expect(await told(elements)).toEqual(['required category']);
    expect(await told(elements, { category: [loinc('b'), loinc('a')] })).toEqual([]);
    expect(await told(elements, { category: [loinc('a'), loinc('a')] })).toEqual(['cardinality category[1]']);
    const byCode = [
      { id: `${DR}.identifier`, ...slicing('value', 'system', 'closed') },
      { id: `${DR}.identifier:own`, max: '1' }, { id: `${DR}.identifier:own.system`, min: 1, fixedUri: 'http://example.org/letters' }, { id: `${DR}.identifier:own.value`, min: 1, maxLength: 5 },
    ];
    expect(await told(byCode)).toEqual(['profile identifier[0].value']);
    expect(await told(byCode, { identifier: [{ system: 'urn:x', value: '1' }] })).toEqual(['profile identifier[0]']);
  });

  it('tells slices apart by existence, by type and by profile', async () => {
    const exists = [
      { id: `${DR}.author`, ...slicing('exists', 'reference') }, { id: `${DR}.author:named`, max: '0' }, { id: `${DR}.author:named.reference`, min: 1 },
    ];
    expect(await told(exists)).toEqual(['cardinality author[0]']);
    const types = [
      { id: `${DR}.author`, ...slicing('type', 'resolve()', 'closed') },
      { id: `${DR}.author:person`, type: [{ code: 'Reference', targetProfile: ['http://hl7.org/fhir/StructureDefinition/Practitioner'] }] },
    ];
    expect(await told(types, { author: [{ reference: 'Practitioner/1' }, { reference: 'Device/1' }] })).toEqual(['profile author[1]']);
    const named = { ...profile([{ id: 'Practitioner.name', min: 1 }], { id: 'named', url: 'urn:named', type: 'Practitioner' }), differential: { element: [{ id: 'Practitioner', path: 'Practitioner' }, { id: 'Practitioner.name', path: 'Practitioner.name', min: 1 }] } };
    const profiles = [
      { id: `${DR}.author`, ...slicing('profile', 'resolve()') }, { id: `${DR}.author:named`, min: 1, type: [{ code: 'Reference', targetProfile: ['urn:named'] }] },
    ];
    const author = (changes: JsonObject): Record<string, JsonValue> => ({ author: [{ reference: '#d' }], contained: [{ resourceType: 'Practitioner', id: 'd', ...changes }] });
    expect(await told(profiles, author({ name: [{ text: 'Rossi' }] }), [named])).toEqual([]);
    expect(await told(profiles, author({}), [named])).toEqual(['required author']);
  });

  it('knows slices of extensions by their url, written or as their profile, and looks into them', async () => {
    const color = { ...profile([], { id: 'color', url: 'http://x.example/color', type: 'Extension' }), context: [{ type: 'element', expression: 'Element' }], differential: { element: [
      { id: 'Extension', path: 'Extension' }, { id: 'Extension.url', path: 'Extension.url', fixedUri: 'http://x.example/color' }, { id: 'Extension.value[x]', path: 'Extension.value[x]', min: 1, type: [{ code: 'code' }] }] } };
    const elements = [{ id: `${DR}.extension:color`, min: 1, max: '1', type: [{ code: 'Extension', profile: ['http://x.example/color'] }] }];
    expect(await told(elements, {}, [color])).toEqual(['required extension']);
    expect(await told(elements, { extension: [{ url: 'http://x.example/color', valueCode: 'red' }] }, [color])).toEqual([]);
    expect(await told(elements, { extension: [{ url: 'http://x.example/color', valueString: 'red' }] }, [color])).toEqual(['profile extension[0]']);
    expect(await told(elements, { extension: [{ url: 'http://x.example/other', valueString: 'red' }] }, [color])).toEqual(['required extension']);
  });

  it('may want slices in order, and at the end what is in none', async () => {
    const elements = (rules: string, ordered: boolean): JsonObject[] => [
      { id: `${DR}.category`, slicing: { discriminator: [{ type: 'value', path: 'text' }], rules, ordered } },
      { id: `${DR}.category:a` }, { id: `${DR}.category:a.text`, fixedString: 'a' }, { id: `${DR}.category:b` }, { id: `${DR}.category:b.text`, fixedString: 'b' },
    ];
    const category = (...texts: string[]): Record<string, JsonValue> => ({ category: texts.map((text) => ({ text })) });
    expect(await told(elements('openAtEnd', false), category('b', 'x', 'a'))).toEqual(['profile category[1]']);
    expect(await told(elements('open', true), category('b', 'x', 'a'))).toEqual(['profile category']);
    expect(await told(elements('openAtEnd', true), category('a', 'b', 'b', 'x'))).toEqual([]);
  });

  it('has constraints in FHIRPath, of the resource and of elements, as errors and as warnings', async () => {
    const constraint = (expression: string, severity = 'error'): JsonObject => ({ constraint: [{ key: 'let-1', severity, human: 'A letter has a type', expression }] });
    expect(await told([{ id: DR, ...constraint('type.exists() and author.count() = 2') }])).toEqual([]);
    expect(await told([{ id: DR, ...constraint('type.empty()') }])).toEqual(['invariant DocumentReference']);
    expect(await told([{ id: `${DR}.content.attachment`, ...constraint('size < 100') }])).toEqual(['invariant content[0].attachment']);
    expect(await told([{ id: `${DR}.date`, ...constraint("$this.toString().startsWith('2025')", 'warning') }])).toEqual(['~invariant date']);
    expect(await told([{ id: `${DR}.subject`, ...constraint('resolve() is Patient') }])).toEqual([]);
    expect(await told([{ id: `${DR}.subject`, ...constraint('%resource.status = \'current\'') }])).toEqual([]);
    expect(await told([{ id: DR, ...constraint("descendants().as(canonical).trace('x').empty()") }], { meta: { profile: [URL] } })).toEqual(['invariant DocumentReference']);
    expect(await told([{ id: DR, ...constraint('text.div.exists().not()') }])).toEqual([]);
    expect(await told([{ id: DR, ...constraint('memberOf(') }])).toEqual(['~invariant DocumentReference']);
  });

  it('demands what the profile that it is based on demands', async () => {
    const base = profile([{ id: `${DR}.subject`, min: 1 }, { id: `${DR}.category`, ...slicing('value', 'text') }], { id: 'base', url: 'urn:base' });
    const derived = profile([{ id: `${DR}.category:a`, min: 1 }, { id: `${DR}.category:a.text`, fixedString: 'a' }], { baseDefinition: 'urn:base' });
    const issues = await checkResource(documentReference({ meta: { profile: [URL] }, subject: undefined }), 'DocumentReference', [], registryOf([base, derived]));
    expect(issues.filter(({ severity }) => severity === 'error').map(({ expression }) => expression).sort()).toEqual(['DocumentReference.category', 'DocumentReference.subject']);
  });

  it('is checked from its snapshot when it has no differential, without the constraints of R4 that it repeats', async () => {
    const definition = profile([], { snapshot: { element: [{ id: DR, path: DR, min: 0, max: '*', constraint: [{ key: 'dom-3', severity: 'error', human: 'x', expression: 'false' }] }, { id: `${DR}.docStatus`, path: `${DR}.docStatus`, min: 0, max: '0' }] } });
    delete definition['differential'];
    const issues = await checkResource(documentReference({ meta: { profile: [URL] } }), 'DocumentReference', [], registryOf([definition]));
    expect(issues.filter(({ severity }) => severity === 'error')).toMatchObject([{ detail: 'cardinality', diagnostics: expect.stringContaining('says the profile Letter') }]);
  });

  it('that is not known is a warning; one of another type, and R4\'s own of another type, are errors', async () => {
    const check = (url: string, registry = registryOf([profile([])])): ReturnType<typeof checkResource> => checkResource(documentReference({ meta: { profile: [url] }, text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">x</div>' } }), 'DocumentReference', [], registry);
    expect(await check('urn:nobody-knows')).toMatchObject([{ severity: 'warning', detail: 'unknown-profile', code: 'not-found', expression: 'DocumentReference.meta.profile[0]' }]);
    expect(await check(`${URL}|7`)).toMatchObject([{ severity: 'warning', detail: 'unknown-profile' }]);
    expect(await check(URL, registryOf([profile([], { type: 'Media' })]))).toMatchObject([{ severity: 'error', detail: 'profile' }]);
    expect(await check('http://hl7.org/fhir/StructureDefinition/DocumentReference')).toEqual([]);
    expect(await check('http://hl7.org/fhir/StructureDefinition/Patient')).toMatchObject([{ severity: 'error', detail: 'profile' }]);
  });

  it('may name itself in its own elements', async () => {
    const url = 'http://x.example/loop';
    const loop = { ...profile([], { id: 'loop', url, type: 'Extension' }), context: [{ type: 'element', expression: 'Element' }], differential: { element: [{ id: 'Extension', path: 'Extension' }, { id: 'Extension.extension', path: 'Extension.extension', type: [{ code: 'Extension', profile: [url] }] }] } };
    const nest = (levels: number): JsonObject => (levels === 0 ? { url, valueCode: 'a' } : { url, extension: [nest(levels - 1)] });
    expect(await told([{ id: `${DR}.extension`, type: [{ code: 'Extension', profile: [url] }] }], { extension: [nest(12)] }, [loop])).toEqual([]);
  });
});

describe('the shipped conformance resources', () => {
  it.each(shippedProfiles.all().map((resource) => [`${String(resource['resourceType'] as string)}/${String(resource['id'] as string)}`, resource] as const))('%s is valid R4', (_name, resource) => {
    const issues = inspectResource(resource, String(resource['resourceType']));
    expect(issues.filter(({ diagnostics }) => !diagnostics.includes('dom-6'))).toEqual([]);
  });

  it('have the codes of the table of errors', () => {
    expect(readFileSync(new globalThis.URL('../../profiles/CodeSystem-error.json', import.meta.url), 'utf8')).toBe(errorCodeSystemText());
  });

  it('demand digests of a document whose bytes are here, and nothing of one whose bytes are elsewhere', async () => {
    const check = async (attachment: JsonObject): Promise<string[]> => {
      const resource = documentReference({ meta: { profile: ['https://muniment.example/fhir/StructureDefinition/stored-document'] }, content: [{ attachment: { contentType: 'text/plain', ...attachment } }] });
      return (await checkResource(resource, 'DocumentReference')).flatMap(({ diagnostics }) => /\((mun-\d)\)/.exec(diagnostics)?.[1] ?? (diagnostics.includes('dom-6') ? [] : diagnostics));
    };
    const coding = { system: 'http://hl7.org/fhir/CodeSystem/integrity-check-algorithms', code: 'SHA-256' };
    const extension = [{ url: 'http://hl7.org/fhir/StructureDefinition/alternate-hash', extension: [{ url: 'algorithm', valueCoding: coding }, { url: 'hash', valueString: 'x' }] }];
    expect(await check({ url: 'https://elsewhere.example/a.txt' })).toEqual([]);
    expect(await check({ data: 'QQ==' })).toEqual([]);
    expect(await check({ url: 'http://localhost:3000/fhir/Binary/1' })).toEqual(['mun-2', 'mun-3', 'mun-4']);
    expect(await check({ url: 'http://localhost:3000/fhir/Binary/1', size: 1, hash: 'QQ==', extension })).toEqual([]);
    expect(await check({ url: 'Binary/1', size: 1, hash: 'QQ==', extension })).toEqual(['mun-1']);
    const broken = [{ url: 'http://hl7.org/fhir/StructureDefinition/alternate-hash', extension: [{ url: 'algorithm', valueCoding: coding }, { url: 'digest', valueString: 'x' }] }];
    expect((await check({ url: 'https://elsewhere.example/a.txt', extension: broken }))[0]).toContain('hash');
  });
});
