// If-Match and If-None-Match before a write (R4 http.html 3.1.0.5, RFC 9110 13.1): versions are compared, not weak tags.
import type { VersionRow } from '../database/tables.ts';
import { matchesVersion, versionTag } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { InteractionContext } from './interaction.ts';

/** Raises 400 `if-match-required` where the organisation wants changes of what exists to name its version (R4 http.html 3.1.0.5). */
export function requireIfMatch({ request, org }: InteractionContext, current: VersionRow | undefined): void {
  if (org.requireIfMatch !== true || current === undefined || current.deleted || request.header('if-match') !== undefined) return;
  throw fhirError('if-match-required', `This organisation requires If-Match; ${request.type}/${current.id} is at version ${current.version}`, { headers: { ETag: versionTag(current.version) } });
}

/** Raises 412 `version-mismatch` where If-Match does not name the current version, or If-None-Match: * meets one. */
export function checkPreconditions(context: InteractionContext, id: string, current: VersionRow | undefined): void {
  const { request, share } = context;
  const ifMatch = request.header('if-match');
  const alive = current !== undefined && !current.deleted ? current : undefined;
  const before = share?.superseded.get(`${request.type}/${id}`);
  const isMatch = (version: number | undefined): boolean => ifMatch !== undefined && version !== undefined && matchesVersion(ifMatch, version);
  if (ifMatch !== undefined && !isMatch(alive?.version) && !isMatch(before)) {
    const found = alive === undefined ? 'does not exist' : `is at version ${alive.version}`;
    throw fhirError('version-mismatch', `${request.type}/${id} ${found}`, alive === undefined ? {} : { headers: { ETag: versionTag(alive.version) } });
  }
  if (request.header('if-none-match') === '*' && alive !== undefined) {
    throw fhirError('version-mismatch', `${request.type}/${id} exists already`);
  }
  requireIfMatch(context, current);
}
