// history-instance (R4 http.html 3.1.0.12): all versions of one resource, newest first, deletions without a resource.
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { readNewest } from '../resources/read-version.ts';
import { answerHistory, type HistoryParts } from './history-bundle.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { patientEntity } from './write-outcome.ts';

export function historyInstance(parts: HistoryParts): Interaction {
  return defineInteraction({
    code: 'history-instance',
    kind: 'read',
    async run(tx, context) {
      const { request: { type, id }, org } = context;
      const newest = await readNewest(tx, org.id, typeNumber(type), id);
      if (newest === undefined) throw fhirError('not-found', `${type}/${id} is not known here`);
      const outcome = await answerHistory(tx, context, parts, { org: org.id, types: [typeNumber(type)], id, path: `${type}/${id}/_history`, counted: true });
      // A page without versions still tells that the resource is there.
      if (outcome.entities.length === 0) outcome.entities = [...patientEntity(newest.patient), { reference: `${type}/${id}/_history/${newest.version}`, role: 'data' }];
      return outcome;
    },
  });
}
