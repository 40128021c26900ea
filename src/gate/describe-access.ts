// From a request and what came of it to access events: the same shape for success, refusal and failure.
import { INTERACTION_ACTIONS, type AccessEvent, type AuditOutcome, type InteractionCode } from '../audit/access-event.ts';
import type { Principal } from '../access/principal.ts';
import { printInstant } from '../fhir/instant.ts';
import type { FhirRequest, Outcome } from '../interactions/interaction.ts';

export interface AccessCircumstances {
  eventId: string;
  now: number;
  org: string;
  interaction: InteractionCode;
  request: FhirRequest;
  principal: Principal | undefined;
  observer: string;
}

const URL_CHARACTERS_MAX = 4_096;

function agentOf(principal: Principal | undefined): AccessEvent['agent'] {
  if (principal === undefined) return {};
  return {
    ...(principal.fhirUser === undefined ? {} : { user: principal.fhirUser }),
    issuer: principal.issuer,
    subject: principal.subject,
    ...(principal.name === undefined ? {} : { name: principal.name }),
    ...(principal.roles.length === 0 ? {} : { roles: [...principal.roles] }),
    client: principal.clientId,
    ...(principal.jti === undefined ? {} : { jti: principal.jti }),
  };
}

/** HTTP status to audit outcome: 4xx are the caller's (minor), 5xx ours (serious). */
export function auditOutcome(status: number): AuditOutcome {
  return status >= 500 ? 8 : status >= 400 || status === 0 ? 4 : 0;
}

export function describeAccess(circumstances: AccessCircumstances, status: number): AccessEvent {
  const { request } = circumstances;
  const accept = request.header('accept');
  return {
    layout: 1,
    id: circumstances.eventId,
    recorded: printInstant(circumstances.now),
    org: circumstances.org,
    requestId: request.requestId,
    interaction: circumstances.interaction,
    action: INTERACTION_ACTIONS[circumstances.interaction],
    outcome: auditOutcome(status),
    status,
    request: {
      method: request.method,
      url: request.url.slice(0, URL_CHARACTERS_MAX),
      ...(accept === undefined ? {} : { accept: accept.slice(0, 256) }),
    },
    agent: agentOf(circumstances.principal),
    ...(request.address === undefined ? {} : { address: request.address }),
    observer: circumstances.observer,
    entities: [],
  };
}

/** The events of an interaction that ran: one, or one for each patient of a search's result (IHE BALP). */
export function describeOutcome(circumstances: AccessCircumstances, outcome: Outcome, nextId: () => string): AccessEvent[] {
  const event: AccessEvent = {
    ...describeAccess(circumstances, outcome.response.status),
    entities: outcome.entities,
    ...(outcome.write === undefined ? {} : { write: outcome.write }),
    ...(outcome.bytes === undefined ? {} : { bytes: outcome.bytes }),
  };
  const patients = [...(outcome.byPatient ?? [])];
  if (patients.length === 0) return [event];
  // Matches about no patient travel with the first event: their access is recorded, and no event is there for nobody.
  return patients.map(([patient, matches], position) => ({
    ...event,
    id: position === 0 ? event.id : nextId(),
    entities: [{ reference: patient, role: 'patient' as const }, ...matches, ...(position === 0 ? outcome.entities : [])],
  }));
}
