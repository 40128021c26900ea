// The Idempotency-Key of a request, and the fingerprint that tells a repetition from another request.
import { createHash } from 'node:crypto';
import { CONSENTED_TYPES } from '../access/consent-denials.ts';
import type { Rights } from '../access/policy.ts';
import type { Principal } from '../access/principal.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { FhirRequest, Outcome } from '../interactions/interaction.ts';
import type { IdempotencyKey, StoredResult } from '../resources/idempotency.ts';

const KEY = /^[\x21-\x7e]{1,255}$/;

/** Works on every POST; elsewhere the header means nothing. Raises 400 for a key that is not 1 to 255 visible ASCII characters. */
export function readKey(request: FhirRequest, org: number, client: string): IdempotencyKey | undefined {
  const key = request.method === 'POST' ? request.header('idempotency-key') : undefined;
  if (key === undefined) return undefined;
  if (!KEY.test(key)) throw fhirError('malformed-request', 'Idempotency-Key must have 1 to 255 visible ASCII characters');
  return { org, client, key };
}

/** What patients withhold from reading, so that an answer that held more is not shown again. */
function printedConsents({ consents }: Principal): unknown[] {
  const denials = (['r', 's'] as const).flatMap((letter) => CONSENTED_TYPES.flatMap((type) => consents?.denials(letter, type) ?? []));
  return denials.map(({ patients, when, unknown }) => [patients === 'any' ? patients : [...patients].sort(), when, unknown ?? false]);
}

/** Scopes and roles in one order: a token that was renewed has the same. What a policy gives the roles is part of them. */
function rightsOf(principal: Principal): unknown {
  const { scopes, roles, patient, rights } = principal;
  const withheld = printedConsents(principal);
  const texts = scopes.map(({ context, type, permissions, filter }) => `${context}/${type}.${[...permissions].sort().join('')}${filter === undefined ? '' : JSON.stringify(filter)}`);
  return [texts.sort(), [...roles].sort(), ...(patient === undefined ? [] : [patient]), ...(rights === undefined ? [] : [printedRights(rights)]), ...(withheld.length === 0 ? [] : [withheld])];
}

function printedRights({ documents, record }: Rights): unknown {
  const actions = Object.entries(documents).map(([action, { permitted, denied }]) => [action, permitted, denied]);
  return [actions, ...Object.entries(record).map(([type, held]) => [type, [...held].sort()])];
}

const isConfined = ({ scopes }: Principal): boolean => scopes.some(({ context, filter }) => context === 'patient' || filter !== undefined);

/** A form has another boundary each time that it is put together (RFC 7578 4.1). */
const withoutBoundary = (contentType: string): string => (/^multipart\/form-data/i.test(contentType) ? contentType.replace(/;\s*boundary=(?:"[^"]*"|[^;\s]*)/i, '') : contentType);

/**
 * Over method, path, media type and all bytes of the body, once they were read. The answer to a Bundle holds what its
 * entries were allowed one by one, so it is shown again to the same rights alone; so is any to a caller who is confined.
 */
export function keyFingerprint(request: FhirRequest, principal: Principal): Buffer {
  const provenance = request.header('x-provenance');
  const head = JSON.stringify([request.method, request.url, withoutBoundary(request.body.contentType ?? ''), request.header('if-none-exist') ?? '', ...(request.type === 'Bundle' || isConfined(principal) ? [rightsOf(principal)] : []), ...(provenance === undefined ? [] : [{ provenance }])]);
  return createHash('sha256').update(head).update(request.body.digest()).digest();
}

/** What a repetition is answered with: the version that was made or found, or the answer itself; undefined when nothing is kept. */
export function keptResult({ response, version, keepsAnswer }: Outcome): StoredResult | undefined {
  if (keepsAnswer === true && response.body !== undefined) return { kind: 'answer', status: response.status, answer: response.body };
  return version === undefined ? undefined : { kind: 'version', status: response.status, ...version, type: typeNumber(version.type) };
}
