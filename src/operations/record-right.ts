// Who may ask about the record as a whole: whoever reads and searches all of it.
import { authorize } from '../access/authorize.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { InteractionContext } from '../interactions/interaction.ts';

/** Raises 403 for anybody else; `what` is shown. */
export function requireRecordRight({ principal }: InteractionContext, what: string): void {
  for (const interaction of ['read', 'search-type'] as const) {
    const decision = authorize(principal, { interaction, type: 'AuditEvent' });
    if (!decision.permit) throw fhirError('forbidden', decision.reason, decision.code === 'insufficient_scope' ? { headers: { 'WWW-Authenticate': 'Bearer realm="Muniment", error="insufficient_scope"' } } : {});
    if (decision.restriction.kind !== 'none') throw fhirError('forbidden', `${what} is shown to whoever may read the whole record`);
  }
}
