// PUT in mode direct: the device is sent on to the store, which keeps what comes under a key that nothing reads. POST to the same
// URL has us read it: those bytes are received as any others are, under a key that nobody else ever had, and seen from then on.
import type { AccessGrant } from '../access/access-grant.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import { condemnContent, readStagedType, stageAgain } from '../content/content-rows.ts';
import type { DirectUrls } from '../content/content-store.ts';
import { requireRoom } from '../content/quota.ts';
import { eraseVersions } from '../content/stored-object.ts';
import { creatorOf } from '../access/principal.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { contentRules } from '../interactions/content-rules.ts';
import { defineInteraction, type Interaction, type InteractionContext, type PreparedInteraction, type RequestBody } from '../interactions/interaction.ts';
import { requireLendable } from '../operations/lent-rights.ts';
import type { TakeUpload } from './agreed-upload.ts';
import { grantInUse, type FileParts } from './file-parts.ts';

/** Of what nobody looked at yet; an object of the store is under it for the time of one upload. */
const inboxKey = ({ id }: AccessGrant): string => `inbox/${id.replaceAll('-', '')}`;

const SENT_ON = 'Sent to the store by a URL for one minute: whether bytes came is known when the upload is ended';

/** What can be refused before the bytes is refused; the answer leads to the store, for so many bytes of that type. */
export async function sendToStore(parts: FileParts & { direct: DirectUrls }, context: InteractionContext, grant: AccessGrant, { length, contentType }: RequestBody, entities: AccessEntity[]): Promise<PreparedInteraction> {
  const { org, principal, note } = context;
  if (contentType === undefined) throw fhirError('media-type', 'The bytes need a Content-Type');
  if (length === undefined) throw fhirError('malformed-request', 'An upload in mode direct says its length');
  if (length > parts.uploadBytesMax) throw fhirError('too-long', `The bytes may be ${parts.uploadBytesMax} at most`);
  await requireRoom(parts.database, org.id, contentRules(context, 'Binary'), length);
  const key = inboxKey(grant);
  const Location = await parts.direct.writing(key, { size: length, contentType });
  await stageAgain(parts.database, { org: org.id, id: grant.id, store: parts.store.name, key }, { declaredType: contentType, sniffedType: undefined, creator: creatorOf(principal) });
  note?.(SENT_ON);
  return { run: async () => ({ response: { status: 307, headers: { Location } }, entities, code: 'operation' }), abandon: async () => { /* The sweeper removes what nobody ended. */ } };
}

/** What the store has, as the body that the device would have sent. Raises 409 where nothing came. */
async function bodyInStore({ database, store }: FileParts, { org, request }: InteractionContext, grant: AccessGrant): Promise<RequestBody> {
  const declaredType = await readStagedType(database, { org: org.id, id: grant.id });
  const held = declaredType === undefined ? undefined : await store.stat(inboxKey(grant));
  if (declaredType === undefined || held === undefined) throw fhirError('conflict', 'Nothing was sent to the store by this URL');
  async function* stream(): AsyncGenerator<Buffer> {
    if (held !== undefined && held.size > 0) yield* await store.get(inboxKey(grant), { start: 0, length: held.size }, held.version === undefined ? {} : { version: held.version });
  }
  return { ...request.body, contentType: declaredType, contentEncoding: undefined, length: held.size, stream };
}

export function endDirectUpload(parts: FileParts, take: TakeUpload): Interaction {
  async function clear({ org }: InteractionContext, grant: AccessGrant): Promise<void> {
    await eraseVersions(parts.store, inboxKey(grant));
    await condemnContent(parts.database, { org: org.id, id: grant.id });
  }
  const cleared = (context: InteractionContext, grant: AccessGrant): void => {
    clear(context, grant).catch((error: unknown) => { parts.logger.warn({ err: error, requestId: context.request.requestId }, 'what was sent to the store directly was not removed; the sweeper tries again'); });
  };

  return defineInteraction<PreparedInteraction & { grant: AccessGrant }>({
    code: 'update',
    kind: 'write',
    async prepare(context) {
      const grant = grantInUse(context);
      const { request } = context;
      if ((request.body.length ?? 0) > 0) throw fhirError('malformed-request', 'The bytes go to the store by PUT; this request has none');
      await context.read((tx) => requireLendable(tx, context, grant, parts.fhirBase));
      const body = await bodyInStore(parts, context, grant);
      try {
        return { ...await take(context, grant, { ...request, method: 'PUT', body }), grant };
      } catch (error) {
        // Of what is refused nothing is kept; the URL may be tried again.
        if (error instanceof FhirError && error.status < 500) await eraseVersions(parts.store, inboxKey(grant));
        throw error;
      }
    },
    async run(tx, context, { grant, run }) {
      return { ...await run(tx), afterCommit: () => cleared(context, grant) };
    },
    abandon: (_context, prepared) => prepared.abandon(),
  });
}
