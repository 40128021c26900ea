// GET and HEAD of a signed URL: the bytes as its owner would read them at this moment, by the same interaction. In mode direct a
// GET leads to the store, where the organisation and the document still allow it.
import type { AccessGrant } from '../access/access-grant.ts';
import { grantEnded } from '../access/access-grant.ts';
import type { NamedPicture } from '../access/grant-token.ts';
import type { DirectObject } from '../content/content-store.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { defineInteraction, type FhirResponse, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { readBinary } from '../interactions/read-binary.ts';
import { lending, lentDocument, requireBytes, requireLendable } from '../operations/lent-rights.ts';
import { giveBackUse, takeUse } from '../resources/access-grants.ts';
import { isBinaryInUse } from '../resources/binary-access.ts';
import { isRestricted } from '../resources/document-rules.ts';
import { readContentRow } from '../resources/read-binary-content.ts';
import { readNewest, readVersion } from '../resources/read-version.ts';
import { findPicture } from '../resources/renditions.ts';
import { pictureOutcome } from './document-thumbnails.ts';
import { asBinaryRequest, grantInUse, type FileParts } from './file-parts.ts';

/** Every GET counts, also of a range; HEAD shows no bytes and does not. */
const counts = ({ request }: InteractionContext): boolean => request.method !== 'HEAD';

interface Lent {
  grant: AccessGrant;
  /** Makes URLs of the store, where the grant is one that may lead there. */
  urlOf: ((object: DirectObject) => string) | undefined;
}

const SENT_ON = 'Sent to the store by a URL for one minute: whether it was used, how often and from where is not known here';

/** Whether a document by which the bytes are used is labelled restricted: those leave through the server alone. */
async function isLabelled(tx: Transaction, org: number, { entities }: Outcome): Promise<boolean> {
  for (const { reference } of entities) {
    const [, type, id = '', version] = /^(DocumentReference|Media|List)\/([^/]+)\/_history\/(\d+)$/.exec(reference) ?? [];
    const row = type === undefined ? undefined : await readVersion(tx, org, typeNumber(type as ResourceType), id, Number(version));
    if (row?.body != null && isRestricted(row.body)) return true;
  }
  return false;
}

