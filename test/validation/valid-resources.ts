// Valid R4 resources that the tests of this folder change by one fault each.
import type { JsonObject, JsonValue } from '../../src/fhir/json.ts';

/** A fresh DocumentReference of usual size, with these properties in place of its own; undefined removes one. */
export function documentReference(changes: Record<string, JsonValue | undefined> = {}): JsonObject {
  return changed({
    resourceType: 'DocumentReference',
    id: 'letter-1',
    meta: { versionId: '3', lastUpdated: '2024-03-01T09:30:00.123+01:00', profile: ['http://example.org/fhir/StructureDefinition/letter'], tag: [{ system: 'urn:x', code: 'a' }] },
    language: 'de-CH',
    masterIdentifier: { system: 'urn:ietf:rfc:3986', value: 'urn:oid:1.3.6.1.4.1.21367.1.1' },
    identifier: [{ use: 'official', system: 'http://example.org/letters', value: 'L 4711' }],
    status: 'current',
    docStatus: 'final',
    type: { coding: [{ system: 'http://loinc.org', code: '18842-5', display: 'Discharge summary' }], text: 'Entlassbrief' },
    category: [{ coding: [{ system: 'http://example.org/categories', code: 'letter' }] }],
    subject: { reference: 'Patient/anna', display: 'Anna Muster' },
    date: '2024-03-01T09:30:00+01:00',
    author: [{ reference: 'Practitioner/rossi' }, { identifier: { system: 'urn:oid:2.51.1.3', value: '7601000000000' } }],
    custodian: { reference: 'https://other.example/fhir/Organization/ward-2/_history/4' },
    relatesTo: [{ code: 'replaces', target: { reference: 'DocumentReference/letter-0' } }],
    description: 'Letter to the family doctor',
    content: [{
      attachment: {
        contentType: 'application/pdf', language: 'de', url: 'Binary/letter-1', size: 182_004, hash: '2jmj7l5rSw0yVb/vlWAYkK/YBwk=',
        title: 'Letter.pdf', creation: '2024-02-29',
      },
      format: { system: 'http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode', code: 'urn:ihe:iti:xds:2017:mimeTypeSufficient' },
    }],
    context: { encounter: [{ reference: 'Encounter/stay-9' }], period: { start: '2024-02', end: '2024-03-01' } },
  }, changes);
}

export function media(changes: Record<string, JsonValue | undefined> = {}): JsonObject {
  return changed({
    resourceType: 'Media',
    status: 'completed',
    subject: { reference: 'Patient/anna' },
    createdDateTime: '2024-03-01',
    height: 480,
    width: 640,
    content: { contentType: 'image/jpeg', url: 'Binary/wound-1' },
  }, changes);
}

function changed(resource: JsonObject, changes: Record<string, JsonValue | undefined>): JsonObject {
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete resource[name];
    else resource[name] = value;
  }
  return resource;
}
