// The door for an entry of a batch or transaction: its own right, its own event, the request id of the Bundle.
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { EntryAccess, FhirRequest, InteractionContext, Passage } from '../interactions/interaction.ts';
import { describeAccess, describeOutcome, type AccessCircumstances } from './describe-access.ts';

type Admit = (passage: Passage, request: FhirRequest, circumstances: AccessCircumstances) => Promise<InteractionContext>;

export function createEntryAccess(bundle: AccessCircumstances, admit: Admit): (passage: Passage, request: FhirRequest) => EntryAccess {
  return (passage, request) => {
    const circumstances: AccessCircumstances = { ...bundle, eventId: newUuidV7(bundle.now), interaction: passage.interaction.code, request, asserted: undefined, note: undefined };
    return {
      async prepare(share, assignedId) {
        const context = await admit(passage, request, circumstances);
        return passage.interaction.prepare({ ...context, ...(share === undefined ? {} : { share }), ...(assignedId === undefined ? {} : { assignedId }) });
      },
      succeeded: (outcome) => describeOutcome(circumstances, outcome, () => newUuidV7(bundle.now)),
      failed: (status, diagnostics) => describeAccess(circumstances, status, { outcomeDesc: diagnostics.slice(0, 500) }),
    };
  };
}