export function downloadFile(parts: FileParts): Interaction {
  const { database, fhirBase, logger } = parts;
  const bytes = readBinary({ fhirBase, content: parts.reader, form: () => 'raw' }, 'read');

  async function giveBack({ org }: InteractionContext, { id }: AccessGrant): Promise<void> {
    await database.transaction(org.id, (tx) => giveBackUse(tx, org.id, id));
  }

  /** Without a limit it is only counted, and nobody waits for that. */
  function countUse({ org, now, request }: InteractionContext, { id }: AccessGrant): void {
    database.transaction(org.id, (tx) => takeUse(tx, org.id, id, now)).catch((error: unknown) => logger.warn({ err: error, requestId: request.requestId }, 'the use of a signed URL was not counted'));
  }

  /** A picture goes with its image: where no document has that any more, there is no picture either. */
  async function lentPicture(tx: Transaction, context: InteractionContext, { content, edge }: NamedPicture): Promise<Outcome> {
    const { org } = context;
    const found = await findPicture(tx, org.id, content, edge);
    if (found === undefined || !await isBinaryInUse(tx, org.id, found.binary)) throw fhirError('deleted', 'The image was deleted, or has other bytes now');
    const entities = await requireLendable(tx, context, { type: 'Binary', resourceId: found.binary, method: 'GET' }, fhirBase);
    return pictureOutcome(parts.reader, context, await readContentRow(tx, org.id, found.content), entities);
  }

  /** The outcome whose bytes the store itself gives; the same one where they leave through the server. */
  async function sentOn(tx: Transaction, { org, note }: InteractionContext, binary: string, outcome: Outcome, urlOf: NonNullable<Lent['urlOf']>): Promise<Outcome> {
    const { response: { status, headers }, open: _open, bytes, ...rest } = outcome;
    if (status !== 200 && status !== 206) return outcome;
    const content = (await readNewest(tx, org.id, typeNumber('Binary'), binary))?.content;
    const row = content == null ? undefined : await readContentRow(tx, org.id, content);
    if (row?.store !== parts.store.name || await isLabelled(tx, org.id, outcome)) return outcome;
    const [contentType = '', disposition = ''] = [headers['Content-Type'], headers['Content-Disposition']];
    const Location = urlOf({ key: row.key, version: row.store_version ?? undefined, contentType, disposition });
    note?.(SENT_ON);
    return { ...rest, response: { status: 307, headers: { Location } }, bytes: { contentType, ...(bytes?.size === undefined ? {} : { size: bytes.size }) } };
  }

  async function runDownload(tx: Transaction, context: InteractionContext, { grant, urlOf }: Lent): Promise<Outcome> {
    const { type, resourceId, picture } = grant;
    if (picture !== undefined) {
      const shown = await lentPicture(tx, context, picture);
      return { ...shown, response: asSigned(shown.response, grant), ...(counts(context) ? { afterCommit: () => countUse(context, grant) } : {}) };
    }
    const binary = type === 'Binary' ? resourceId : requireBytes(await lentDocument(tx, context, resourceId, fhirBase), resourceId);
    const lent = lending(context, 'read', 'Binary');
    const prepared = await bytes.prepare({ ...lent, request: asBinaryRequest(context.request, binary, { accept: undefined }) });
    const read = await prepared.run(tx);
    const signed = { ...read, response: asSigned(read.response, grant) };
    const outcome = urlOf === undefined ? signed : await sentOn(tx, context, binary, signed, urlOf);
    const isLimited = grant.usesMax !== undefined;
    return { ...outcome, ...(isLimited || !counts(context) ? {} : { afterCommit: () => countUse(context, grant) }) };
  }

  return defineInteraction<Lent>({
    code: 'read',
    kind: 'read',
    async prepare(context) {
      const grant = grantInUse(context);
      const { org, now } = context;
      const leads = grant.direct === true && org.directUrls === true && counts(context);
      const urlOf = leads ? await parts.store.direct?.reading() : undefined;
      if (grant.usesMax !== undefined && counts(context) && !await database.transaction(org.id, (tx) => takeUse(tx, org.id, grant.id, now))) throw grantEnded('is used up');
      return { grant, urlOf };
    },
    run: runDownload,
    abandon: async (context, { grant }) => { if (grant.usesMax !== undefined && counts(context)) await giveBack(context, grant); },
  });
}

/** What a browser would run, or read a style sheet or a script from: it is saved, whatever the grant says. */
const ACTIVE = /^(?:text\/(?:html|xml|xsl|javascript|ecmascript)|(?:application|image)\/(?:[^;]+\+xml|xml|xhtml|svg|javascript|ecmascript)|[^;]+\+xml|text\/[^;]*script|multipart\/[^;]+)\s*(?:;|$)/i;

/** The viewer of a browser shows no PDF in a sandbox. */
const VIEWED = /^application\/pdf\s*(?:;|$)/i;

function asSigned(response: FhirResponse, { disposition }: AccessGrant): FhirResponse {
  const given = response.headers['Content-Disposition'];
  const type = response.headers['Content-Type'] ?? '';
  const inline = disposition === 'inline' && given !== undefined && !ACTIVE.test(type);
  return {
    ...response,
    headers: {
      ...response.headers,
      'Cross-Origin-Resource-Policy': 'cross-origin',
      ...(inline ? { 'Content-Disposition': given.replace(/^attachment/, 'inline') } : {}),
      ...(inline && VIEWED.test(type) ? { 'Content-Security-Policy': "default-src 'none'" } : {}),
    },
  };
}
