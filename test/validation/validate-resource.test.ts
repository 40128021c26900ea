// Faults of base R4, one each, with the code and the place that a client is told.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ERRORS } from '../../src/fhir/fhir-error.ts';
import { JsonNumber, parseJson, type JsonObject, type JsonValue } from '../../src/fhir/json.ts';
import { validateResource } from '../../src/validation/validate-resource.ts';
import { documentReference, media } from './valid-resources.ts';

function faults(resource: JsonObject, type = 'DocumentReference'): string[] {
  return validateResource(resource, type).map((issue) => `${issue.detail} ${issue.expression ?? ''}`);
}

const attachment = { contentType: 'application/pdf', url: 'Binary/letter-1' };
const content = (changes: JsonObject): JsonObject => ({ content: [{ attachment: { ...attachment, ...changes } }] });
const patient = { resourceType: 'Patient', id: 'p' };
const extension = (more: JsonObject): JsonObject => ({ extension: [{ url: 'http://example.org/e', ...more }] });

type Case = [title: string, changes: Record<string, JsonValue | undefined>, fault: string];

const DOCUMENT_FAULTS: Case[] = [
  ['a missing status', { status: undefined }, 'required DocumentReference.status'],
  ['a status outside its value set', { status: 'final' }, 'code-invalid DocumentReference.status'],
  ['missing content', { content: undefined }, 'required DocumentReference.content'],
  ['empty content', { content: [] }, 'structure DocumentReference.content'],
  ['content without attachment', { content: [{ format: { code: 'x' } }] }, 'required DocumentReference.content[0].attachment'],
  ['relatesTo without code', { relatesTo: [{ target: { reference: 'DocumentReference/1' } }] }, 'required DocumentReference.relatesTo[0].code'],
  ['a url that is a number', content({ url: 17 }), 'structure DocumentReference.content[0].attachment.url'],
  ['a hash that is not base64', content({ hash: 'not base64!' }), 'invalid-value DocumentReference.content[0].attachment.hash'],
  ['an unknown property', { foo: 1 }, 'structure DocumentReference.foo'],
  ['a date that does not exist', { date: '2026-02-30T10:00:00Z' }, 'invalid-value DocumentReference.date'],
  ['an instant without zone', { date: '2024-03-01T10:00:00' }, 'invalid-value DocumentReference.date'],
  ['an instant that is a day', { date: '2020-01-01' }, 'invalid-value DocumentReference.date'],
  ['a subject of a type that is not allowed', { subject: { reference: 'Medication/1' } }, 'reference-target DocumentReference.subject'],
  ['a docStatus outside its value set', { docStatus: 'draft' }, 'code-invalid DocumentReference.docStatus'],
  ['an empty string', { description: '' }, 'structure DocumentReference.description'],
  ['an id with a space', { id: 'a b' }, 'invalid-value DocumentReference.id'],
  ['an id of 65 characters', { id: 'a'.repeat(65) }, 'invalid-value DocumentReference.id'],
  ['an array where one value belongs', { type: [{ text: 'x' }] }, 'structure DocumentReference.type'],
  ['an object where an array belongs', { author: { reference: 'Practitioner/1' } }, 'structure DocumentReference.author'],
  ['a script in the narrative', { text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>' } }, 'invalid-value DocumentReference.text.div'],
  ['an extension with value and extensions', extension({ valueString: 'x', extension: [{ url: 'y', valueCode: 'z' }] }), 'invariant DocumentReference.extension[0]'],
  ['an extension with neither', extension({}), 'invariant DocumentReference.extension[0]'],
  ['an extension without url', { extension: [{ valueString: 'x' }] }, 'required DocumentReference.extension[0].url'],
  ['an extension with two values', extension({ valueString: 'x', valueCode: 'y' }), 'cardinality DocumentReference.extension[0].value'],
  ['an extension with an unknown kind of value', extension({ valueFoo: 'x', valueCode: 'y' }), 'structure DocumentReference.extension[0].valueFoo'],
  ['a negative size', content({ size: -1 }), 'invalid-value DocumentReference.content[0].attachment.size'],
  ['a size that is text', content({ size: '12' }), 'structure DocumentReference.content[0].attachment.size'],
  ['a size written as a decimal', content({ size: new JsonNumber('12.0') }), 'invalid-value DocumentReference.content[0].attachment.size'],
  ['a size over 2,147,483,647', content({ size: 2_147_483_648 }), 'invalid-value DocumentReference.content[0].attachment.size'],
  ['a content type that is no media type', content({ contentType: 'pdf' }), 'code-invalid DocumentReference.content[0].attachment.contentType'],
  ['a contained resource in a contained resource', { subject: { reference: '#p' }, contained: [{ ...patient, contained: [{ resourceType: 'Organization', id: 'o' }] }] }, 'invariant DocumentReference.contained[0].contained[0]'],
  ['a contained resource without a type', { contained: [{ id: 'p' }] }, 'structure DocumentReference.contained[0]'],
  ['a contained resource of a type that R4 lacks', { context: { related: [{ reference: '#p' }] }, contained: [{ resourceType: 'Bot', id: 'p' }] }, 'structure DocumentReference.contained[0]'],
  ['a fault inside a contained resource', { subject: { reference: '#p' }, contained: [{ ...patient, gender: 'x' }] }, 'code-invalid DocumentReference.contained[0].gender'],
  ['null in place of a value', { type: null }, 'structure DocumentReference.type'],
  ['null in an array of objects', { category: [null, { text: 'x' }] }, 'structure DocumentReference.category[0]'],
  ['an empty object', { type: {} }, 'structure DocumentReference.type'],
  ['an empty object in an array', { category: [{}] }, 'structure DocumentReference.category[0]'],
  ['text where an object belongs', { subject: 'Patient/1' }, 'structure DocumentReference.subject'],
  ['a number where an object belongs', { type: new JsonNumber('1.0') }, 'structure DocumentReference.type'],
  ['a code with two spaces', { language: 'de  CH' }, 'invalid-value DocumentReference.language'],
  ['a uri with a space', { implicitRules: 'http://example.org/a b' }, 'invalid-value DocumentReference.implicitRules'],
  ['a boolean that is text', { category: [{ coding: [{ code: 'x', userSelected: 'true' }] }] }, 'structure DocumentReference.category[0].coding[0].userSelected'],
  ['an unknown property deep inside', { context: { period: { begin: '2024' } } }, 'structure DocumentReference.context.period.begin'],
  ['a property that only other objects inherit', { toString: 'x' }, 'structure DocumentReference.toString'],
  ['a resourceType inside a data type', { type: { resourceType: 'CodeableConcept', text: 'x' } }, 'structure DocumentReference.type.resourceType'],
  ['an extension beside a complex element', { _type: { id: 'x' } }, 'structure DocumentReference._type'],
  ['the additions of other servers to meta', { meta: { project: 'x' } }, 'structure DocumentReference.meta.project'],
];

const MEDIA_FAULTS: Case[] = [
  ['missing content', { content: undefined }, 'required Media.content'],
  ['a status outside its value set', { status: 'current' }, 'code-invalid Media.status'],
  ['a height of zero', { height: 0 }, 'invalid-value Media.height'],
  ['a height of one and a half', { height: 1.5 }, 'invalid-value Media.height'],
  ['created twice', { createdPeriod: { start: '2024' } }, 'cardinality Media.created'],
  ['an unknown kind of created', { createdDateTime: undefined, createdString: '2024' }, 'structure Media.createdString'],
  ['a duration that is text', { duration: '12.5' }, 'structure Media.duration'],
];

describe('validateResource', () => {
  it.each(DOCUMENT_FAULTS)('tells of %s, and of nothing else', (_title, changes, fault) => {
    expect(faults(documentReference(changes))).toEqual([fault]);
  });

  it.each(MEDIA_FAULTS)('tells of Media with %s, and of nothing else', (_title, changes, fault) => {
    expect(faults(media(changes), 'Media')).toEqual([fault]);
  });

  it('refuses Binary.url, which R4 does not have', () => {
    expect(faults({ resourceType: 'Binary', contentType: 'text/plain', url: 'http://example.org' }, 'Binary')).toEqual(['structure Binary.url']);
  });

  it('refuses references that only other servers allow for the observer of an AuditEvent', () => {
    const event = (observer: string): JsonObject => ({
      resourceType: 'AuditEvent', type: { code: 'rest' }, recorded: '2024-03-01T09:30:00Z', agent: [{ requestor: true }], source: { observer: { reference: observer } },
    });
    expect(faults(event('Device/1'), 'AuditEvent')).toEqual([]);
    for (const type of ['Subscription', 'Bot', 'ClientApplication']) {
      expect(faults(event(`${type}/1`), 'AuditEvent')).toEqual(['reference-target AuditEvent.source.observer']);
    }
  });

  it('answers 400 for form and 422 for content', () => {
    const status = (changes: Record<string, JsonValue | undefined>): number[] =>
      validateResource(documentReference(changes), 'DocumentReference').map((issue) => ERRORS[issue.detail].status);
    expect(status({ foo: 1 })).toEqual([400]);
    expect(status({ date: 'yesterday' })).toEqual([400]);
    expect(status({ status: undefined })).toEqual([422]);
    expect(status({ status: 'x' })).toEqual([422]);
    expect(status({ custodian: { reference: 'Patient/1' } })).toEqual([422]);
  });

  it('tells of all faults, those that are there in document order, those that miss after them', () => {
    const resource = documentReference({ status: undefined, docStatus: 'x', description: 7, content: [{ attachment: {} }, {}] });
    expect(faults(resource)).toEqual([
      'code-invalid DocumentReference.docStatus', 'structure DocumentReference.description',
      'structure DocumentReference.content[0].attachment', 'structure DocumentReference.content[1]', 'required DocumentReference.status',
    ]);
  });

  it('stops at 100 faults', () => {
    expect(faults(documentReference({ category: Array.from({ length: 500 }, () => ({})) }))).toHaveLength(100);
  });

  it('refuses another resource type than that of the URL', () => {
    expect(faults(media())).toEqual(['wrong-resource-type DocumentReference']);
    expect(faults({ status: 'current' })).toEqual(['structure DocumentReference']);
    expect(faults({ resourceType: 7 })).toEqual(['structure DocumentReference']);
    expect(faults({ resourceType: 'Bot' }, 'Bot')).toEqual(['structure ']);
  });

  it('says what was found and what is allowed, without repeating long values', () => {
    const text = (changes: Record<string, JsonValue | undefined>): string => validateResource(documentReference(changes), 'DocumentReference')[0]?.diagnostics ?? '';
    expect(text({ status: 'final' })).toBe('DocumentReference.status must be one of current, entered-in-error, superseded; "final" was found');
    expect(text({ description: 7 })).toBe('DocumentReference.description must be a string; a number was found');
    expect(text({ status: undefined })).toBe('DocumentReference.status is required');
    expect(text({ subject: { reference: 'Medication/1' } })).toBe('DocumentReference.subject may refer to Patient, Practitioner, Group, Device; "Medication" was found');
    expect(text({ author: { reference: 'Practitioner/1' } })).toBe('DocumentReference.author must be an array; an object was found');
    expect(text(content({ hash: `?${'A'.repeat(10_000)}` })).length).toBeLessThan(250);
    expect(validateResource(media({ createdDateTime: undefined, createdFoo: 1 }), 'Media')[0]?.diagnostics).toContain('createdDateTime, createdPeriod');
  });

  it('ends the expression before a name that cannot stand in a FHIRPath', () => {
    expect(faults(documentReference({ 'a b': 1 }))).toEqual(['structure DocumentReference']);
  });
});

const good: JsonValue[] = [documentReference(), media()];
// A name of Object.prototype is no property to delete and no element: changes of any kind to any place.
const anyValue = fc.oneof(
  fc.constantFrom<JsonValue>(null, true, '', 'x', '#', '#p', 0, -1, 1.5, [], {}, [null], [[]], [{}], { reference: '#' }, { resourceType: 'Patient' }, new JsonNumber('1.0')),
  fc.jsonValue({ maxDepth: 3 }).map((value) => value as JsonValue),
);
const anyName = fc.constantFrom('status', '_status', 'content', 'contained', 'extension', 'modifierExtension', 'text', 'div', 'reference', 'type', 'resourceType', 'id', '_id', 'url', 'valueString', '_valueString', 'valueReference', 'constructor', 'a b', '');

function mutate(resource: JsonObject, changes: [number, string, JsonValue][]): JsonObject {
  const copy = structuredClone(resource);
  for (const [at, name, value] of changes) {
    const objects: JsonObject[] = [];
    collect(copy, objects);
    const target = objects[at % objects.length];
    if (target !== undefined) target[name] = value instanceof JsonNumber ? value : structuredClone(value);
  }
  return copy;
}

function collect(value: JsonValue, objects: JsonObject[]): void {
  if (typeof value !== 'object' || value === null || value instanceof JsonNumber) return;
  if (!Array.isArray(value)) objects.push(value);
  Object.values(value).forEach((item: JsonValue) => collect(item, objects));
}

describe('validateResource, of anything', () => {
  it('never throws, and gives issues with a known code, a text and a place', () => {
    const change = fc.tuple(fc.nat(), anyName, anyValue);
    fc.assert(fc.property(fc.constantFrom(...good), fc.array(change, { minLength: 1, maxLength: 6 }), (resource, changes) => {
      for (const type of ['DocumentReference', 'Media', 'Observation']) {
        for (const issue of validateResource(mutate(resource as JsonObject, changes), type)) {
          expect(Object.keys(ERRORS)).toContain(issue.detail);
          expect(issue.diagnostics.length).toBeLessThan(1000);
          expect(issue.expression).toMatch(/^[A-Za-z][\w.[\]]*$/);
        }
      }
    }), { numRuns: 1000 });
  });

  it('refuses each single property that R4 does not know', () => {
    const known = new Set(['id', 'meta', 'text', 'type', 'date', 'status', 'author', 'subject', 'content', 'context', 'category', 'language']);
    fc.assert(fc.property(fc.stringMatching(/^[a-z][A-Za-z0-9]{0,12}$/), (name) => {
      fc.pre(!known.has(name));
      expect(validateResource(documentReference({ [name]: 'x' }), 'DocumentReference').length).toBeGreaterThan(0);
    }));
  });

  it('reads what the parser gives', () => {
    const resource = parseJson('{"resourceType":"Media","status":"completed","duration":12.50,"content":{"url":"Binary/1"}}') as JsonObject;
    expect(faults(resource, 'Media')).toEqual([]);
  });
});
