// $audit-checkpoint: the newest signed checkpoint of the log, and the keys that sign it.
import { fhirError } from '../fhir/fhir-error.ts';
import { defineInteraction, type Interaction } from '../interactions/interaction.ts';
import type { LogProofs } from '../log/read-proofs.ts';
import { countParameter, parametersOutcome, textParameter } from './log-parameters.ts';
import { requireRecordRight } from './record-right.ts';

type Newest = NonNullable<Awaited<ReturnType<LogProofs['newest']>>>;

export function auditCheckpoint(log: LogProofs): Interaction {
  return defineInteraction<Newest>({
    code: 'operation',
    kind: 'read',
    async prepare(context) {
      requireRecordRight(context, 'A checkpoint of the record');
      const newest = await log.newest();
      if (newest === undefined) throw fhirError('not-found', 'Nothing was sealed yet');
      return newest;
    },
    run: async (_tx, _context, { checkpoint, keys }) => parametersOutcome([
      textParameter('checkpoint', checkpoint.note),
      countParameter('size', checkpoint.size),
      { name: 'sealed', valueInstant: checkpoint.sealedAt },
      ...keys.flatMap(({ verifier, statement }) => [textParameter('key', verifier), ...(statement === null ? [] : [textParameter('introduction', statement)])]),
    ]),
  });
}
