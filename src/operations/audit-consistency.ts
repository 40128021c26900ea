// $audit-consistency: that the log of `from` leaves is the beginning of that of `to` leaves, to be verified from the two
// checkpoints alone.
import { fhirError } from '../fhir/fhir-error.ts';
import { defineInteraction, type FhirRequest, type Interaction } from '../interactions/interaction.ts';
import type { ConsistencyProof, LogProofs } from '../log/read-proofs.ts';
import { bytesParameter, countParameter, parametersOutcome, textParameter } from './log-parameters.ts';
import { requireRecordRight } from './record-right.ts';

const COUNT = /^(0|[1-9]\d{0,14})$/;

/** A number of leaves; undefined where it is left out. Raises 400 for anything else. */
function countOf({ query }: FhirRequest, name: string): number | undefined {
  const values = query.filter(([key]) => key === name).map(([, value]) => value);
  if (values.length === 0) return undefined;
  if (values.length > 1 || !COUNT.test(values[0] ?? '')) throw fhirError('invalid-parameter', `${name} is one number of leaves`, { expression: name });
  return Number(values[0]);
}

export function auditConsistency(log: LogProofs): Interaction {
  return defineInteraction<ConsistencyProof>({
    code: 'operation',
    kind: 'read',
    async prepare(context) {
      requireRecordRight(context, 'A proof of the record');
      const from = countOf(context.request, 'from');
      const to = countOf(context.request, 'to');
      if (from === undefined) throw fhirError('invalid-parameter', 'from is needed: the number of leaves of an earlier checkpoint', { expression: 'from' });
      const proof = await log.consistency(from, to);
      if (proof === undefined) throw fhirError('invalid-parameter', 'from may not be over to, and the log must be sealed up to both');
      return proof;
    },
    run: async (_tx, _context, { from, fromCheckpoint, fromRoot, path, to, toCheckpoint, toRoot }) => parametersOutcome([
      countParameter('from', from),
      countParameter('to', to),
      bytesParameter('from-root', fromRoot),
      bytesParameter('to-root', toRoot),
      ...(fromCheckpoint === undefined ? [] : [textParameter('from-checkpoint', fromCheckpoint.note)]),
      ...(toCheckpoint === undefined ? [] : [textParameter('to-checkpoint', toCheckpoint.note)]),
      ...path.map((node) => bytesParameter('path', node)),
    ]),
  });
}
