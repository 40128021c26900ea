// The one error of this server: an HTTP status, an issue code of R4's list (http://hl7.org/fhir/issue-type),
// a text that is safe to show and, where it can be named, the place of the fault as a FHIRPath expression.
import { asFhirString } from './fhir-string.ts';

export type IssueSeverity = 'fatal' | 'error' | 'warning' | 'information';

export type IssueCode =
  | 'invalid' | 'structure' | 'required' | 'value' | 'invariant'
  | 'security' | 'login' | 'unknown' | 'expired' | 'forbidden' | 'suppressed'
  | 'processing' | 'not-supported' | 'duplicate' | 'multiple-matches' | 'not-found' | 'deleted' | 'too-long'
  | 'code-invalid' | 'extension' | 'too-costly' | 'business-rule' | 'conflict'
  | 'transient' | 'lock-error' | 'no-store' | 'exception' | 'timeout' | 'incomplete' | 'throttled'
  | 'informational';

export interface Issue {
  severity: IssueSeverity;
  code: IssueCode;
  /** Stable code of ours (system urn:muniment:error), listed in docs/errors.md. */
  detail: ErrorDetail;
  diagnostics: string;
  /** FHIRPath of the faulty element, from the resource's type on: DocumentReference.content[0].attachment.hash */
  expression?: string;
}

/** Every stable code, with the status and R4 issue code that it travels with. docs/errors.md is compared with this table by a test. */
export const ERRORS = {
  'malformed-json': { status: 400, code: 'structure', text: 'The body is not JSON, or breaks a rule of FHIR JSON' },
  'malformed-xml': { status: 400, code: 'structure', text: 'The body is not XML, or breaks a rule of FHIR XML' },
  'malformed-request': { status: 400, code: 'structure', text: 'The request line, a header or the URL cannot be understood' },
  'malformed-form': { status: 400, code: 'structure', text: 'The multipart form is broken, or a field of it is missing or wrong' },
  'structure': { status: 400, code: 'structure', text: 'An element has the wrong JSON type, is unknown or is empty' },
  'invalid-value': { status: 400, code: 'value', text: 'A value breaks the regular expression or the range of its R4 type' },
  'wrong-resource-type': { status: 400, code: 'invalid', text: 'The resource type of the body is not the one of the URL' },
  'id-mismatch': { status: 400, code: 'invalid', text: 'The id of the body is not the one of the URL' },
  'invalid-parameter': { status: 400, code: 'invalid', text: 'A search parameter, modifier, prefix or header value is wrong' },
  'digest-mismatch': { status: 400, code: 'value', text: 'A digest header of the request does not match its bytes' },
  'too-costly': { status: 400, code: 'too-costly', text: 'The search is not bounded by a patient, identifier or date' },
  'if-match-required': { status: 400, code: 'required', text: 'The organisation requires If-Match on a change of what exists' },
  'login-required': { status: 401, code: 'login', text: 'No bearer token was sent' },
  'token-invalid': { status: 401, code: 'unknown', text: 'The token is forged, malformed, for another audience or of an unknown issuer' },
  'token-expired': { status: 401, code: 'expired', text: 'The token has expired' },
  'forbidden': { status: 403, code: 'forbidden', text: 'The scope or the role does not allow this' },
  'consent-denied': { status: 403, code: 'suppressed', text: 'A consent of the patient withholds this, or consents cannot be asked for and the document is labelled restricted' },
  'insecure-transport': { status: 403, code: 'security', text: 'The request came to a proxy without TLS, which this server requires' },
  'organisation-disabled': { status: 403, code: 'forbidden', text: 'The organisation is disabled: nothing of it is served, and nothing is deleted' },
  'not-found': { status: 404, code: 'not-found', text: 'No such resource or version' },
  'unknown-type': { status: 404, code: 'not-supported', text: 'This server does not have that resource type or path' },
  'method-not-allowed': { status: 405, code: 'not-supported', text: 'The interaction is not offered here' },
  'not-acceptable': { status: 406, code: 'not-supported', text: 'No representation that the client accepts' },
  'conflict': { status: 409, code: 'conflict', text: 'The resource is in use, or another writer was faster' },
  'duplicate': { status: 409, code: 'duplicate', text: 'Another live document has this masterIdentifier' },
  'still-running': { status: 409, code: 'lock-error', text: 'A request with this Idempotency-Key is still running' },
  'deleted': { status: 410, code: 'deleted', text: 'The resource was deleted' },
  'grant-ended': { status: 410, code: 'expired', text: 'The signed URL has expired, was revoked or is used up' },
  'upload-expired': { status: 410, code: 'expired', text: 'The upload has expired, or was refused for what its bytes are' },
  'page-expired': { status: 410, code: 'not-found', text: 'The pages of this search are kept no longer; search again' },
  'tus-version': { status: 412, code: 'not-supported', text: 'The header Tus-Resumable does not name the version of tus that is spoken here' },
  'version-mismatch': { status: 412, code: 'conflict', text: 'If-Match does not name the current version' },
  'multiple-matches': { status: 412, code: 'multiple-matches', text: 'The condition matches more than one resource' },
  'too-long': { status: 413, code: 'too-long', text: 'The body is over the limit' },
  'quota': { status: 413, code: 'business-rule', text: 'The organisation would hold more bytes or contents than the operator allows it; nothing was kept' },
  'too-many-entries': { status: 413, code: 'too-costly', text: 'The Bundle has more entries, or the form more parts, than the server takes' },
  'uri-too-long': { status: 414, code: 'too-long', text: 'The URL is over the limit' },
  'media-type': { status: 415, code: 'not-supported', text: 'The media type or coding of the body is not supported' },
  'range': { status: 416, code: 'value', text: 'The range lies outside the bytes' },
  'required': { status: 422, code: 'required', text: 'A required element is missing' },
  'cardinality': { status: 422, code: 'structure', text: 'An element occurs too often' },
  'code-invalid': { status: 422, code: 'code-invalid', text: 'A code is outside its required value set' },
  'reference-target': { status: 422, code: 'value', text: 'A reference points to a type that is not allowed there' },
  'invariant': { status: 422, code: 'invariant', text: 'A constraint of the resource or of a data type is broken' },
  'modifier-extension': { status: 422, code: 'extension', text: 'A modifier extension is not known here, so the resource could be misunderstood' },
  'profile': { status: 422, code: 'invariant', text: 'A value is not what a profile that the resource declares demands' },
  'unknown-profile': { status: 422, code: 'not-found', text: 'A warning that refuses nothing: a profile that the resource declares is not known here, so it was not checked' },
  'claim-mismatch': { status: 422, code: 'value', text: 'A size, hash or digest in the resource does not match the bytes' },
  'unknown-binary': { status: 422, code: 'value', text: 'An attachment names a Binary that does not exist or may not be read' },
  'patch-failed': { status: 422, code: 'processing', text: 'A patch does not apply to the current version, or a test in it fails' },
  'infected': { status: 422, code: 'security', text: 'A virus was found in the bytes; nothing was kept' },
  'idempotency-mismatch': { status: 422, code: 'business-rule', text: 'The Idempotency-Key was used with another body' },
  'business-rule': { status: 422, code: 'business-rule', text: 'The resource breaks a rule of this server' },
  'held': { status: 423, code: 'business-rule', text: 'A legal hold is on the document, its patient or the organisation' },
  'throttled': { status: 429, code: 'throttled', text: 'Too many requests of this organisation, client or user, or too many without a valid token from this address' },
  'client-aborted': { status: 400, code: 'incomplete', text: 'The client ended the transfer before its body was complete' },
  'checksum-mismatch': { status: 460, code: 'value', text: 'The bytes of an upload are not those of their Upload-Checksum; none of them was kept' },
  'exception': { status: 500, code: 'exception', text: 'An unexpected failure; the incident id is in the log' },
  'integrity': { status: 500, code: 'exception', text: 'The stored bytes do not match their digest and were not sent' },
  'unavailable': { status: 503, code: 'transient', text: 'A part of the server cannot be reached; try again' },
  'quarantined': { status: 503, code: 'transient', text: 'The bytes failed verification and wait for a good copy, or could not be scanned for viruses and wait for an administrator' },
  'storage-full': { status: 507, code: 'no-store', text: 'The store has no room; nothing was kept' },
} as const satisfies Record<string, { status: number; code: IssueCode; text: string }>;

