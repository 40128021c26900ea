// Conditions of a request for bytes: If-Match, If-Unmodified-Since and If-Range (RFC 9110 13), Want-Repr-Digest (RFC 9530 4).
import { parseTags } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { ConditionalVersion } from './conditional-read.ts';
import type { FhirRequest } from './interaction.ts';

function wholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000) * 1_000;
}

/** An HTTP date in any of its three forms (RFC 9110 5.6.7); NaN for anything else. */
function httpDate(text: string): number {
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return Number.NaN;
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
}

/** The tag of these bytes in any of the forms that clients send: strong, its version alone, or `*`. */
export function namesBytes(header: string, tag: string, version: number): boolean {
  return parseTags(header).some((one) => ['*', tag.slice(1, -1), String(version)].includes(one));
}

/** Raises 412 when the client means other bytes than these. If-Unmodified-Since counts only without If-Match. */
export function checkBytePreconditions(request: FhirRequest, tag: string, { version, lastUpdated }: Pick<ConditionalVersion, 'version' | 'lastUpdated'>): void {
  const match = request.header('if-match');
  if (match !== undefined) {
    if (!namesBytes(match, tag, version)) throw fhirError('version-mismatch', `These bytes are ${tag}, which If-Match does not name`);
    return;
  }
  const since = httpDate(request.header('if-unmodified-since') ?? '');
  if (wholeSeconds(lastUpdated) > since) throw fhirError('version-mismatch', 'The bytes were modified after If-Unmodified-Since');
}

/**
 * Whether a range may be answered: RFC 9110 13.1.5. Tags are compared strongly, so a weak one never holds; a date must be
 * Last-Modified itself, and is no proof where two versions share its second.
 */
export async function ifRangeHolds(request: FhirRequest, tag: string, { version, lastUpdated, previousUpdated }: ConditionalVersion): Promise<boolean> {
  const condition = request.header('if-range')?.trim();
  if (condition === undefined || condition === tag) return true;
  if (httpDate(condition) !== wholeSeconds(lastUpdated)) return false;
  if (version === 1) return true;
  const previous = await previousUpdated();
  return previous === undefined || wholeSeconds(previous) < wholeSeconds(lastUpdated);
}

/** False where the client says that it can't use a SHA-256: `Want-Repr-Digest: sha-256=0`. No other algorithm is offered. */
export function wantsSha256(request: FhirRequest): boolean {
  const wishes = request.header('want-repr-digest');
  if (wishes === undefined) return true;
  const last = wishes.split(',').map((member) => /^\s*sha-256\s*=\s*(\d{1,15})\s*(?:;.*)?$/.exec(member)?.[1]).filter((wish) => wish !== undefined).at(-1);
  return last === undefined || Number(last) > 0;
}
