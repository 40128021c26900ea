// One access of each kind, by name: what the golden files, the profile tests and the validity test render.
import { INTERACTION_ACTIONS } from '../../src/audit/access-event.ts';
import type { AccessAgent, AccessEntity, AccessEvent, AccessWrite, InteractionCode } from '../../src/audit/access-event.ts';
import { uuidV7 } from '../../src/fhir/uuid-v7.ts';

const RECORDED_MS = Date.UTC(2026, 2, 4, 10, 20, 30, 456);

const USER: AccessAgent = {
  user: 'Practitioner/17', issuer: 'https://login.example.org', subject: 'a1b2', name: 'Dr. Mira Novak', roles: ['practitioner'],
  client: 'ward-app', jti: '5f0a', purposeOfUse: ['TREAT'],
};
const SYSTEM: AccessAgent = {
  issuer: 'https://login.example.org', subject: 'intake', client: 'intake', jti: '77c1', roles: ['admin'], purposeOfUse: ['HOPERAT'],
};

const PATIENT: AccessEntity = { reference: 'Patient/p1', role: 'patient' };
const DOCUMENT: AccessEntity = { reference: 'DocumentReference/d1/_history/2', role: 'data' };
const BINARY: AccessEntity = { reference: 'Binary/b1/_history/1', role: 'data' };

/** An access by the user, successful unless `change` says otherwise. */
export function accessEvent(interaction: InteractionCode, change: Partial<AccessEvent> = {}): AccessEvent {
  return {
    layout: 1, id: uuidV7(RECORDED_MS, Buffer.from('00112233445566778899', 'hex')), recorded: new Date(RECORDED_MS).toISOString(),
    org: 'riverside', requestId: 'req-42', interaction, action: INTERACTION_ACTIONS[interaction], outcome: 0, status: 200,
    request: { method: 'GET', url: 'DocumentReference/d1', accept: 'application/fhir+json' },
    agent: USER, address: '198.51.100.7', observer: 'muniment-1', entities: [], ...change,
  };
}

const CREATED: AccessWrite = {
  activity: 'CREATE', targets: ['DocumentReference/d1/_history/1'], sources: [{ role: 'source', reference: 'Binary/b1/_history/1' }],
  authors: ['Practitioner/17', 'Organization/lab', '#contained'],
};
/** As a client sent it, but for the base of the server in its references. */
const ASSERTED = JSON.stringify({
  occurredPeriod: { start: '2026-03-01' }, policy: ['urn:example:policy'], location: { display: 'Ward 3' }, reason: [{ text: 'Referral' }],
  activity: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-DocumentCompletion', code: 'LA' }], text: 'signed' },
  agent: [{ type: { text: 'scribe' }, who: { reference: 'Practitioner/scribe' } }, { who: { display: 'The scanner' }, extension: [{ url: 'urn:example:weight', valueDecimal: 150 }] }],
  entity: [{ role: 'derivation', what: { reference: 'DocumentReference/draft/_history/2' } }, { role: 'quotation', what: { display: 'A letter' } }],
  signature: [{ type: [{ system: 'urn:iso-astm:E1762-95:2013', code: '1.2.840.10065.1.12.1.1' }], when: '2026-03-01T10:00:00Z', who: { reference: 'Practitioner/scribe' } }],
}).replace('150', '1.50');
const UPDATED: AccessWrite = {
  activity: 'UPDATE', targets: ['DocumentReference/d1/_history/3'], authors: ['PractitionerRole/9'], custodian: 'Organization/riverside',
  sources: [{ role: 'revision', reference: 'DocumentReference/d1/_history/2' }],
};
const DELETED: AccessWrite = {
  activity: 'DELETE', targets: ['DocumentReference/d1/_history/4'], authors: [],
  sources: [{ role: 'removal', reference: 'DocumentReference/d1/_history/3' }],
};

function written(write: AccessWrite, method: string, status: number): Partial<AccessEvent> {
  const data = write.targets.map((reference): AccessEntity => ({ reference, role: 'data' }));
  return { status, request: { method, url: method === 'POST' ? 'DocumentReference' : 'DocumentReference/d1' }, entities: [PATIENT, ...data], write };
}

const asked = (url: string, entities: AccessEntity[] = []): Partial<AccessEvent> => ({
  request: { method: 'GET', url, accept: 'application/fhir+json' }, entities,
});
const posted = (url: string, form?: string): Partial<AccessEvent> => ({
  request: { method: 'POST', url, ...(form !== undefined && { form }) },
});

const SUCCESSES: Record<InteractionCode, Partial<AccessEvent>> = {
  'create': written(CREATED, 'POST', 201),
  'read': asked('DocumentReference/d1', [PATIENT, DOCUMENT]),
  'vread': asked('DocumentReference/d1/_history/2', [PATIENT, DOCUMENT]),
  'update': written(UPDATED, 'PUT', 200),
  'patch': written(UPDATED, 'PATCH', 200),
  'delete': written(DELETED, 'DELETE', 204),
  'history-instance': asked('DocumentReference/d1/_history', [PATIENT, DOCUMENT]),
  'history-type': asked('DocumentReference/_history?_count=10'),
  'history-system': asked('_history?_since=2026-01-01'),
  'search-type': asked('DocumentReference?patient=p1&status=current', [PATIENT]),
  'search-system': asked('?_type=DocumentReference,Media&_count=5'),
  'batch': posted(''),
  'transaction': posted(''),
  'operation': { ...posted('DocumentReference/d1/$signed-url'), entities: [PATIENT, DOCUMENT] },
  'capabilities': asked('metadata'),
};

