// The one place that turns an error into an answer: an OperationOutcome (R4 operationoutcome.html).
import { FhirError } from '../fhir/fhir-error.ts';
import type { FhirResponse } from '../interactions/interaction.ts';

const ERROR_SYSTEM = 'urn:muniment:error';

/** JSON text of the OperationOutcome. */
export function printOutcome(error: FhirError): string {
  const issue = error.issues.map((one) => ({
    severity: one.severity,
    code: one.code,
    details: { coding: [{ system: ERROR_SYSTEM, code: one.detail }], text: one.diagnostics },
    diagnostics: one.diagnostics,
    ...(one.expression === undefined ? {} : { expression: [one.expression] }),
  }));
  return JSON.stringify({ resourceType: 'OperationOutcome', issue });
}

export function errorResponse(error: FhirError): FhirResponse {
  return { status: error.status, headers: { ...error.headers, 'Content-Type': 'application/fhir+json; charset=utf-8' }, body: printOutcome(error) };
}
