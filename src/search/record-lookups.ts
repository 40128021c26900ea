// How each search parameter of AuditEvent and Provenance is found in the rows of the record (R4 auditevent.html 6.4.7,
// provenance.html 6.3.7). What the renderer never shows is found by nothing.
import { AGENT_NAME, AGENT_ROLES, CLIENT_ADDRESS, SERVER_ADDRESS, TOKEN_ID, type OpenField } from './record-open-values.ts';
import { ACTIONS, CLAIMED_PROFILES, ENTITY_ROLE_CODES, ENTITY_TYPES, EVENT_TYPES, OUTCOMES, PROVENANCE_AGENT_TYPES, SUBTYPES, type ColumnCodes, type ShownCode } from './record-codes.ts';
import {
  AUDIT_AGENT, AUDIT_ENTITY, AUDIT_PATIENT, AUDIT_SOURCE, PROVENANCE_AGENT, PROVENANCE_ENTITY, PROVENANCE_PATIENT, PROVENANCE_TARGET, type ReferenceLookup,
} from './record-references.ts';

export type RecordLookup =
  | { kind: 'id' | 'time' | 'request' | 'site' }
  | { kind: 'column'; codes: ColumnCodes }
  | { kind: 'codes'; codes: readonly ShownCode[] }
  | { kind: 'open'; fields: readonly OpenField[] }
  | { kind: 'reference'; lookup: ReferenceLookup };

const codes = (...lists: (readonly ShownCode[])[]): RecordLookup => ({ kind: 'codes', codes: lists.flat() });
const column = (one: ColumnCodes): RecordLookup => ({ kind: 'column', codes: one });
const open = (...fields: OpenField[]): RecordLookup => ({ kind: 'open', fields });
const reference = (lookup: ReferenceLookup): RecordLookup => ({ kind: 'reference', lookup });
/** Elements that no record has. */
const NEVER: RecordLookup = { kind: 'codes', codes: [] };

const COMMON: Record<string, RecordLookup> = {
  _id: { kind: 'id' }, _lastUpdated: { kind: 'time' }, _tag: NEVER, _security: NEVER, _source: NEVER,
};

export const AUDIT_EVENT_LOOKUPS: Readonly<Record<string, RecordLookup>> = {
  ...COMMON,
  _profile: codes(CLAIMED_PROFILES),
  'action': column(ACTIONS), 'outcome': column(OUTCOMES), 'subtype': column(SUBTYPES), 'type': codes(EVENT_TYPES),
  'address': open(CLIENT_ADDRESS, SERVER_ADDRESS), 'agent-name': open(AGENT_NAME), 'agent-role': open(AGENT_ROLES), 'policy': open(TOKEN_ID),
  'agent': reference(AUDIT_AGENT), 'entity': reference(AUDIT_ENTITY), 'patient': reference(AUDIT_PATIENT), 'source': reference(AUDIT_SOURCE),
  'entity-type': codes(ENTITY_TYPES), 'entity-role': codes(ENTITY_ROLE_CODES),
  'date': { kind: 'time' }, 'request-id': { kind: 'request' }, 'site': { kind: 'site' },
  'altid': NEVER, 'entity-name': NEVER,
};

export const PROVENANCE_LOOKUPS: Readonly<Record<string, RecordLookup>> = {
  ...COMMON,
  _profile: NEVER,
  'agent': reference(PROVENANCE_AGENT), 'entity': reference(PROVENANCE_ENTITY), 'patient': reference(PROVENANCE_PATIENT), 'target': reference(PROVENANCE_TARGET),
  'agent-type': codes(PROVENANCE_AGENT_TYPES),
  'recorded': { kind: 'time' }, 'when': { kind: 'time' },
  'agent-role': NEVER, 'location': NEVER, 'signature-type': NEVER,
};
