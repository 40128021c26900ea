// Parameters that the operations of the log answer with.
import type { Outcome } from '../interactions/interaction.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';

export interface LogParameter {
  name: string;
  valueString?: string;
  valueDecimal?: number;
  valueInstant?: string;
  valueBase64Binary?: string;
}

export const textParameter = (name: string, valueString: string): LogParameter => ({ name, valueString });
/** An integer of R4 has 32 bits, and a log may outgrow them. */
export const countParameter = (name: string, valueDecimal: number): LogParameter => ({ name, valueDecimal });
export const bytesParameter = (name: string, value: Buffer | string): LogParameter => ({ name, valueBase64Binary: Buffer.from(value).toString('base64') });

export function parametersOutcome(parameter: readonly LogParameter[], entities: Outcome['entities'] = []): Outcome {
  return { response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE, 'Cache-Control': 'private, no-cache' }, body: JSON.stringify({ resourceType: 'Parameters', parameter }) }, entities };
}
