// What bytes are held to on their way in: the organisation's media types for the resource that they come with, its quota, and
// the word of whoever may override that sets the types aside, with a reason that is recorded.
import { mayCorrect } from '../access/category-policy.ts';
import type { TypeRules } from '../content/declared-type.ts';
import type { Quota } from '../content/quota.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { allowedTypesFor, BYTES_TYPES, type BytesType } from '../resources/organisation-limits.ts';
import type { InteractionContext } from './interaction.ts';

/** The header with the reason for taking bytes of a type that is not allowed, or not the declared one. */
const OVERRIDE = 'x-type-override';
const REASON_CHARACTERS_MAX = 300;

/** Raises 403 for a reason of somebody whose roles may not override, 400 for one that is none. */
function overrideOf({ request, principal, note }: InteractionContext): TypeRules['setAside'] {
  const reason = request.header(OVERRIDE)?.trim();
  if (reason === undefined) return undefined;
  if (principal.grant !== undefined || !mayCorrect(principal)) throw fhirError('forbidden', 'X-Type-Override needs the right to override');
  if (reason === '' || reason.length > REASON_CHARACTERS_MAX || !/^[\x20-\x7e]+$/.test(reason)) throw fhirError('invalid-parameter', `X-Type-Override says why, in 1 to ${REASON_CHARACTERS_MAX} characters`);
  return () => note?.(`The allowed types were set aside: ${reason}`);
}

export function contentRules(context: InteractionContext, type: BytesType): TypeRules & Quota {
  const limits = context.org.limits ?? { allowedTypes: 'clinical' };
  return { allowedTypes: allowedTypesFor(limits, type), setAside: overrideOf(context), quotaBytes: limits.quotaBytes, quotaCount: limits.quotaCount };
}

/** The list of another type (List) is that of its bytes. */
export const bytesTypeOf = (type: string): BytesType => BYTES_TYPES.find((known) => known === type) ?? 'Binary';
