// /profiles/{patient|practitioner}/[id]/image: the image of a person, drawn anew as a square of 512 pixels and one of 96, upright and
// without metadata. It is a Media, with its rights, versions and record; the Patient or Practitioner at HAPI is told of it.
import { creatorOf } from '../access/principal.ts';
import type { Transaction } from '../database/database.ts';
import { PictureError, PICTURED_TYPES, type Picture, type PictureMaker } from '../content/pictures.ts';
import type { ContentReader } from '../content/read-content.ts';
import { publishContent, type ReceivedContent } from '../content/receive-content.ts';
import { HEAD_BYTES, sniffType } from '../content/sniff-type.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { contentRules } from '../interactions/content-rules.ts';
import { requireChangeable } from '../interactions/confined-write.ts';
import { deleteInteraction } from '../interactions/delete.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { checkPreconditions } from '../interactions/preconditions.ts';
import { discardAfter, writeDocument } from '../interactions/write-document.ts';
import { discardAll, receiveDocument, type DocumentParts, type PreparedDocument } from '../interactions/prepare-document.ts';
import { readBinary } from '../interactions/read-binary.ts';
import { invalidResource } from '../interactions/read-body.ts';
import { judgeVersion, requireVerdict, unknown } from '../resources/permitted-version.ts';
import { lockNewest, readNewest } from '../resources/read-version.ts';
import { insertRendition } from '../resources/renditions.ts';
import { keepReplaced } from '../resources/replaced-images.ts';
import { readResource } from '../resources/resource-text.ts';
import { tellPhoto } from '../resources/outbox.ts';
import { judgeResource } from '../search/judge-resource.ts';
import { validateResource } from '../validation/validate-resource.ts';
import type { AdapterGroup } from './adapter-route.ts';
import { PROFILE_ROWS } from './describe-profiles.ts';
import { binaryIn, readPicture } from './document-thumbnails.ts';
import { readMultipart } from './multipart-form.ts';
import { AVATAR_EDGE, IMAGE_EDGE, imageMedia, mediaIdOf, photoOf, type ImagedPerson } from './profile-image.ts';
import { inFhirTerms, jsonAnswer, translated } from './translated.ts';

export interface ProfileParts extends DocumentParts {
  reader: ContentReader;
  pictures: PictureMaker;
}

/** Of an image as it is sent: it is held in memory, for a moment. */
const IMAGE_BYTES_MAX = 16 * 1024 * 1024;
const FORM_BYTES = 64 * 1024;
const KINDS = { patient: 'Patient', practitioner: 'Practitioner' } as const;

function personOf({ request }: InteractionContext): ImagedPerson {
  const { kind = '', id = '' } = request.parameters ?? {};
  if (!Object.hasOwn(KINDS, kind) || !ID_PATTERN.test(id)) throw fhirError('not-found', 'There are images of patients and of practitioners');
  return { kind: kind as ImagedPerson['kind'], type: KINDS[kind as ImagedPerson['kind']], id };
}

const refusedType = (): Error => fhirError('media-type', 'An image is sent as JPEG, PNG or WebP', { members: { allowedTypes: [...PICTURED_TYPES] } });

