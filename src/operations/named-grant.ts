// The grant that a caller names to renew or revoke it: by its id, or by its URL.
import { authorize } from '../access/authorize.ts';
import { ownerOf, readOwner } from '../access/grant-owner.ts';
import { GRANTED_TYPES, type AccessGrant } from '../access/access-grant.ts';
import { isUnconfined } from '../access/restriction.ts';
import type { Principal } from '../access/principal.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import { grantOf, lockGrant, type GrantRow } from '../resources/access-grants.ts';
import type { GrantKeys } from '../resources/grant-keys.ts';
import { readAsked, type Asked } from './grant-parameters.ts';

export interface GrantOperationParts {
  fhirBase: string;
  /** Below which the URLs stand: https://host/files */
  filesBase: string;
  bodyBytesMax: number;
  grantKeys: GrantKeys;
  /** How long a signed URL may be valid here. */
  signedUrlMinutesMax: number;
}

export interface NamedGrant {
  asked: Asked;
  id: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TOKEN = /(?:^|\/)files\/([\w-]+)(?:[?#].*)?$/;
const unknownGrant = (): Error => fhirError('not-found', 'There is no such signed URL of this resource');

/** Raises 400 unless exactly one of `grant` and `url` names it, 404 for a URL that is not from here. */
export async function readNamedGrant({ grantKeys, bodyBytesMax }: GrantOperationParts, { request, org }: InteractionContext, further: readonly string[] = []): Promise<NamedGrant> {
  const asked = await readAsked(request, bodyBytesMax, ['grant', 'url', ...further]);
  const [id, url] = [asked.get('grant')?.[0], asked.get('url')?.[0]];
  if ((id === undefined) === (url === undefined)) throw fhirError('invalid-parameter', 'One of the parameters grant and url names the signed URL');
  if (url === undefined) {
    if (!UUID.test(id ?? '')) throw unknownGrant();
    return { asked, id: (id ?? '').toLowerCase() };
  }
  const named = await grantKeys.verify(TOKEN.exec(url)?.[1] ?? url);
  if (named === undefined || named.org !== org.id || named.picture !== undefined) throw unknownGrant();
  return { asked, id: named.id };
}

/** Its owner may, whichever client they use; so may an administrator where `admins` says so. Others are not told of it. */
export async function lockNamedGrant(tx: Transaction, { request, org, principal }: InteractionContext, id: string, admins: boolean): Promise<{ row: GrantRow; grant: AccessGrant }> {
  const row = await lockGrant(tx, org.id, id);
  if (row === undefined || !mayTouch(row, principal, admins)) throw unknownGrant();
  const grant = grantOf(row);
  if (grant.type !== request.type || grant.resourceId !== request.id) throw unknownGrant();
  return { row, grant };
}

function mayTouch(row: GrantRow, principal: Principal, admins: boolean): boolean {
  return (row.owner === ownerOf(principal) && isWithin(row, principal)) || (admins && principal.roles.includes('admin') && readsAll(principal));
}

function readsAll(principal: Principal): boolean {
  return GRANTED_TYPES.every((type) => {
    const decision = authorize(principal, { interaction: 'read', type });
    return decision.permit && isUnconfined(decision.restriction);
  });
}

/** Whoever is confined has of their user's grants what the same app made for the same patient: others tell of what they may not have. */
export function isWithin(row: Pick<GrantRow, 'principal'>, principal: Principal): boolean {
  if (readsAll(principal)) return true;
  const { clientId, patient } = readOwner(row.principal, 0);
  return clientId === principal.clientId && patient === principal.patient;
}
