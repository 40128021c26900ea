// history-type (R4 http.html 3.1.0.12): what happened to all resources of a type, newest first.
import { typeNumber } from '../fhir/resource-type.ts';
import { answerHistory, type HistoryParts } from './history-bundle.ts';
import { defineInteraction, type Interaction } from './interaction.ts';

export function historyType(parts: HistoryParts): Interaction {
  return defineInteraction({
    code: 'history-type',
    kind: 'read',
    run: (tx, context) => {
      const { request: { type }, org, restriction } = context;
      const number = typeNumber(type);
      const types = restriction.kind === 'nothing' ? [] : [number];
      return answerHistory(tx, context, parts, { org: org.id, types, restrictions: new Map([[number, restriction]]), path: `${type}/_history`, counted: false });
    },
  });
}
