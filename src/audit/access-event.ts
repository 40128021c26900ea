// One access, as a value: what the record keeps of it. Its canonical JSON text is the leaf of the log, and AuditEvent
// and Provenance are rendered from it, so nothing that they show may be missing here.
import { hash } from 'node:crypto';
import type { ErrorDetail, IssueCode } from '../fhir/fhir-error.ts';
import type { StoredVersion } from './version-leaf.ts';

/** Codes of http://hl7.org/fhir/restful-interaction that this server records, with R4's audit action. */
export const INTERACTION_ACTIONS = {
  'create': 'C', 'read': 'R', 'vread': 'R', 'update': 'U', 'patch': 'U', 'delete': 'D',
  'history-instance': 'R', 'history-type': 'R', 'history-system': 'R',
  'search-type': 'E', 'search-system': 'E', 'batch': 'E', 'transaction': 'E', 'operation': 'E', 'capabilities': 'E',
} as const;

export type InteractionCode = keyof typeof INTERACTION_ACTIONS;
export type AuditAction = 'C' | 'R' | 'U' | 'D' | 'E';
/** http://hl7.org/fhir/audit-event-outcome: success, minor, serious, major failure. */
export type AuditOutcome = 0 | 4 | 8 | 12;

export interface AccessAgent {
  /** The claim fhirUser: Practitioner/1. */
  user?: string;
  issuer?: string;
  subject?: string;
  name?: string;
  roles?: string[];
  /** client_id of the token. */
  client?: string;
  jti?: string;
  /** v3-ActReason codes. */
  purposeOfUse?: string[];
  /** Id of the grant whose signed URL was used: whoever held it acted by the right of this user. */
  grant?: string;
}

export interface AccessEntity {
  /** Versioned where a version was touched: DocumentReference/1/_history/2; a patient is Patient/1. */
  reference: string;
  role: 'patient' | 'data';
}

/** The full Provenance of a write. */
export interface AccessWrite {
  /** v3-DataOperation */
  activity: 'CREATE' | 'UPDATE' | 'DELETE';
  /** Versioned references of what was written. */
  targets: string[];
  /** Where it came from: the Binary of a document (source), the version before (revision), the deleted one (removal). */
  sources: { role: 'source' | 'revision' | 'removal' | 'derivation'; reference: string }[];
  /** References of the document's own authors and custodian, as its text names them. */
  authors: string[];
  custodian?: string;
  /** JSON text of what the client asserted in X-Provenance: a text inside a text, so that nothing in it reads as ours. */
  asserted?: string;
}

/** What a purge took for good. The leaf of its event is what verification accepts in the place of what is gone, and nothing else is. */
export interface AccessPurge {
  /** Versions whose text or bytes went, each as its own leaf was made of it. */
  versions: PurgedVersion[];
  /** `issuer|subject|client` of the administrator who asked, and of the other one who approved. */
  requestedBy: string;
  approvedBy: string;
  /** Reference of the DocumentReference that certifies it. */
  certificate?: string;
}

/** What an administrator changed of the settings of an organisation, or of its policy. */
export interface AccessChange {
  /** Reference of what it is, with the version that the change made: one of the entities. */
  reference: string;
  /** JSON texts of what was changed alone, as it was and as it is. Without `before` it is new. */
  before?: string;
  after: string;
}

export interface PurgedVersion extends StoredVersion {
  /** Type/id/_history/version */
  reference: string;
}

export interface AccessEvent {
  layout: 1;
  /** UUIDv7 of `recorded`. */
  id: string;
  /** FHIR instant in UTC with milliseconds. */
  recorded: string;
  /** Organisation name as in tokens. */
  org: string;
  requestId: string;
  interaction: InteractionCode;
  action: AuditAction;
  outcome: AuditOutcome;
  /** HTTP status of the answer; 0 when the transfer ended before there was one. */
  status: number;
  /** For a failure: the diagnostics that the client was shown. */
  outcomeDesc?: string;
  /** For a failure: the codes of the first issue that the client was shown. */
  issue?: { code: IssueCode; detail: ErrorDetail };
  request: {
    method: string;
    /** Below the FHIR base, with the query: DocumentReference?patient=1 */
    url: string;
    accept?: string;
    /** Form body of a search by POST. */
    form?: string;
  };
  agent: AccessAgent;
  /** Peer address of the client. */
  address?: string;
  /** Name of this server instance. */
  observer: string;
  entities: AccessEntity[];
  /** For bytes: the range asked for, and what was really sent when the transfer ended otherwise than recorded. */
  bytes?: { contentType?: string; range?: string; size?: number; sent?: number };
  write?: AccessWrite;
  change?: AccessChange;
  purge?: AccessPurge;
  /** Signed statement by which old accesses are removed from the record. */
  removal?: string;
  /** Id of the grant that was made, renewed or revoked. */
  grant?: string;
  /** How many equal refusals this row counts (a flood of 401). */
  count?: number;
}

/** Canonical text: keys in the order of their code units at each level, no white space (RFC 8785 for our value range). */
export function canonicalText(event: AccessEvent): string {
  return JSON.stringify(isSorted(event) ? event : sorted(event));
}

/** Events are mostly made in order already; a look costs less than making them anew. */
function isSorted(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (Array.isArray(value)) return value.every(isSorted);
  let before = '';
  for (const key in value) {
    if (key < before || !isSorted((value as Record<string, unknown>)[key])) return false;
    before = key;
  }
  return true;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}

/** RFC 9162 2.1.1: SHA-256 over 0x00 and the leaf's bytes, hexadecimal. */
export const leafDigest = (text: string): string => hash('sha256', `\0${text}`);

/** The same as bytes. */
export function leafHash(text: string): Buffer {
  // By way of hexadecimal it costs less than as a buffer.
  return Buffer.from(leafDigest(text), 'hex');
}