export type ErrorDetail = keyof typeof ERRORS;

/** Faults whose text may quote what was sent. */
const CONTENT_FAULTS: ReadonlySet<ErrorDetail> = new Set<ErrorDetail>([
  'malformed-json', 'malformed-xml', 'structure', 'invalid-value', 'wrong-resource-type', 'id-mismatch', 'required', 'cardinality', 'code-invalid',
  'reference-target', 'invariant', 'modifier-extension', 'profile', 'unknown-profile', 'claim-mismatch', 'patch-failed', 'business-rule',
]);
const ELEMENT_PATH = /^[A-Za-z][A-Za-z0-9_.[\]]{0,200}$/;

export interface FhirErrorOptions {
  expression?: string;
  /** For the log only; never shown. */
  cause?: unknown;
  /** Further response headers: Allow, Retry-After, WWW-Authenticate. */
  headers?: Record<string, string>;
  /** Further members of a problem document (RFC 9457 3.2), where the answer is one: allowedTypes. */
  members?: Record<string, unknown>;
}

export class FhirError extends Error {
  readonly status: number;
  readonly issues: readonly Issue[];
  readonly headers: Readonly<Record<string, string>>;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(issues: readonly Issue[], options: Omit<FhirErrorOptions, 'expression'> & { status?: number } = {}) {
    super(issues.map((issue) => issue.diagnostics).join('; '), { cause: options.cause });
    this.name = 'FhirError';
    const first = issues[0];
    if (first === undefined) throw new Error('A FhirError has at least one issue');
    this.issues = issues;
    this.status = options.status ?? ERRORS[first.detail].status;
    this.headers = options.headers ?? {};
    this.members = options.members ?? {};
  }

  get detail(): ErrorDetail {
    return (this.issues[0] as Issue).detail;
  }

  /** What is wrong for the record, where no content of a document may stand: of a fault in a body its kind and its place. */
  get withoutContent(): string {
    return this.issues.map(({ detail, diagnostics, expression }) => {
      if (!CONTENT_FAULTS.has(detail)) return diagnostics;
      return expression !== undefined && ELEMENT_PATH.test(expression) ? `${ERRORS[detail].text} (${expression})` : ERRORS[detail].text;
    }).join('; ');
  }
}

/** The issue that belongs to a stable code. */
export function issueOf(detail: ErrorDetail, diagnostics: string, expression?: string): Issue {
  const issue: Issue = { severity: 'error', code: ERRORS[detail].code, detail, diagnostics: asFhirString(diagnostics) };
  if (expression !== undefined) issue.expression = asFhirString(expression);
  return issue;
}

/** The error that belongs to a stable code; status and issue code come from the table. */
export function fhirError(detail: ErrorDetail, diagnostics: string, options: FhirErrorOptions = {}): FhirError {
  return new FhirError([issueOf(detail, diagnostics, options.expression)], options);
}
