// AuditEvent/[id]/$inclusion-proof: that the event is a leaf of the log, to be verified with a public key alone.
import { fhirError } from '../fhir/fhir-error.ts';
import { defineInteraction, type Interaction } from '../interactions/interaction.ts';
import type { InclusionProof, LogProofs } from '../log/read-proofs.ts';
import { bytesParameter, countParameter, parametersOutcome, textParameter } from './log-parameters.ts';
import { requireRecordRight } from './record-right.ts';

/** Seconds; a holder of the key seals within a minute. */
const RETRY_AFTER = '5';

export function inclusionProof(log: LogProofs): Interaction {
  return defineInteraction<InclusionProof>({
    code: 'operation',
    kind: 'read',
    async prepare(context) {
      requireRecordRight(context, 'A proof of the record');
      const proof = await log.inclusion(context.org.id, context.request.id);
      if (proof === 'unknown') throw fhirError('not-found', `AuditEvent/${context.request.id} is not known here`);
      if (proof === 'unsealed') throw fhirError('unavailable', 'No checkpoint covers this event yet', { headers: { 'Retry-After': RETRY_AFTER } });
      return proof;
    },
    run: async (_tx, { request }, { checkpoint, index, leaf, path, text }) => parametersOutcome([
      textParameter('checkpoint', checkpoint.note),
      countParameter('size', checkpoint.size),
      countParameter('index', index),
      bytesParameter('text', text),
      bytesParameter('leaf', leaf),
      ...path.map((node) => bytesParameter('path', node)),
    ], [{ reference: `AuditEvent/${request.id}/_history/1`, role: 'data' }]),
  });
}
