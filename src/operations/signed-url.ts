// [Binary|DocumentReference]/[id]/$signed-url: a URL that lends the caller's right to one resource to whoever holds it, for
// an hour at most and within the limits that the caller sets. $refresh-url puts a new one in the place of another.
import { endOfGrant, type AccessGrant } from '../access/access-grant.ts';
import { ownerOf, printOwner } from '../access/grant-owner.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { insertGrant, revokeGrant } from '../resources/access-grants.ts';
import { readDuration, readLimitParameters, readLimits, signedUrlAnswer } from './grant-parameters.ts';
import { requireLendable } from './lent-rights.ts';
import { lockNamedGrant, readNamedGrant, type GrantOperationParts, type NamedGrant } from './named-grant.ts';

/** A grant that is signed and not yet there. */
export interface SignedGrant {
  id: string;
  url: string;
}

export async function signGrant({ grantKeys, filesBase }: GrantOperationParts, { org, now }: InteractionContext): Promise<SignedGrant> {
  const id = newUuidV7(now);
  return { id, url: `${filesBase}/${await grantKeys.sign({ org: org.id, id })}` };
}

/** Made by whoever asks now, after the right to lend it was asked again. */
async function issue(parts: GrantOperationParts, tx: Transaction, context: InteractionContext, grant: AccessGrant, url: string): Promise<Outcome> {
  const entities = await requireLendable(tx, context, grant, parts.fhirBase);
  await insertGrant(tx, { org: context.org.id, owner: ownerOf(context.principal), principal: printOwner(context.principal) }, grant);
  return { response: signedUrlAnswer(url, grant), entities, grant: grant.id, keepsAnswer: true };
}

export function signedUrl(parts: GrantOperationParts): Interaction {
  return defineInteraction<{ grant: AccessGrant; url: string }>({
    code: 'operation',
    kind: 'write',
    async prepare(context) {
      const asked = await readLimitParameters(context.request, parts.bodyBytesMax);
      const limits = readLimits(asked);
      if (limits.direct === true && context.org.directUrls !== true) throw fhirError('forbidden', 'The organisation does not let signed URLs lead to its store');
      const { id, url } = await signGrant(parts, context);
      const { request, now } = context;
      const grant = { ...limits, id, type: request.type as AccessGrant['type'], resourceId: request.id, createdAt: now, expiresAt: now + readDuration(asked, parts.signedUrlMinutesMax), used: 0 };
      return { grant, url };
    },
    run: (tx, context, { grant, url }) => issue(parts, tx, context, grant, url),
  });
}

/** One that has expired is renewed as well; one that was revoked or is used up is not. What is left of its uses is taken along. */
export function refreshUrl(parts: GrantOperationParts): Interaction {
  return defineInteraction<NamedGrant & SignedGrant & { named: string }>({
    code: 'operation',
    kind: 'write',
    async prepare(context) {
      const named = await readNamedGrant(parts, context, ['expires-in']);
      return { ...named, named: named.id, ...await signGrant(parts, context) };
    },
    async run(tx, context, { asked, named, id, url }) {
      const { grant: old } = await lockNamedGrant(tx, context, named, false);
      const end = endOfGrant({ ...old, expiresAt: Infinity }, context.now);
      if (end !== undefined) throw end;
      const { used, usesMax, revokedAt: _revokedAt, ...limits } = old;
      const expiresAt = context.now + readDuration(asked, parts.signedUrlMinutesMax, old.expiresAt - old.createdAt);
      await revokeGrant(tx, context.org.id, old.id, context.now);
      return issue(parts, tx, context, { ...limits, ...(usesMax === undefined ? {} : { usesMax: usesMax - used }), id, createdAt: context.now, expiresAt, used: 0 }, url);
    },
  });
}