async function collected(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let have = 0;
  for await (const piece of bytes) {
    have += piece.length;
    if (have > IMAGE_BYTES_MAX) throw fhirError('too-long', `An image may have ${IMAGE_BYTES_MAX} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** As the body, or in the field `file` of a form. Raises 415 for what is no image by its declared type or by its bytes. */
async function sentImage({ request: { body } }: InteractionContext): Promise<Buffer> {
  const essence = (body.contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const isForm = essence === 'multipart/form-data';
  if (!isForm && !(PICTURED_TYPES as readonly string[]).includes(essence)) throw refusedType();
  const bytes = isForm ? await imageInForm(body) : await collected(body.stream(IMAGE_BYTES_MAX, IMAGE_BYTES_MAX));
  const sniffed = await sniffType(bytes.subarray(0, HEAD_BYTES));
  if (!(PICTURED_TYPES as readonly (string | undefined)[]).includes(sniffed)) throw refusedType();
  return bytes;
}

async function imageInForm(body: InteractionContext['request']['body']): Promise<Buffer> {
  const { files: [file] } = await readMultipart(body, { bytesMax: IMAGE_BYTES_MAX + FORM_BYTES, filesMax: 1, fieldsMax: 20, fieldBytesMax: FORM_BYTES }, async ({ field, bytes }) => {
    if (field !== 'file') throw fhirError('malformed-form', 'The file must be in the field named file', { expression: 'file' });
    return collected(bytes);
  });
  if (file === undefined) throw fhirError('malformed-form', 'The form has no file; it belongs into the field named file', { expression: 'file' });
  return file;
}

async function* oneBuffer(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** The image and its small one. Raises 422 for what cannot be drawn, 503 where nothing can be drawn now. */
async function drawn(pictures: PictureMaker, bytes: Buffer): Promise<[Picture, Picture]> {
  try {
    const [image, avatar] = await pictures.draw(oneBuffer(bytes), bytes.length, [IMAGE_EDGE, AVATAR_EDGE].map((edge) => ({ edge, shape: 'square' as const, form: 'jpeg' as const })));
    return [image as Picture, avatar as Picture];
  } catch (error) {
    if (error instanceof PictureError && error.kind !== 'process') throw fhirError('business-rule', `No picture can be made of the image: ${error.message}`, { cause: error });
    throw fhirError('unavailable', 'No picture can be made now', { cause: error, headers: { 'Retry-After': '2' } });
  }
}

interface PreparedImage {
  person: ImagedPerson;
  prepared: PreparedDocument;
  image: ReceivedContent;
  avatar: ReceivedContent;
}

async function receivePicture(parts: ProfileParts, context: InteractionContext, { kind, id }: ImagedPerson, { bytes }: Picture): Promise<ReceivedContent> {
  return parts.content.receive({
    org: context.org, bytes: oneBuffer(bytes), size: bytes.length, bytesMax: bytes.length, declaredType: 'image/jpeg', rules: contentRules(context, 'Media'), creator: creatorOf(context.principal),
    profile: { type: kind, id }, now: context.now,
  });
}

async function prepareImage(parts: ProfileParts, context: InteractionContext): Promise<PreparedImage> {
  const person = personOf(context);
  const [large, small] = await drawn(parts.pictures, await sentImage(context));
  const resource = imageMedia(person, { operator: context.principal.fhirUser, now: context.now });
  const issues = validateResource(resource, 'Media');
  if (issues.length > 0) throw invalidResource(issues);
  const received: ReceivedContent[] = [];
  try {
    const prepared = await receiveDocument(parts, asMedia(context, person), resource);
    for (const picture of [large, small]) received.push(await receivePicture(parts, context, person, picture));
    const [image, avatar] = received as [ReceivedContent, ReceivedContent];
    const attachment = resource['content'] as JsonObject;
    return { person, image, avatar, prepared: { ...prepared, moved: [{ attachment, expression: 'Media.content', contentType: 'image/jpeg', bytes: Buffer.alloc(0), received: image }] } };
  } catch (error) {
    await discardAll(parts.content, context, received);
    throw error;
  }
}

const asMedia = (context: InteractionContext, person: ImagedPerson): InteractionContext => inFhirTerms(context, { type: 'Media', id: mediaIdOf(person), query: [] });

/** Id of the Binary of a version of the Media. */
function imageIn(body: string | null | undefined, fhirBase: string): string | undefined {
  const content = body == null ? undefined : readResource(body)['content'];
  return isJsonObject(content) ? binaryIn(content, fhirBase) : undefined;
}

async function storeImage(parts: ProfileParts, tx: Transaction, asked: InteractionContext, { person, prepared, image, avatar }: PreparedImage): Promise<Outcome> {
  const context = asMedia(asked, person);
  const { org, now, eventId, request: { id } } = context;
  const previous = await lockNewest(tx, org.id, typeNumber('Media'), id);
  // What is not there yet may be made by whoever may write what it will be; whether it is there is told to nobody else.
  if (previous !== undefined) await requireChangeable(tx, context, id, previous, parts.fhirBase);
  else if (judgeResource(context.restriction, 'Media', { ...prepared.resource, id }, parts.fhirBase) === 'hidden') throw unknown(`Media/${id}`);
  checkPreconditions(context, id, previous);
  const outcome = await writeDocument(parts, tx, context, { id, method: 'PUT', prepared, previous });
  const body = outcome.response.body ?? '{}';
  const binary = imageIn(body, parts.fhirBase) ?? '';
  const replaced = imageIn(previous?.body, parts.fhirBase);
  // The same picture as before keeps its Binary, and what belongs to that.
  if (replaced === binary) discardAfter(parts, context, outcome, [avatar]);
  else {
    await publishContent(tx, org.id, avatar);
    await insertRendition(tx, { org: org.id, source: image.id, binary, edge: AVATAR_EDGE, content: avatar.id, width: AVATAR_EDGE, height: AVATAR_EDGE });
    if (replaced !== undefined) await keepReplaced(tx, org.id, replaced, now);
  }
  const resource = readResource(body);
  const version = outcome.version?.version ?? 1;
  await tellPhoto(tx, { org: org.id, type: person.type, id: person.id, version, event: eventId, photo: photoOf(resource['content'] as JsonObject) });
  return { ...outcome, response: jsonAnswer(outcome.response, outcome.response.status, shownImage(parts, person, resource)) };
}

/** As this way in shows it. */
function shownImage({ fhirBase }: ProfileParts, { kind, id }: ImagedPerson, media: JsonObject): JsonObject {
  const url = `${fhirBase.replace(/\/fhir$/, '')}/profiles/${kind}/${id}/image`;
  return { type: kind, id, image_url: url, avatar_url: `${url}?size=${AVATAR_EDGE}`, content_type: 'image/jpeg', updated_at: media['createdDateTime'] ?? null, media: `Media/${mediaIdOf({ kind, id })}` };
}

function putImage(parts: ProfileParts): Interaction {
  return defineInteraction<PreparedImage>({
    code: 'update',
    kind: 'write',
    prepare: (context) => prepareImage(parts, context),
    run: (tx, context, prepared) => storeImage(parts, tx, context, prepared),
    abandon: (context, { image, avatar }) => discardAll(parts.content, context, [image, avatar]),
  });
}

function sizeAsked({ request: { query } }: InteractionContext): number {
  const other = query.find(([name]) => name !== 'size');
  const sizes = query.filter(([name]) => name === 'size').map(([, value]) => value);
  const size = sizes[0] ?? String(IMAGE_EDGE);
  if (other !== undefined || sizes.length > 1 || ![IMAGE_EDGE, AVATAR_EDGE].map(String).includes(size)) throw fhirError('invalid-parameter', `size is ${IMAGE_EDGE} or ${AVATAR_EDGE}`);
  return Number(size);
}

function getImage(parts: ProfileParts): Interaction {
  const bytes = readBinary({ fhirBase: parts.fhirBase, content: parts.reader, form: () => 'raw' }, 'read');
  return defineInteraction({
    code: 'read',
    kind: 'read',
    async run(tx, context) {
      const person = personOf(context);
      const size = sizeAsked(context);
      const row = await readNewest(tx, context.org.id, typeNumber('Media'), mediaIdOf(person));
      if (row === undefined) throw unknown(`The image of ${person.type}/${person.id}`);
      requireVerdict(await judgeVersion(tx, context.restriction, row, parts.fhirBase), `The image of ${person.type}/${person.id}`);
      if (row.body === null) throw fhirError('deleted', `The image of ${person.type}/${person.id} was deleted`);
      const binary = imageIn(row.body, parts.fhirBase);
      if (binary === undefined) throw fhirError('not-found', `There is no image of ${person.type}/${person.id}`);
      if (size === AVATAR_EDGE) return readPicture(parts, tx, context, binary, AVATAR_EDGE);
      return (await bytes.prepare(inFhirTerms(context, { type: 'Binary', id: binary, query: [] }))).run(tx);
    },
  });
}

function deleteImage(parts: ProfileParts): Interaction {
  return translated(deleteInteraction(parts.fhirBase), {
    ask: (context) => ({ type: 'Media', id: mediaIdOf(personOf(context)), query: [] }),
    answer: async (outcome, context, tx) => {
      const { type, id, kind } = personOf(context);
      if (outcome.entities.length === 0 || tx === undefined) throw fhirError('not-found', `There is no image of ${type}/${id}`);
      if (outcome.write === undefined) throw fhirError('deleted', `The image of ${type}/${id} was deleted`);
      await forget(parts, tx, context, { type, id, kind });
      return { ...outcome, response: jsonAnswer({ headers: {} }, 200, { success: true }) };
    },
  });
}

/** The deleted image is kept as one that was replaced, and HAPI is told that there is none. */
async function forget(parts: ProfileParts, tx: Transaction, { org, now, eventId }: InteractionContext, person: ImagedPerson): Promise<void> {
  const { rows } = await tx.query<{ version: number; body: string | null }>(
    'select version, body from resource_history where org = $1 and type = $2 and id = $3 order by version desc limit 1', [org.id, typeNumber('Media'), mediaIdOf(person)],
  );
  const binary = imageIn(rows[0]?.body, parts.fhirBase);
  if (binary !== undefined) await keepReplaced(tx, org.id, binary, now);
  await tellPhoto(tx, { org: org.id, type: person.type, id: person.id, version: (rows[0]?.version ?? 0) + 1, event: eventId, photo: undefined });
}

export function profileImages(parts: ProfileParts): AdapterGroup {
  const shared = { path: '[kind]/[id]/image', type: 'Media' as const };
  return {
    prefix: 'profiles',
    crossOrigin: true,
    routes: [
      { ...shared, method: 'PUT', access: { interaction: 'update' }, interaction: putImage(parts), says: PROFILE_ROWS.put },
      { ...shared, method: 'GET', access: { interaction: 'read' }, interaction: getImage(parts), says: PROFILE_ROWS.get },
      { ...shared, method: 'DELETE', access: { interaction: 'delete' }, interaction: deleteImage(parts), says: PROFILE_ROWS.delete },
    ],
  };
}
