// The profile of IHE BALP that an AuditEvent claims: by its interaction, and by whether one patient is concerned.
import type { AccessEvent, AuditAction, InteractionCode } from './access-event.ts';
import { shownText } from './shown-text.ts';
import { touchedPatients, touchedResources } from './touched-references.ts';

export const BALP_PROFILE = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.';

/** The pattern of an interaction and the action that it fixes; the other interactions have none. */
export const BALP_PATTERNS: ReadonlyMap<InteractionCode, readonly [pattern: string, action: AuditAction]> = new Map<InteractionCode, readonly [string, AuditAction]>([
  ['read', ['Read', 'R']], ['vread', ['Read', 'R']], ['create', ['Create', 'C']], ['update', ['Update', 'U']], ['patch', ['Update', 'U']],
  ['delete', ['Delete', 'D']], ['search-type', ['Query', 'E']], ['search-system', ['Query', 'E']],
]);

/** The profiles that this event meets: successes alone have one, with the client's address and what was touched. */
export function balpProfiles(event: AccessEvent): string[] | undefined {
  const [pattern, action] = BALP_PATTERNS.get(event.interaction) ?? [];
  if (pattern === undefined || action !== event.action || event.outcome !== 0) return undefined;
  if (shownText(event.address) === undefined) return undefined;
  if (pattern !== 'Query' && touchedResources(event).length === 0) return undefined;
  const patients = touchedPatients(event);
  return [`${BALP_PROFILE}${patients.length === 1 ? 'Patient' : ''}${pattern}`];
}
