// What valid base R4 may look like: nothing of it is refused.
import { describe, expect, it } from '@jest/globals';
import { JsonNumber, type JsonObject, type JsonValue } from '../../src/fhir/json.ts';
import { validateResource } from '../../src/validation/validate-resource.ts';
import { documentReference, media } from './valid-resources.ts';

const NOTHING: unknown[] = [];
const div = '<div xmlns="http://www.w3.org/1999/xhtml">Anna Muster</div>';
const patient = { resourceType: 'Patient', id: 'p' };

function issues(changes: Record<string, JsonValue | undefined>): unknown[] {
  return validateResource(documentReference(changes), 'DocumentReference');
}

describe('validateResource accepts', () => {
  it('documents and media', () => {
    expect(validateResource(documentReference(), 'DocumentReference')).toEqual(NOTHING);
    expect(validateResource(media(), 'Media')).toEqual(NOTHING);
    expect(validateResource({ status: 'current', content: [{ attachment: { id: 'a', title: 'x' } }], resourceType: 'DocumentReference' }, 'DocumentReference')).toEqual(NOTHING);
  });

  it('extensions in every place: resource, data type, primitive', () => {
    const simple = [{ url: 'http://example.org/e', valueString: 'x' }];
    expect(issues({
      extension: [{ url: 'http://example.org/e', extension: [{ url: 'a', valueDecimal: new JsonNumber('1.50') }, { url: 'b', _valueCode: { extension: simple } }] }],
      type: { extension: simple, _text: { id: 't', extension: simple } },
      _description: { extension: simple },
    })).toEqual(NOTHING);
  });

  it('a required primitive that has only an extension', () => {
    const absent = { extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' }] };
    expect(issues({ status: undefined, _status: absent })).toEqual(NOTHING);
    expect(validateResource(media({ createdDateTime: undefined, _createdDateTime: absent }), 'Media')).toEqual(NOTHING);
  });

  it('null as padding between the values and the extensions of a primitive array', () => {
    const extension = [{ url: 'http://example.org/e', valueCode: 'x' }];
    const person = (name: JsonObject): unknown[] => validateResource({ resourceType: 'Patient', name: [name] }, 'Patient');
    expect(person({ given: ['A', null], _given: [null, { extension }] })).toEqual(NOTHING);
    expect(person({ _given: [{ extension }] })).toEqual(NOTHING);
    expect(person({ given: ['A', null] })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].given[1]' }]);
    expect(person({ given: ['A', null], _given: [null, null] })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].given[1]' }]);
    expect(person({ given: ['A'], _given: [null, { extension }] })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].given' }]);
    expect(person({ given: ['A'], _given: { extension } })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].given' }]);
    expect(person({ _given: [null] })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].given[0]' }]);
    expect(person({ given: ['A'], _given: [{}] })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].given[0]' }]);
    expect(person({ given: ['A'], _given: [{ value: 'x' }] })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].given[0].value' }]);
    expect(person({ family: 'B', _family: 'x' })).toMatchObject([{ detail: 'structure', expression: 'Patient.name[0].family' }]);
  });

  it.each<[string, JsonObject]>([
    ['relative', { reference: 'Patient/1' }],
    ['with a version', { reference: 'Patient/1/_history/2' }],
    ['absolute', { reference: 'https://other.example/r4/Patient/1' }],
    ['to a foreign URL of another form', { reference: 'https://other.example/persons/Anna/1' }],
    ['by urn:uuid', { reference: 'urn:uuid:c757873d-ec9a-4326-a141-556f43239520' }],
    ['conditional', { reference: 'Patient?identifier=http://example.org|7' }],
    ['logical', { type: 'Patient', identifier: { system: 'urn:x', value: '7' } }],
    ['to a stated type', { reference: 'https://other.example/x?id=7', type: 'http://hl7.org/fhir/StructureDefinition/Patient' }],
    ['by display alone', { display: 'Anna' }],
    ['to a contained resource', { reference: '#p' }],
  ])('a reference %s', (_form, subject) => {
    expect(issues({ subject, ...(subject['reference'] === '#p' ? { contained: [patient] } : {}) })).toEqual(NOTHING);
  });

  it('any target of references that may point anywhere', () => {
    expect(issues({ context: { related: [{ reference: 'Appointment/1' }, { reference: 'Patient/1' }] } })).toEqual(NOTHING);
  });

  it.each<[string, JsonObject, string]>([
    ['relative', { reference: 'Organization/1' }, 'DocumentReference.subject'],
    ['absolute', { reference: 'https://other.example/fhir/Organization/1' }, 'DocumentReference.subject'],
    ['conditional', { reference: 'Organization?name=x' }, 'DocumentReference.subject'],
    ['contained', { reference: '#o' }, 'DocumentReference.subject'],
    ['stated', { type: 'Organization', display: 'x' }, 'DocumentReference.subject'],
    ['unknown to R4', { reference: 'Bot/1' }, 'DocumentReference.subject'],
  ])('no other target type: %s', (_form, subject, expression) => {
    const contained = subject['reference'] === '#o' ? { contained: [{ resourceType: 'Organization', id: 'o', name: 'Ward 2' }] } : {};
    expect(issues({ subject, ...contained })).toMatchObject([{ detail: 'reference-target', expression }]);
  });

  it('contained resources of any type', () => {
    expect(issues({
      subject: { reference: '#p' },
      contained: [
        { ...patient, text: { status: 'generated', div }, name: [{ given: ['Anna'] }], managingOrganization: { reference: '#o' } },
        { resourceType: 'Organization', id: 'o', name: 'Ward 2' },
        { resourceType: 'Observation', id: 'x', status: 'final', code: { text: 'Weight' }, valueQuantity: { value: new JsonNumber('70.0') }, text: { status: 'generated', div }, focus: [{ reference: '#' }] },
      ],
    })).toEqual(NOTHING);
    const observation = { resourceType: 'Observation', id: 'x', note: [], code: {}, component: [{ a: null }, ''], meta: { x: 1 } };
    const places = validateResource(documentReference({ contained: [observation], context: { related: [{ reference: '#x' }] } }), 'DocumentReference').map((issue) => issue.expression?.replace('DocumentReference.contained[0].', ''));
    expect(places).toEqual(['note', 'code', 'component[0].a', 'component[0].code', 'component[1]', 'meta.x', 'status']);
  });

  it('resources in a Bundle, each with references into its own contained resources', () => {
    const entry = (subject: string, contained?: JsonObject): JsonObject => ({
      fullUrl: `urn:uuid:c757873d-ec9a-4326-a141-556f4323952${subject.length}`, resource: documentReference({ ...(contained ? { contained: [contained] } : {}), subject: { reference: subject } }),
      request: { method: 'POST', url: 'DocumentReference' },
    });
    const bundle = (...entries: JsonObject[]): JsonObject => ({ resourceType: 'Bundle', type: 'transaction', entry: entries });
    expect(validateResource(bundle(entry('#p', patient), entry('Patient/1')), 'Bundle')).toEqual(NOTHING);
    expect(validateResource(bundle(entry('#p', patient), entry('#loc', { resourceType: 'Location', id: 'loc' })), 'Bundle')).toMatchObject([{ detail: 'reference-target', expression: 'Bundle.entry[1].resource.subject' }]);
    const answer = { response: { status: '400', outcome: { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'invalid' }] } } };
    expect(validateResource({ resourceType: 'Bundle', type: 'batch-response', entry: [answer] }, 'Bundle')).toEqual(NOTHING);
  });

  it('Binary, List, Parameters, Provenance and Consent', () => {
    const reference = { reference: 'Patient/1' };
    const resources: JsonObject[] = [
      { resourceType: 'Binary', contentType: 'text/plain; charset=utf-8', data: 'QUJD\nREVG', securityContext: reference },
      { resourceType: 'List', status: 'current', mode: 'changes', entry: [{ item: { reference: 'DocumentReference/1' }, deleted: true }] },
      { resourceType: 'Parameters', parameter: [{ name: 'a', valueBoolean: true }, { name: 'b', part: [{ name: 'c', resource: patient }] }] },
      { resourceType: 'Provenance', target: [reference], recorded: '2024-03-01T09:30:00Z', agent: [{ who: reference }], occurredDateTime: '2024' },
      { resourceType: 'Consent', status: 'active', scope: { text: 'x' }, category: [{ text: 'x' }], policyRule: { text: 'x' }, provision: { provision: [{ type: 'deny' }] } },
      { resourceType: 'CapabilityStatement', status: 'active', date: '2024', kind: 'instance', implementation: { description: 'x' }, rest: [{ mode: 'server' }], fhirVersion: '4.0.1', format: ['json', 'application/fhir+xml'] },
    ];
    for (const resource of resources) expect(validateResource(resource, String(resource['resourceType']))).toEqual(NOTHING);
  });
});
