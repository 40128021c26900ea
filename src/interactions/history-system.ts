// history-system (R4 http.html 3.1.0.12): what happened to the resources of every type that the caller may read. The record
// is not part of it: it never changes, and is searched.
import { authorize } from '../access/authorize.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { answerHistory, type HistoryParts } from './history-bundle.ts';
import { defineInteraction, type Interaction } from './interaction.ts';

export function historySystem(parts: HistoryParts, types: readonly ResourceType[]): Interaction {
  return defineInteraction({
    code: 'history-system',
    kind: 'read',
    run: (tx, context) => {
      const decisions = types.map((type) => ({ type, decision: authorize(context.principal, { interaction: 'history-type', type }) }));
      const readable = decisions.flatMap(({ type, decision }) => (decision.permit && decision.restriction.kind !== 'nothing' ? [[typeNumber(type), decision.restriction] as const] : []));
      const refused = decisions.map(({ decision }) => decision).find((decision) => !decision.permit);
      if (decisions.every(({ decision }) => !decision.permit)) throw fhirError('forbidden', refused?.permit === false ? refused.reason : 'There is no type that may be read');
      return answerHistory(tx, context, parts, { org: context.org.id, types: readable.map(([type]) => type), restrictions: new Map(readable), path: '_history', counted: false });
    },
  });
}
