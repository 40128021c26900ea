// The URLs of the small pictures that lists show. All those of one owner go by one grant, which is made anew every half hour of
// use; the token of each names its picture, so that whoever holds one URL holds that one picture.
import { ownerOf, printOwner } from '../access/grant-owner.ts';
import type { Database } from '../database/database.ts';
import { FhirError } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import { insertGrant } from '../resources/access-grants.ts';
import type { GrantKeys } from '../resources/grant-keys.ts';
import { THUMBNAIL_EDGE } from '../resources/renditions.ts';
import { lending } from './lent-rights.ts';

export interface ThumbnailParts {
  database: Pick<Database, 'transaction'>;
  grantKeys: GrantKeys;
  filesBase: string;
  signedUrlMinutesMax: number;
}

export interface LentThumbnails {
  /** Id of the grant. */
  grant: string;
  urlOf(source: string): Promise<string>;
}

/** Undefined for callers who may lend nothing. */
export type LendThumbnails = (context: InteractionContext) => Promise<LentThumbnails | undefined>;

interface OwnGrant {
  id: string;
  /** Milliseconds after which it is not handed out any more. */
  freshUntil: number;
}

const OWNERS_MAX = 10_000;
const MINUTES = 60;

function mayLend(context: InteractionContext): boolean {
  try {
    lending(context, 'read', 'Binary');
    return true;
  } catch (error) {
    if (error instanceof FhirError) return false;
    throw error;
  }
}

export function createThumbnailLender({ database, grantKeys, filesBase, signedUrlMinutesMax }: ThumbnailParts): LendThumbnails {
  const known = new Map<string, Promise<OwnGrant>>();
  const lifeMs = Math.min(MINUTES, signedUrlMinutesMax) * 60_000;

  async function make({ org, principal, now }: InteractionContext, owner: string): Promise<OwnGrant> {
    const id = newUuidV7(now);
    const grant = { id, type: 'Binary' as const, resourceId: '', method: 'GET' as const, allowedIp: [], disposition: 'inline' as const, createdAt: now, expiresAt: now + lifeMs, used: 0 };
    await database.transaction(org.id, (tx) => insertGrant(tx, { org: org.id, owner: ownerOf(principal), principal: owner }, grant, true));
    return { id, freshUntil: now + lifeMs / 2 };
  }

  async function grantOf(context: InteractionContext): Promise<OwnGrant> {
    const owner = printOwner(context.principal);
    const key = `${context.org.id} ${owner}`;
    const own = await known.get(key);
    if (own !== undefined && context.now < own.freshUntil) return own;
    if (known.size >= OWNERS_MAX) known.clear();
    const made = make(context, owner);
    known.set(key, made);
    made.catch(() => known.delete(key));
    return made;
  }

  return async (context) => {
    if (!mayLend(context)) return undefined;
    const { id } = await grantOf(context);
    return { grant: id, urlOf: async (source) => `${filesBase}/${await grantKeys.sign({ org: context.org.id, id, picture: { content: source, edge: THUMBNAIL_EDGE } })}` };
  };
}
