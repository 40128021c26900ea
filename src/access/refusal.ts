// A login that failed, as the client sees it: 401 or 400 with the challenge of RFC 6750 3. Never holds the token's text.
import { fhirError, type ErrorDetail, type FhirError } from '../fhir/fhir-error.ts';

/** `text` is shown and quoted in the challenge: plain words without quotation marks. No error code where no token was sent. */
export function refusal(detail: ErrorDetail, text: string, cause?: unknown): FhirError {
  const code = detail === 'malformed-request' ? 'invalid_request' : 'invalid_token';
  const challenge = detail === 'login-required' ? 'Bearer realm="Muniment"' : `Bearer realm="Muniment", error="${code}", error_description="${text}"`;
  return fhirError(detail, text, { headers: { 'WWW-Authenticate': challenge }, ...(cause === undefined ? {} : { cause }) });
}
