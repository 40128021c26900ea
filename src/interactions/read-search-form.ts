// The form of a search by POST (R4 search.html 3.1.1.1.1): its parameters join those of the URL.
import { fhirError } from '../fhir/fhir-error.ts';
import type { FhirRequest } from './interaction.ts';

/** As much as a URL may have: the links of the answer are addresses. */
const FORM_BYTES_MAX = 16_384;
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/** Raises 415 for any other media type, 413 past FORM_BYTES_MAX, 400 for broken percent-encoding. */
export async function readSearchForm(request: FhirRequest): Promise<[string, string][]> {
  const { body } = request;
  if (body.contentType === undefined && (body.length ?? 0) === 0) return [];
  if (body.contentType === undefined || !FORM_TYPE.test(body.contentType)) throw fhirError('media-type', 'The body of a search must be application/x-www-form-urlencoded');
  const charset = CHARSET.exec(body.contentType)?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) throw fhirError('media-type', 'The body must be in UTF-8');
  const text = await body.text(FORM_BYTES_MAX);
  request.form = text;
  try {
    decodeURIComponent(text.replaceAll('+', ' '));
  } catch (error) {
    throw fhirError('malformed-request', 'The percent-encoding of the form is broken', { cause: error });
  }
  return [...new URLSearchParams(text)];
}
