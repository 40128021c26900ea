// [Binary|DocumentReference]/[id]/$revoke-url: a signed URL opens nothing from now on. By its owner, or by an administrator.
// $grants lists those of the caller.
import { ownerOf } from '../access/grant-owner.ts';
import type { AccessGrant } from '../access/access-grant.ts';
import { printInstant } from '../fhir/instant.ts';
import type { JsonObject } from '../fhir/json.ts';
import { defineInteraction, type Interaction } from '../interactions/interaction.ts';
import { grantOf, listGrants, revokeGrant } from '../resources/access-grants.ts';
import { parametersAnswer } from './grant-parameters.ts';
import { isWithin, lockNamedGrant, readNamedGrant, type GrantOperationParts, type NamedGrant } from './named-grant.ts';

export function revokeUrl(parts: GrantOperationParts): Interaction {
  return defineInteraction<NamedGrant>({
    code: 'operation',
    kind: 'write',
    prepare: (context) => readNamedGrant(parts, context),
    async run(tx, context, { id }) {
      const { grant } = await lockNamedGrant(tx, context, id, true);
      await revokeGrant(tx, context.org.id, id, context.now);
      const response = parametersAnswer([{ name: 'grant', valueId: id }, { name: 'revoked-at', valueInstant: printInstant(grant.revokedAt ?? context.now) }]);
      return { response, entities: [{ reference: `${grant.type}/${grant.resourceId}`, role: 'data' }], grant: id, keepsAnswer: true };
    },
  });
}

const LISTED_MAX = 1_000;

/** Newest first, 1,000 at most, without their URLs: those are shown once. */
export function listOwnGrants(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    async run(tx, { org, principal, now }) {
      const rows = await listGrants(tx, org.id, ownerOf(principal), now, LISTED_MAX);
      return { response: parametersAnswer(rows.filter((row) => isWithin(row, principal)).map((row) => ({ name: 'grant', part: printParts(grantOf(row)) }))), entities: [] };
    },
  });
}

function printParts(grant: AccessGrant): JsonObject[] {
  const { id, type, resourceId, method, createdAt, expiresAt, revokedAt, allowedIp, disposition, usesMax, used, contentType, size, sha256, direct } = grant;
  return [
    { name: 'grant', valueId: id }, { name: 'resource', valueReference: { reference: `${type}/${resourceId}` } }, { name: 'method', valueCode: method },
    { name: 'created', valueInstant: printInstant(createdAt) }, { name: 'expires-at', valueInstant: printInstant(expiresAt) }, { name: 'used', valueUnsignedInt: used },
    ...(direct === true ? [{ name: 'mode', valueCode: 'direct' }] : []),
    ...(usesMax === undefined ? [] : [{ name: 'uses', valuePositiveInt: usesMax }]),
    ...(revokedAt === undefined ? [] : [{ name: 'revoked-at', valueInstant: printInstant(revokedAt) }]),
    ...allowedIp.map((range) => ({ name: 'allowed-ip', valueString: range })),
    ...(disposition === undefined ? [] : [{ name: 'disposition', valueCode: disposition }]),
    ...(contentType === undefined ? [] : [{ name: 'content-type', valueCode: contentType }]),
    ...(size === undefined ? [] : [{ name: 'size', valueDecimal: size }]),
    ...(sha256 === undefined ? [] : [{ name: 'sha-256', valueString: sha256.toString('hex') }]),
  ];
}
