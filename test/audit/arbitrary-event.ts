// Any access at all, for properties: members present or not, texts with anything in them, tokens planted where a client
// can put them.
import fc from 'fast-check';
import { INTERACTION_ACTIONS } from '../../src/audit/access-event.ts';
import type { AccessEvent, AuditOutcome, InteractionCode } from '../../src/audit/access-event.ts';
import { uuidV7 } from '../../src/fhir/uuid-v7.ts';

/** A token of the usual form, made here: it is nobody's. */
export const PLANTED_TOKEN = [{ alg: 'ES256', typ: 'JWT' }, { sub: 'a1b2', org: 'riverside' }, { signature: 'none at all' }]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');

const PLANTED = fc.constantFrom(
  `Bearer ${PLANTED_TOKEN}`, `DocumentReference?access_token=${PLANTED_TOKEN}&patient=1`, `authorization=Bearer%20${PLANTED_TOKEN}`,
  `bearer  ${PLANTED_TOKEN},x`, `files/${PLANTED_TOKEN}`, `a ${PLANTED_TOKEN} b`,
);

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constant(''), fc.constant('\u0000 \u00a0'));
const clientText = fc.oneof({ weight: 3, arbitrary: anyText }, { weight: 1, arbitrary: PLANTED });
const id = fc.stringMatching(/^[A-Za-z0-9.-]{1,20}$/);
const version = fc.nat({ max: 99 }).map((n) => n + 1);

const data = fc.tuple(fc.constantFrom('DocumentReference', 'Media', 'Binary', 'List', 'AuditEvent'), id, version)
  .map(([type, logicalId, number]) => `${type}/${logicalId}/_history/${number}`);
const patient = id.map((logicalId) => `Patient/${logicalId}`);
const party = fc.oneof(
  fc.tuple(fc.constantFrom('Practitioner', 'Organization', 'Device', 'Person'), id).map((parts) => parts.join('/')),
  fc.constantFrom('#contained', 'https://elsewhere.example.org/fhir/Practitioner/9', 'urn:uuid:0'),
);

const entity = fc.oneof(
  data.map((reference) => ({ reference, role: 'data' as const })), patient.map((reference) => ({ reference, role: 'patient' as const })),
);
const OPTIONAL = { requiredKeys: [] as [] };

const agent = fc.record({
  user: party, issuer: fc.webUrl(), subject: anyText, name: anyText, roles: fc.array(anyText, { maxLength: 3 }), client: anyText,
  jti: anyText, purposeOfUse: fc.array(fc.constantFrom('TREAT', 'BTG', 'no code '), { maxLength: 2 }),
}, OPTIONAL);

const asserted = fc.record({
  agent: fc.array(party.map((reference) => ({ who: { reference } })).filter(({ who }) => !/^#|^Person/.test(who.reference) && !who.reference.startsWith('urn:')), { minLength: 1, maxLength: 2 }),
  entity: fc.array(data.map((reference) => ({ role: 'derivation', what: { reference } })), { minLength: 1, maxLength: 2 }),
  occurredDateTime: fc.constant('2026-03-01'),
}, { requiredKeys: ['agent'] }).map((said) => JSON.stringify(said));

const write = fc.record({
  activity: fc.constantFrom('CREATE' as const, 'UPDATE' as const, 'DELETE' as const),
  targets: fc.uniqueArray(data, { maxLength: 3 }),
  sources: fc.array(fc.record({ role: fc.constantFrom('source' as const, 'revision' as const, 'removal' as const), reference: data }), { maxLength: 2 }),
  authors: fc.array(party, { maxLength: 3 }), custodian: party, asserted,
}, { requiredKeys: ['activity', 'targets', 'sources', 'authors'] });

const required = fc.record({
  layout: fc.constant(1 as const), ms: fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2100, 0) }),
  org: id, requestId: fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
  interaction: fc.constantFrom(...(Object.keys(INTERACTION_ACTIONS) as InteractionCode[])),
  outcome: fc.constantFrom<AuditOutcome>(0, 4, 8, 12), status: fc.constantFrom(0, 200, 201, 304, 400, 401, 404, 500, 503),
  request: fc.record({ method: fc.constantFrom('GET', 'POST', 'HEAD'), url: clientText, accept: clientText, form: clientText }, { requiredKeys: ['method', 'url'] }),
  agent, observer: id, entities: fc.array(entity, { maxLength: 4 }),
});

const optional = fc.record({
  outcomeDesc: clientText, address: fc.oneof(fc.ipV4(), fc.ipV6()), write, count: fc.integer({ min: 1 }),
  bytes: fc.record({ contentType: clientText, range: clientText, size: fc.nat(), sent: fc.nat() }, OPTIONAL),
  purge: fc.record({ versions: fc.array(data.map((reference) => ({ reference, lastUpdated: '2026-03-01T00:00:00.000Z', method: 'POST', sha256: 'ab'.repeat(32), content: undefined })), { maxLength: 3 }), requestedBy: anyText, approvedBy: anyText, certificate: party }, { requiredKeys: ['versions', 'requestedBy', 'approvedBy'] }),
  issue: fc.constant({ code: 'forbidden' as const, detail: 'forbidden' as const }),
}, OPTIONAL);

export const anyAccessEvent: fc.Arbitrary<AccessEvent> = fc.tuple(required, optional).map(([{ ms, ...event }, rest]) => ({
  ...event, ...rest, action: INTERACTION_ACTIONS[event.interaction], id: uuidV7(ms, new Uint8Array(10)), recorded: new Date(ms).toISOString(),
}));
