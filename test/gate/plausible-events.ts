// Accesses as the gate describes them, of any kind and in any order: what the search of the record must find.
import fc from 'fast-check';
import { INTERACTION_ACTIONS, type AccessEvent, type AccessWrite, type AuditOutcome, type InteractionCode } from '../../src/audit/access-event.ts';
import { uuidV7 } from '../../src/fhir/uuid-v7.ts';

const few = fc.constantFrom('1', '2', 'a-b', 'x.y');
const version = fc.constantFrom(1, 2, 3);
const data = fc.tuple(fc.constantFrom('DocumentReference', 'Media', 'Binary', 'List', 'AuditEvent', 'Patient', 'Practitioner'), few, version).map(([type, id, number]) => `${type}/${id}/_history/${number}`);
const patient = fc.oneof(few.map((id) => `Patient/${id}`), fc.constant('//elsewhere.example/fhir/Patient/9'));
const party = fc.constantFrom('Practitioner/1', 'Practitioner/2', 'Organization/1', 'Device/1', 'Patient/1', 'https://elsewhere.example/fhir/Practitioner/9', 'https://documents.example/fhir/Practitioner/2', 'Person/1', '#contained', 'Practitioner/1/_history/3');
const name = fc.constantFrom('Dr. Åsa Öberg', 'asa oberg', 'Jürgen "JR" Klein', 'Jane\\Doe', 'weird \u0000 name', '   ', 'Ελένη', '日本 太郎', 'lone \ud800 half', 'says "name":"Åsa"');
const word = fc.constantFrom('one', 'two', 'a|b', 'with blank', 'q"uote');

const agent = fc.record({
  user: fc.constantFrom('Practitioner/1', 'Practitioner/2', 'Patient/1', 'Patient/2', 'RelatedPerson/1', 'Person/1'),
  issuer: fc.constantFrom('https://login.example', 'https://other.example'), subject: fc.constantFrom('one', 'three', 'sub"ject', 'ward-app'), name,
  roles: fc.array(fc.constantFrom('admin', 'nurse', 'no code ', 'with blank', 'a]b', 'q"uote'), { minLength: 1, maxLength: 3 }),
  client: fc.constantFrom('ward-app', 'one', 'app 2'), jti: fc.oneof(word, fc.constant('urn:x/y/z')), purposeOfUse: fc.array(fc.constantFrom('TREAT', 'BTG'), { maxLength: 2 }),
}, { requiredKeys: [] });

const write: fc.Arbitrary<AccessWrite> = fc.record({
  activity: fc.constantFrom('CREATE' as const, 'UPDATE' as const, 'DELETE' as const),
  targets: fc.uniqueArray(data, { maxLength: 3 }),
  sources: fc.array(fc.record({ role: fc.constantFrom('source' as const, 'revision' as const, 'removal' as const), reference: data }), { maxLength: 2 }),
  authors: fc.array(party, { maxLength: 3 }), custodian: party,
}, { requiredKeys: ['activity', 'targets', 'sources', 'authors'] });

const entity = fc.oneof(
  data.map((reference) => ({ reference, role: 'data' as const })), patient.map((reference) => ({ reference, role: 'patient' as const })),
);

const required = fc.record({
  layout: fc.constant(1 as const), ms: fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2024, 2) }), random: fc.uint8Array({ minLength: 10, maxLength: 10 }),
  org: fc.constant('demo'), requestId: fc.constantFrom('r-1', 'r-2', 'r-3', 'r.4'),
  interaction: fc.constantFrom(...(Object.keys(INTERACTION_ACTIONS) as InteractionCode[])),
  outcome: fc.constantFrom<AuditOutcome>(0, 0, 0, 4, 8, 12), status: fc.constantFrom(200, 201, 404),
  request: fc.record({ method: fc.constantFrom('GET', 'POST'), url: fc.constantFrom('Media?x="role":"data"', 'List', '"targets":["Media/1/_history/1"]'), accept: fc.constant('application/fhir+json') }, { requiredKeys: ['method', 'url'] }),
  agent, observer: fc.constantFrom('muniment@one', 'muniment@two'), entities: fc.array(entity, { maxLength: 4 }),
});

const optional = fc.record({
  outcomeDesc: fc.constantFrom('not found', '"role":"patient"'), address: fc.constantFrom('10.0.0.1', '10.0.0.2', '::1'), write, count: fc.integer({ min: 1, max: 9 }),
  bytes: fc.record({ contentType: fc.constant('text/plain'), size: fc.nat() }, { requiredKeys: [] }),
}, { requiredKeys: [] });

export const plausibleEvent: fc.Arbitrary<AccessEvent> = fc.tuple(required, optional).map(([{ ms, random, ...event }, rest]) => ({
  ...event, ...rest, action: INTERACTION_ACTIONS[event.interaction], id: uuidV7(ms, random), recorded: new Date(ms).toISOString(),
}));
