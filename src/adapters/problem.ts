// The errors of the ways in beside FHIR: a problem document (RFC 9457) with the code that an OperationOutcome would carry.
import { ERRORS, type FhirError, type Issue } from '../fhir/fhir-error.ts';
import type { FhirResponse } from '../interactions/interaction.ts';

const faultOf = ({ detail, diagnostics, expression }: Issue): Record<string, string> => ({ code: detail, detail: diagnostics, ...(expression === undefined ? {} : { expression }) });

/** `code` is the stable code of docs/errors.md; `errors` stands where there are several faults or the place of one is known. */
export function problemResponse(error: FhirError): FhirResponse {
  const [first] = error.issues;
  const placed = error.issues.length > 1 || first?.expression !== undefined;
  const problem = {
    type: 'about:blank', title: ERRORS[error.detail].text, status: error.status, code: error.detail, detail: first?.diagnostics ?? '',
    ...(placed ? { errors: error.issues.map(faultOf) } : {}), ...error.members,
  };
  return { status: error.status, headers: { ...error.headers, 'Content-Type': 'application/problem+json' }, body: JSON.stringify(problem) };
}
