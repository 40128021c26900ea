// Conditional read (R4 http.html 3.1.0.5.1, RFC 9110 13.1): whether the client has this version already.
import type { FhirRequest } from './interaction.ts';
import { matchesVersion } from '../fhir/etag.ts';

export interface ConditionalVersion {
  version: number;
  /** Milliseconds. */
  lastUpdated: number;
  /** When the version before this one was made, in milliseconds; asked only when both may share a Last-Modified. */
  previousUpdated(): Promise<number | undefined>;
}

/**
 * If-None-Match decides; If-Modified-Since counts only without it. Last-Modified has whole seconds: a version that followed another in the
 * same second is not known by its date.
 */
export async function notModified(request: FhirRequest, shown: ConditionalVersion, matches = (header: string) => matchesVersion(header, shown.version)): Promise<boolean> {
  const known = request.header('if-none-match');
  if (known !== undefined) return matches(known);
  const since = Date.parse(request.header('if-modified-since') ?? '');
  if (!Number.isFinite(since) || wholeSeconds(shown.lastUpdated) > since) return false;
  if (wholeSeconds(shown.lastUpdated) < since || shown.version === 1) return true;
  const previous = await shown.previousUpdated();
  return previous === undefined || wholeSeconds(previous) < since;
}

function wholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000) * 1_000;
}
