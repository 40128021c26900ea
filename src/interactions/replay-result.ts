// The answer to a repeated request with the same Idempotency-Key: the version that the first one made.
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeName } from '../fhir/resource-type.ts';
import type { StoredResult } from '../resources/idempotency.ts';
import { requirePermitted } from '../resources/permitted-version.ts';
import { readVersion } from '../resources/read-version.ts';
import type { InteractionContext, Outcome } from './interaction.ts';
import { FHIR_JSON_TYPE, writeResponse } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

export async function replayResult(tx: Transaction, context: InteractionContext, result: StoredResult, fhirBase: string): Promise<Outcome> {
  if (result.kind === 'answer') return replayAnswer(result, fhirBase);
  const row = await readVersion(tx, context.org.id, result.type, result.id, result.version);
  if (row === undefined || row.body === null) throw fhirError('deleted', 'What this Idempotency-Key made is not kept any more');
  const reference = `${typeName(result.type)}/${result.id}`;
  if (typeName(result.type) !== 'Binary') await requirePermitted(tx, context.restriction, row, fhirBase);
  return {
    response: writeResponse(context.request, result.status, fhirBase, { reference, version: row.version, lastUpdated: row.last_updated.getTime(), text: row.body }),
    entities: [...patientEntity(row.patient), { reference: `${reference}/_history/${row.version}`, role: 'data' }],
  };
}

const LOCATION = /"location":"([^"]+)"/g;

/** The answer of a Bundle as it was; what it names is seen again. */
function replayAnswer({ status, answer }: { status: number; answer: string }, fhirBase: string): Outcome {
  const named = [...answer.matchAll(LOCATION)].map(([, location = '']) => location.replace(`${fhirBase}/`, ''));
  return {
    response: { status, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: answer },
    entities: [...new Set(named)].map((reference) => ({ reference, role: 'data' })),
  };
}
