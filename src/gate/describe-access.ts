// From a request and what came of it to access events: the same shape for success, refusal and failure.
import { EMERGENCY_PURPOSE, type DeclaredEmergency } from '../access/break-glass.ts';
import { INTERACTION_ACTIONS, type AccessEntity, type AccessEvent, type AccessWrite, type AuditOutcome, type InteractionCode } from '../audit/access-event.ts';
import { withoutCredentials } from '../audit/shown-text.ts';
import type { Principal } from '../access/principal.ts';
import { printInstant } from '../fhir/instant.ts';
import type { FhirRequest, Outcome } from '../interactions/interaction.ts';
import { emergencyReference } from '../resources/emergencies.ts';

export interface AccessCircumstances {
  eventId: string;
  now: number;
  org: string;
  interaction: InteractionCode;
  request: FhirRequest;
  principal: Principal | undefined;
  observer: string;
  /** Under which this access takes place. */
  emergency?: DeclaredEmergency | undefined;
  /** What was out of the ordinary in an access that succeeded. */
  note?: string | undefined;
  /** Ids of the consents that would have withheld something, had there been no emergency. */
  overridden?: readonly string[] | undefined;
  /** JSON text of the client's X-Provenance, once it was checked. */
  asserted?: string | undefined;
}

const URL_CHARACTERS_MAX = 4_096;

export function agentOf({ principal, emergency }: Pick<AccessCircumstances, 'principal' | 'emergency'>): AccessEvent['agent'] {
  if (principal === undefined) return {};
  const { clientId, grant, issuer, jti, name, roles, subject, fhirUser } = principal;
  const purposeOfUse = emergency === undefined ? principal.purposeOfUse : [...new Set([...principal.purposeOfUse ?? [], EMERGENCY_PURPOSE])];
  return {
    client: clientId,
    ...(grant === undefined ? {} : { grant: grant.id }),
    issuer,
    ...(jti === undefined ? {} : { jti }),
    ...(name === undefined ? {} : { name }),
    ...(purposeOfUse === undefined ? {} : { purposeOfUse: [...purposeOfUse] }),
    ...(roles.length === 0 ? {} : { roles: [...roles] }),
    subject,
    ...(fhirUser === undefined ? {} : { user: fhirUser }),
  };
}

/** Names the emergency last, and the consents that it set aside: what was touched under it comes first. */
function emergencyEntity({ emergency, overridden = [] }: AccessCircumstances): AccessEntity[] {
  if (emergency === undefined) return [];
  return [...overridden.map((id) => `Consent/${id}`), emergencyReference(emergency.id)].map((reference) => ({ reference, role: 'data' }));
}

/** HTTP status to audit outcome: 4xx are the caller's (minor), 5xx ours (serious). */
export function auditOutcome(status: number): AuditOutcome {
  return status >= 500 ? 8 : status >= 400 || status === 0 ? 4 : 0;
}

/** Members stand in the canonical order, so that the text of the leaf needs no sorting. */
export function describeAccess(circumstances: AccessCircumstances, status: number, more: Partial<AccessEvent> = {}): AccessEvent {
  const { request } = circumstances;
  const interaction = more.interaction ?? circumstances.interaction;
  const accept = request.header('accept');
  const { outcome = auditOutcome(status), bytes, change, entities = [], grant, outcomeDesc, purge, write } = more;
  return {
    action: INTERACTION_ACTIONS[interaction],
    ...(request.address === undefined ? {} : { address: request.address }),
    agent: agentOf(circumstances),
    ...(bytes === undefined ? {} : { bytes }),
    ...(change === undefined ? {} : { change }),
    entities: [...entities, ...emergencyEntity(circumstances)],
    ...(grant === undefined ? {} : { grant }),
    id: circumstances.eventId,
    interaction,
    layout: 1,
    observer: circumstances.observer,
    org: circumstances.org,
    outcome,
    ...(outcomeDesc === undefined ? {} : { outcomeDesc: withoutCredentials(outcomeDesc) }),
    ...(purge === undefined ? {} : { purge }),
    recorded: printInstant(circumstances.now),
    request: {
      ...(accept === undefined ? {} : { accept: withoutCredentials(accept).slice(0, 256) }),
      ...(request.form === undefined ? {} : { form: withoutCredentials(request.form) }),
      method: request.method,
      url: withoutCredentials(request.url).slice(0, URL_CHARACTERS_MAX),
    },
    requestId: request.requestId,
    status,
    ...(write === undefined ? {} : { write }),
  };
}

function withAsserted({ activity, ...write }: AccessWrite, asserted: string | undefined): AccessWrite {
  return asserted === undefined ? { activity, ...write } : { activity, asserted, ...write };
}

/** The events of an interaction that ran: one, or one for each patient of a search's result (IHE BALP). */
export function describeOutcome(circumstances: AccessCircumstances, outcome: Outcome, nextId: () => string): AccessEvent[] {
  const event = describeAccess(circumstances, outcome.response.status, {
    entities: outcome.entities,
    ...(outcome.code === undefined ? {} : { interaction: outcome.code }),
    ...(outcome.write === undefined ? {} : { write: withAsserted(outcome.write, circumstances.asserted) }),
    ...(outcome.bytes === undefined ? {} : { bytes: outcome.bytes }),
    ...(circumstances.note === undefined ? {} : { outcomeDesc: circumstances.note }),
    ...(outcome.change === undefined ? {} : { change: outcome.change }),
    ...(outcome.purge === undefined ? {} : { purge: outcome.purge }),
    ...(outcome.grant === undefined ? {} : { grant: outcome.grant }),
  });
  const patients = [...(outcome.byPatient ?? [])];
  if (patients.length === 0) return [event];
  // Matches about no patient travel with the first event: their access is recorded, and no event is there for nobody.
  return patients.map(([patient, matches], position) => ({
    ...event,
    id: position === 0 ? event.id : nextId(),
    entities: [{ reference: patient, role: 'patient' as const }, ...matches, ...(position === 0 ? outcome.entities : []), ...emergencyEntity(circumstances)],
  }));
}
