// uploadFile: a Binary and the signed URL that shows it, made in one transaction and told in one event.
import { ownerOf, printOwner } from '../access/grant-owner.ts';
import { MINUTES_MAX } from '../access/access-grant.ts';
import { printInstant } from '../fhir/instant.ts';
import type { Interaction, InteractionContext } from '../interactions/interaction.ts';
import { readDuration, readLimits, type Asked } from '../operations/grant-parameters.ts';
import { lending } from '../operations/lent-rights.ts';
import type { GrantOperationParts } from '../operations/named-grant.ts';
import { signGrant } from '../operations/signed-url.ts';
import { insertGrant } from '../resources/access-grants.ts';
import { fhirCalls, type FhirCallBody, type FhirCallParts } from './fhir-call.ts';

export interface FileUpload {
  body: FhirCallBody;
  headers: Readonly<Record<string, string>>;
  /** Whole minutes; undefined = as long as may be. */
  minutes: number | undefined;
  allowedIps: readonly string[];
}

export interface UploadedBinary {
  id: string;
  url: string;
  expiresAt: string;
}

/** Raises what a create of Binary raises, 400 for an address that is none, 403 for who may not lend what they upload: nothing is kept then. */
export function fileUploads(parts: FhirCallParts & GrantOperationParts, context: InteractionContext): (upload: FileUpload) => Promise<UploadedBinary> {
  return async ({ body, headers, minutes, allowedIps }) => {
    const asked: Asked = new Map([...(minutes === undefined ? [] : [['expires-in', [String(minutes)]] as const]), ...(allowedIps.length === 0 ? [] : [['allowed-ip', allowedIps] as const])]);
    const limits = readLimits(asked);
    const lifeMs = readDuration(asked, parts.signedUrlMinutesMax, MINUTES_MAX * 60_000);
    let lent: Omit<UploadedBinary, 'id'> | undefined;

    const lentBinary = (create: Interaction): Interaction => ({
      ...create,
      async prepare(own) {
        lending(own, 'read', 'Binary');
        const { id, url } = await signGrant(parts, own);
        const prepared = await create.prepare(own);
        return {
          ...prepared,
          async run(tx) {
            const outcome = await prepared.run(tx);
            const [createdAt, expiresAt] = [own.now, own.now + lifeMs];
            await insertGrant(tx, { org: own.org.id, owner: ownerOf(own.principal), principal: printOwner(own.principal) }, { ...limits, id, type: 'Binary', resourceId: outcome.version?.id ?? '', createdAt, expiresAt, used: 0 });
            lent = { url, expiresAt: printInstant(expiresAt) };
            return { ...outcome, grant: id };
          },
        };
      },
    });

    const { aim, perform } = parts;
    const call = fhirCalls({ perform, aim: (one) => { const aimed = aim(one); return { ...aimed, passage: { ...aimed.passage, interaction: lentBinary(aimed.passage.interaction) } }; } }, context);
    const { headers: answered } = await call('POST', 'Binary', body, { ...headers, prefer: 'return=minimal' });
    const id = /\/([A-Za-z0-9\-.]+)\/_history\/\d+$/.exec(answered['Location'] ?? '')?.[1];
    if (lent === undefined || id === undefined) throw new Error('A file was uploaded without its URL');
    return { id, ...lent };
  };
}