const REFUSED: Partial<AccessEvent> = {
  outcome: 4, status: 403, outcomeDesc: 'The scope user/*.rs does not allow this', issue: { code: 'forbidden', detail: 'forbidden' },
};

function refused(interaction: InteractionCode): AccessEvent {
  const { write: _, ...attempt } = SUCCESSES[interaction];
  return accessEvent(interaction, { ...attempt, entities: [], ...REFUSED });
}

function withoutAddress({ address: _, ...event }: AccessEvent): AccessEvent {
  return event;
}

const SPECIAL: Record<string, AccessEvent> = {
  'read-binary': accessEvent('read', {
    request: { method: 'GET', url: 'Binary/b1', accept: '*/*' }, status: 206, entities: [PATIENT, BINARY, DOCUMENT],
    bytes: { contentType: 'application/pdf', range: 'bytes=0-1023', size: 1024 },
  }),
  'read-list': accessEvent('read', { ...asked('List/l1', [PATIENT, { reference: 'List/l1/_history/1', role: 'data' }]) }),
  'read-not-modified': accessEvent('read', { ...SUCCESSES.read, status: 304 }),
  'read-by-client': accessEvent('read', { ...SUCCESSES.read, agent: SYSTEM }),
  'read-unknown-address': withoutAddress(accessEvent('read', SUCCESSES.read)),
  'read-not-found': accessEvent('read', {
    ...asked('DocumentReference/unknown'), outcome: 4, status: 404, outcomeDesc: 'No DocumentReference has the id unknown',
    issue: { code: 'not-found', detail: 'not-found' },
  }),
  'read-without-token': accessEvent('read', {
    ...asked('DocumentReference/d1'), agent: {}, outcome: 4, status: 401, outcomeDesc: 'No bearer token was sent',
    issue: { code: 'login', detail: 'login-required' },
  }),
  'read-refusal-flood': accessEvent('read', {
    ...asked('DocumentReference/d1'), agent: {}, outcome: 4, status: 429, outcomeDesc: 'Too many refused requests',
    issue: { code: 'throttled', detail: 'throttled' }, count: 37,
  }),
  'read-unavailable': accessEvent('read', {
    ...asked('DocumentReference/d1', [DOCUMENT]), outcome: 8, status: 503, outcomeDesc: 'The store cannot be reached',
    issue: { code: 'transient', detail: 'unavailable' },
  }),
  'read-integrity': accessEvent('read', {
    request: { method: 'GET', url: 'Binary/b1' }, entities: [BINARY, DOCUMENT], outcome: 8, status: 200,
    outcomeDesc: 'The stored bytes do not match their digest', issue: { code: 'exception', detail: 'integrity' },
    bytes: { contentType: 'application/pdf', size: 5_000_000, sent: 2_097_152 },
  }),
  'create-aborted': accessEvent('create', {
    ...posted('Binary'), outcome: 4, status: 0, outcomeDesc: 'The client ended the transfer', bytes: { contentType: 'video/mp4', sent: 4096 },
  }),
  'create-by-client': accessEvent('create', { ...SUCCESSES.create, agent: SYSTEM }),
  'create-asserted': accessEvent('create', written({ ...CREATED, asserted: ASSERTED }, 'POST', 201)),
  'create-by-put': accessEvent('update', { ...written(CREATED, 'PUT', 201), action: 'C' }),
  'operation-purge': accessEvent('operation', {
    ...posted('admin/purges/6f0c/approve'), entities: [PATIENT, DOCUMENT, BINARY],
    purge: {
      requestedBy: 'https://login.example.org|a1b2|ward-app', approvedBy: 'https://login.example.org|c3d4|ward-app', certificate: 'DocumentReference/c1',
      versions: [
        { reference: 'DocumentReference/d1/_history/1', lastUpdated: '2018-03-04T10:20:30.456Z', method: 'POST', sha256: 'ab'.repeat(32), content: undefined },
        { reference: 'Binary/b1/_history/1', lastUpdated: '2018-03-04T10:20:30.456Z', method: 'POST', sha256: 'cd'.repeat(32), content: { id: '0195f6f0-0000-7000-8000-000000000001', sha256: 'ef'.repeat(32), chunks: '01'.repeat(32), size: 5_000_000 } },
      ],
    },
  }),
  'operation-settings': accessEvent('operation', {
    request: { method: 'PATCH', url: 'admin/organisations/harbour' }, entities: [{ reference: 'urn:muniment:organisation:harbour/_history/4', role: 'data' }],
    change: { reference: 'urn:muniment:organisation:harbour/_history/4', before: '{"issuers":null,"title":"Harbour"}', after: '{"issuers":["https://login.example.org"],"title":"Harbour Clinic"}' },
  }),
  'search-by-post': accessEvent('search-type', { ...posted('DocumentReference/_search', 'patient=p1&access_token=secret'), entities: [PATIENT] }),
  'search-without-patient': accessEvent('search-type', SUCCESSES['history-type']),
};

/** Every sample by the name of its golden file: one success and one refusal of each interaction, and the special ones. */
export function sampleEvents(): Record<string, AccessEvent> {
  const interactions = Object.keys(SUCCESSES) as InteractionCode[];
  return {
    ...Object.fromEntries(interactions.map((code) => [`${code}-success`, accessEvent(code, SUCCESSES[code])])),
    ...Object.fromEntries(interactions.map((code) => [`${code}-refused`, refused(code)])),
    ...SPECIAL,
  };
}
