// AuditEvent.entity: patients, what was asked, the data, the request's id and, of a failure, its outcome (IHE BALP).
import type { AccessEvent, InteractionCode } from './access-event.ts';
import { OUTCOME_ID } from './audit-outcome.ts';
import {
  AMENDMENT, DOMAIN_RESOURCE_ROLE, JOB_ROLE, LOGICAL_DELETION, OPERATION_OUTCOME, ORIGINATION, OTHER_OBJECT, PATIENT_ROLE, PERMANENT_ERASURE, PERSON, SECURITY_RESOURCE_ROLE,
  QUERY_ROLE, REPORT_ROLE, REQUEST_ID, RESOURCE_TYPE, SYSTEM_OBJECT, USE,
} from './coding.ts';
import type { Coding } from './coding.ts';
import { shownText, withoutCredentials } from './shown-text.ts';
import { ownIdentifier, referencedType, touchedData, touchedPatients, touchedResources } from './touched-references.ts';
import { notEmpty, withoutUndefined } from './without-undefined.ts';

type Detail = { type: string; valueString: string };

/** `query` and a name never stand together (R4 invariant sev-1): no entity here has a name. */
export type AuditEntity = {
  what?: { reference: string } | { identifier: { system?: string; value: string } };
  type: Coding;
  role?: Coding;
  lifecycle?: Coding;
  description?: string;
  /** base64Binary */
  query?: string;
  detail?: Detail[];
};

const LIFECYCLES: Partial<Record<InteractionCode, Coding>> = {
  'create': ORIGINATION, 'update': AMENDMENT, 'patch': AMENDMENT, 'delete': LOGICAL_DELETION,
  'read': USE, 'vread': USE, 'history-instance': USE,
};

const WRITE_LIFECYCLES = { CREATE: ORIGINATION, UPDATE: AMENDMENT, DELETE: LOGICAL_DELETION } as const;

/** Roles of data by its resource type; what is not here is a domain resource. */
export const DATA_ROLES: ReadonlyMap<string, Coding> = new Map([['DocumentReference', REPORT_ROLE], ['Media', REPORT_ROLE], ['Binary', REPORT_ROLE], ['List', JOB_ROLE]]);

/** Interactions whose request is shown as an entity. */
export const QUERIES: ReadonlySet<InteractionCode> = new Set(['search-type', 'search-system', 'history-type', 'history-system', 'operation']);

export function auditEntities(event: AccessEvent): AuditEntity[] {
  const failed = event.outcome !== 0;
  // What was asked is also shown of a failure that touched nothing: its URL is then all that tells what was wanted.
  const asked = QUERIES.has(event.interaction) || (failed && touchedResources(event).length === 0);
  return [
    ...touchedPatients(event).map(patientEntity),
    ...(asked ? [queryEntity(event)] : []),
    ...dataEntities(event, asked),
    ...grantEntities(event),
    ...(shownText(event.requestId) === undefined ? [] : [requestEntity(event.requestId)]),
    ...(failed ? [outcomeEntity(event)] : []),
  ];
}

function patientEntity(reference: string): AuditEntity {
  return { what: { reference }, type: PERSON, role: PATIENT_ROLE };
}

/** The request as it came, but for credentials: request line, chosen headers and, after an empty line, the form. */
export function requestText({ request, requestId }: AccessEvent): string {
  const head = [`${request.method} ${withoutCredentials(request.url)}`];
  if (request.accept !== undefined) head.push(`Accept: ${withoutCredentials(request.accept)}`);
  head.push(`X-Request-Id: ${requestId}`);
  return [...head, ...(request.form === undefined ? [] : ['', withoutCredentials(request.form)])].join('\n');
}

function queryEntity(event: AccessEvent): AuditEntity {
  const query = Buffer.from(requestText(event), 'utf8').toString('base64');
  return withoutUndefined({
    type: SYSTEM_OBJECT, role: QUERY_ROLE, description: shownText(`${event.request.method} ${event.request.url}`), query,
  });
}

/**
 * BALP counts entities of type System Object: one for the query or the data. Further data, such as the documents that
 * use a Binary which is read, therefore name their resource type as type, which R4's value set admits beside it.
 */
function dataEntities(event: AccessEvent, asked: boolean): AuditEntity[] {
  const references = touchedData(event);
  const holder = references.find((reference) => referencedType(reference) === 'Binary') ?? touchedResources(event)[0];
  return references.map((reference, position) => {
    const type = referencedType(reference);
    const identifier = ownIdentifier(reference);
    return withoutUndefined({
      what: identifier === undefined ? { reference } : { identifier },
      type: position === 0 && !asked ? SYSTEM_OBJECT : furtherType(type),
      role: identifier === undefined ? DATA_ROLES.get(type ?? '') ?? DOMAIN_RESOURCE_ROLE : SECURITY_RESOURCE_ROLE,
      lifecycle: identifier !== undefined ? undefined : lifecycleOf(event),
      detail: notEmpty([...(reference === holder ? [...bytesDetails(event), ...purgeDetails(event)] : []), ...changeDetails(event, reference)]),
    });
  });
}

function lifecycleOf({ purge, write, interaction }: AccessEvent): Coding | undefined {
  if (purge !== undefined) return PERMANENT_ERASURE;
  return write === undefined ? LIFECYCLES[interaction] : WRITE_LIFECYCLES[write.activity];
}

function furtherType(type: string | undefined): Coding {
  return type === undefined ? OTHER_OBJECT : { system: RESOURCE_TYPE, code: type, display: type };
}

/** The grant that was used, made, renewed or revoked. */
function grantEntities({ agent, grant = agent.grant }: AccessEvent): AuditEntity[] {
  return grant === undefined ? [] : [{ what: { identifier: { value: `urn:uuid:${grant}` } }, type: OTHER_OBJECT, role: SECURITY_RESOURCE_ROLE }];
}

function requestEntity(requestId: string): AuditEntity {
  return { what: { identifier: { value: shownText(requestId) ?? requestId } }, type: REQUEST_ID };
}

/** Bytes and counts of a failure that touched no data are told with its outcome. */
function outcomeEntity(event: AccessEvent): AuditEntity {
  const bytes = touchedResources(event).length === 0 ? bytesDetails(event) : [];
  const count = event.count === undefined ? [] : [{ type: 'count', valueString: String(event.count) }];
  return withoutUndefined({ what: { reference: `#${OUTCOME_ID}` }, type: OPERATION_OUTCOME, detail: notEmpty([...bytes, ...count]) });
}

function bytesDetails({ bytes = {} }: AccessEvent): Detail[] {
  const { contentType, range, size, sent } = bytes;
  return shownDetails({ 'content-type': contentType, range, size: size?.toString(), sent: sent?.toString() });
}

/** Who purged, and how much: the digests of what went stand in the recorded text, which `$inclusion-proof` shows. */
function purgeDetails({ purge }: AccessEvent): Detail[] {
  if (purge === undefined) return [];
  const { approvedBy, certificate, requestedBy, versions } = purge;
  return shownDetails({ 'purged-versions': String(versions.length), 'requested-by': requestedBy, 'approved-by': approvedBy, certificate });
}

/** What was changed, as it was before and as it is. */
function changeDetails({ change }: AccessEvent, reference: string): Detail[] {
  return change?.reference === reference ? shownDetails({ before: change.before, after: change.after }) : [];
}

function shownDetails(rows: Record<string, string | undefined>): Detail[] {
  return Object.entries(rows).flatMap(([type, value]) => {
    const valueString = shownText(value);
    return valueString === undefined ? [] : [{ type, valueString }];
  });
}
