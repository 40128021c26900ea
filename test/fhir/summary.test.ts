// _summary, _elements and the tag SUBSETTED.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isJsonObject, JsonNumber, type JsonObject } from '../../src/fhir/json.ts';
import { isSubsetted, parseSummaryForm, summarise, type SummaryForm } from '../../src/fhir/summary.ts';

const SUBSETTED = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' };

const document: JsonObject = {
  resourceType: 'DocumentReference',
  id: 'a',
  meta: { versionId: '3', tag: [{ system: 'urn:t', code: 'x' }] },
  language: 'de',
  text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">Letter</div>' },
  contained: [
    { resourceType: 'Practitioner', id: 'p', name: [{ family: 'Amsel' }] },
    { resourceType: 'PractitionerRole', id: 'r', practitioner: { reference: '#p' } },
    { resourceType: 'Organization', id: 'o', name: 'Ward' },
  ],
  extension: [{ url: 'urn:e', valueDecimal: new JsonNumber('1.50') }],
  modifierExtension: [{ url: 'urn:m', valueBoolean: true }],
  status: 'current',
  _status: { id: 's' },
  subject: { reference: 'Patient/1', extension: [{ url: 'urn:x', valueString: 'y' }] },
  author: [{ reference: '#r' }],
  custodian: { reference: '#o' },
  content: [{ attachment: { contentType: 'text/plain', data: 'YQ==', title: 'a' } }],
  context: { encounter: [{ reference: 'Encounter/1' }], related: [{ reference: 'Media/1' }] },
};

const names = (resource: JsonObject): string => Object.keys(resource).join(' ');
const elements = (...list: string[]): SummaryForm => ({ kind: 'elements', names: new Set(list) });

describe('a part of a resource', () => {
  it.each<[string, SummaryForm, string]>([
    ['true: what summaries show', { kind: 'true' }, 'resourceType id meta modifierExtension status _status subject author content context contained'],
    ['text: narrative, id, meta, mandatory elements and modifiers', { kind: 'text' }, 'resourceType id meta text modifierExtension status _status content'],
    ['data: all but the narrative', { kind: 'data' }, 'resourceType id meta language contained extension modifierExtension status _status subject author custodian content context'],
    ['_elements: those, mandatory ones and modifiers', elements('custodian', 'unknown'), 'resourceType id meta modifierExtension status _status custodian content contained'],
    ['_elements with the type before the name', elements('DocumentReference.language', 'Media.subject'), 'resourceType id meta language modifierExtension status _status content'],
  ])('has %s', (_what, form, expected) => {
    const part = summarise(document, form);
    expect(names(part)).toBe(expected);
    expect(part['meta']).toEqual({ versionId: '3', tag: [{ system: 'urn:t', code: 'x' }, SUBSETTED] });
  });

  it('is cut inside elements too: neither data nor extensions in a summary', () => {
    const part = summarise(document, { kind: 'true' });
    expect(part['subject']).toEqual({ reference: 'Patient/1' });
    expect(part['content']).toEqual([{ attachment: { contentType: 'text/plain', title: 'a' } }]);
  });

  it('keeps the contained resources that it refers to, over others too, and no more', () => {
    const ids = (form: SummaryForm): unknown => (summarise(document, form)['contained'] as JsonObject[] | undefined)?.map((one) => one['id']);
    expect(ids(elements('author'))).toEqual(['p', 'r']);
    expect(ids(elements('custodian'))).toEqual(['o']);
    expect(ids({ kind: 'text' })).toBeUndefined();
  });

  it('keeps a mandatory element whole when a summary would show nothing of it', () => {
    const absent = { extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' }] };
    expect(summarise({ resourceType: 'Media', status: 'completed', content: absent }, { kind: 'true' })['content']).toEqual(absent);
  });

  it('knows a choice by its name without and with the type', () => {
    const media: JsonObject = { resourceType: 'Media', status: 'completed', createdDateTime: '2026', content: {}, note: [] };
    expect(names(summarise(media, elements('created')))).toBe('resourceType meta status createdDateTime content');
    expect(names(summarise(media, elements('createdDateTime')))).toBe('resourceType meta status createdDateTime content');
  });

  it('is tagged once, however often it is taken, and leaves the original alone', () => {
    const before = JSON.stringify(document);
    const twice = summarise(summarise(document, { kind: 'data' }), { kind: 'data' });
    expect((twice['meta'] as JsonObject)['tag']).toHaveLength(2);
    expect(isSubsetted(twice)).toBe(true);
    expect(isSubsetted(document)).toBe(false);
    expect(JSON.stringify(document)).toBe(before);
  });

  it('is a part: every property is one of the whole, for any resource and form', () => {
    const form = fc.oneof(
      fc.constantFrom<SummaryForm>({ kind: 'true' }, { kind: 'text' }, { kind: 'data' }),
      fc.array(fc.constantFrom(...Object.keys(document))).map((list) => elements(...list)),
    );
    fc.assert(fc.property(fc.dictionary(fc.constantFrom(...Object.keys(document), 'x', 'toString'), fc.jsonValue()), form, (any, one) => {
      const whole = { ...any, resourceType: 'DocumentReference' } as JsonObject;
      const part = summarise(whole, one);
      expect(Object.keys(part).every((name) => name === 'meta' || Object.hasOwn(whole, name))).toBe(true);
      expect(isJsonObject(part['meta']) && isSubsetted(part)).toBe(true);
    }));
  });
});

describe('the form that a query asks for', () => {
  it.each<[string, SummaryForm | undefined]>([
    ['', undefined],
    ['_summary=false', undefined],
    ['_summary=true', { kind: 'true' }],
    ['_summary=count', { kind: 'count' }],
    ['_summary=text&_summary=text', { kind: 'text' }],
    ['_elements=a,b&_elements=c', elements('a', 'b', 'c')],
    ['_summary=false&_elements=Media.status', elements('Media.status')],
  ])('%s', (query, form) => {
    expect(parseSummaryForm(new URLSearchParams(query))).toEqual(form);
  });

  it.each(['_summary=yes', '_summary=', '_summary=true&_summary=data', '_elements=', '_elements=a,,b', '_elements=a.b', '_elements=<b>', '_summary=true&_elements=a'])('%s is 400', (query) => {
    expect(() => parseSummaryForm(new URLSearchParams(query))).toThrow(expect.objectContaining({ status: 400, detail: 'invalid-parameter' }));
  });
});
