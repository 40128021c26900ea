// The one place that turns an error into an answer: an OperationOutcome (R4 operationoutcome.html).
import { FhirError } from '../fhir/fhir-error.ts';
import { issueElement, printIssues } from '../fhir/operation-outcome.ts';
import type { FhirResponse } from '../interactions/interaction.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';

/** JSON text of the OperationOutcome. */
export function printOutcome(error: FhirError): string {
  return printIssues(error.issues.map(issueElement));
}

export function errorResponse(error: FhirError): FhirResponse {
  return { status: error.status, headers: { ...error.headers, 'Content-Type': FHIR_JSON_TYPE }, body: printOutcome(error) };
}
