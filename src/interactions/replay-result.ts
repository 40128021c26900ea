// The answer to a repeated request with the same Idempotency-Key: the version that the first one made.
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeName } from '../fhir/resource-type.ts';
import { readVersion } from '../resources/read-version.ts';
import type { InteractionContext, Outcome } from './interaction.ts';
import { writeResponse } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

export interface EarlierResult {
  status: number;
  type: number;
  id: string;
  version: number;
}

export async function replayResult(tx: Transaction, context: InteractionContext, result: EarlierResult, fhirBase: string): Promise<Outcome> {
  const row = await readVersion(tx, context.org.id, result.type, result.id, result.version);
  if (row === undefined || row.body === null) throw fhirError('deleted', 'What this Idempotency-Key made is not kept any more');
  const reference = `${typeName(result.type)}/${result.id}`;
  return {
    response: writeResponse(context.request, result.status, fhirBase, { reference, version: row.version, lastUpdated: row.last_updated.getTime(), text: row.body }),
    entities: [...patientEntity(row.patient), { reference: `${reference}/_history/${row.version}`, role: 'data' }],
  };
}
