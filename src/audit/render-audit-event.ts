// AuditEvent of one access (R4 auditevent.html) in the shape of IHE BALP. Rendered, never stored: equal rows give equal
// resources, and nothing in them depends on the address of this server.
import type { AccessEvent, AuditAction, AuditOutcome, InteractionCode } from './access-event.ts';
import { auditAgents } from './audit-agents.ts';
import type { AuditAgent } from './audit-agents.ts';
import { auditEntities } from './audit-entities.ts';
import type { AuditEntity } from './audit-entities.ts';
import { balpProfiles } from './balp-profile.ts';
import { containedOutcome, outcomeText } from './audit-outcome.ts';
import type { ContainedOutcome } from './audit-outcome.ts';
import { APPLICATION_SERVER, concept, EMERGENCY_TREATMENT, REST, RESTFUL_INTERACTION } from './coding.ts';
import type { CodeableConcept, Coding } from './coding.ts';
import { shownText } from './shown-text.ts';
import { EMERGENCY_SYSTEM } from './touched-references.ts';
import { serverWho } from './who.ts';
import type { Who } from './who.ts';
import { notEmpty, withoutUndefined } from './without-undefined.ts';

/** The resource as JSON, members in R4's order. */
export type RenderedAuditEvent = {
  resourceType: 'AuditEvent';
  id: string;
  meta: { versionId: '1'; lastUpdated: string; profile?: string[] };
  contained?: ContainedOutcome[];
  type: Coding;
  subtype: Coding[];
  action: AuditAction;
  recorded: string;
  outcome: `${AuditOutcome}`;
  outcomeDesc?: string;
  purposeOfEvent?: CodeableConcept[];
  agent: AuditAgent[];
  source: { site?: string; observer: Who; type: Coding[] };
  entity?: AuditEntity[];
};

export function renderAuditEvent(event: AccessEvent): RenderedAuditEvent {
  const told = { ...event, interaction: toldInteraction(event) };
  const { id, recorded, action, outcome } = event;
  return withoutUndefined({
    resourceType: 'AuditEvent' as const,
    id,
    meta: withoutUndefined({ versionId: '1' as const, lastUpdated: recorded, profile: balpProfiles(told) }),
    contained: outcome === 0 ? undefined : [containedOutcome(told)],
    type: REST,
    subtype: [{ system: RESTFUL_INTERACTION, code: told.interaction, display: told.interaction }],
    action,
    recorded,
    outcome: String(outcome) as `${AuditOutcome}`,
    outcomeDesc: outcomeText(told),
    purposeOfEvent: isEmergency(event) ? [concept(EMERGENCY_TREATMENT)] : undefined,
    agent: auditAgents(told),
    source: withoutUndefined({ site: shownText(event.org), observer: serverWho(event), type: [APPLICATION_SERVER] }),
    entity: notEmpty(auditEntities(told)),
  });
}

/** The purpose of the whole event, besides that which the token claims for its agent. */
const isEmergency = ({ entities }: AccessEvent): boolean => entities.some(({ reference }) => reference.startsWith(`${EMERGENCY_SYSTEM}:`));

/** An update that created its resource is told as a create. */
function toldInteraction({ interaction, action }: AccessEvent): InteractionCode {
  return interaction === 'update' && action === 'C' ? 'create' : interaction;
}
