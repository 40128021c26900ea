// What the signed URLs below /files need, and who asks there: the grant that the token in the path names stands for its owner.
import { requireGranted, type AccessGrant } from '../access/access-grant.ts';
import { readOwner } from '../access/grant-owner.ts';
import type { Principal } from '../access/principal.ts';
import { refusal } from '../access/refusal.ts';
import type { ContentStore } from '../content/content-store.ts';
import type { ContentReader } from '../content/read-content.ts';
import type { Database } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { FhirRequest, InteractionContext } from '../interactions/interaction.ts';
import type { BinaryParts } from '../interactions/receive-binary.ts';
import type { Logger } from '../logger.ts';
import { findGrantStatement, grantOf, type GrantRow } from '../resources/access-grants.ts';
import type { GrantKeys } from '../resources/grant-keys.ts';

export interface FileParts extends BinaryParts {
  database: Pick<Database, 'select' | 'transaction'>;
  grantKeys: GrantKeys;
  reader: ContentReader;
  /** Where bytes are kept that come in now. */
  store: ContentStore;
  logger: Logger;
}

/** The grant's owner, with the grant. Raises 401 for a token that is forged, or whose grant is not known any more. */
export async function identifyByGrant({ database, grantKeys }: FileParts, { parameters }: FhirRequest): Promise<Principal> {
  const named = await grantKeys.verify(parameters?.['token'] ?? '');
  const row = named === undefined ? undefined : (await database.select<GrantRow>(named.org, findGrantStatement(named.org, named.id))).rows[0];
  if (row === undefined || row.thumbnails !== (named?.picture !== undefined)) throw refusal('token-invalid', 'The signed URL is not from here');
  const grant = { ...grantOf(row), ...(named?.picture === undefined ? {} : { picture: named.picture }) };
  return { ...readOwner(row.principal, Math.floor(grant.expiresAt / 1_000)), grant };
}

/** The grant by which a request came, once it holds for it. Raises 410 and 403, and 400 for a header that speaks for the owner. */
export function grantInUse({ principal: { grant }, request, now }: InteractionContext): AccessGrant {
  if (grant === undefined) throw new Error('A signed URL is used without its grant');
  if (request.header('x-break-glass') !== undefined) throw fhirError('invalid-parameter', 'X-Break-Glass is for whoever shows a token');
  requireGranted(grant, { method: request.method, address: request.address, now });
  return grant;
}

/** The request as its owner would have made it at /fhir/Binary; `headers` are put in the place of the client's own. */
export function asBinaryRequest(request: FhirRequest, id: string, headers: Readonly<Record<string, string | undefined>>): FhirRequest {
  return { ...request, type: 'Binary', id, version: '', query: [], header: (name) => (Object.hasOwn(headers, name) ? headers[name] : request.header(name)) };
}
