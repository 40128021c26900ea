// Files by id, for administrators: what is held, whether a document uses it, and the link to one that was lost. The link is made
// by the interactions of FHIR, as the administrator who asks: it is judged by itself, and told by the event of this request.
import { DOCUMENT_CATEGORIES } from '../access/policy.ts';
import { authorize } from '../access/authorize.ts';
import { versionTag } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { defineInteraction, type FhirRequest, type FhirResponse, type Interaction, type InteractionContext, type Outcome, type PreparedInteraction } from '../interactions/interaction.ts';
import { requirePermitted, unknown as unknownDocument } from '../resources/permitted-version.ts';
import { readNewest } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';
import { findStoredFiles, type StoredFile } from '../resources/stored-files.ts';
import { jsonAnswer, pageCount, readAdminBody, readText } from './admin-body.ts';
import { documentOf } from './document-fields.ts';
import { fhirEntry, type FhirCallParts } from './fhir-call.ts';

export interface AdminFileParts extends FhirCallParts {
  fhirBase: string;
}

function shown({ id, content, state, declaredType, sniffedType, size, sha256, creator, createdAt, quarantineReason, documents }: StoredFile): object {
  const [issuer, subject, client] = creator?.split('|') ?? [];
  return {
    id, binary: `Binary/${id}`, content, state, content_type: declaredType, recognised_type: sniffedType, size, sha256: sha256?.toString('hex') ?? null, created: printInstant(createdAt.getTime()),
    ...(creator === null ? {} : { by: { issuer, subject, client } }), ...(quarantineReason === null ? {} : { quarantined: quarantineReason }), documents, linked: documents.length > 0,
  };
}

const touched = (files: readonly StoredFile[]): Outcome['entities'] => files.flatMap(({ id, version, documents }) => [{ reference: `Binary/${id}/_history/${version}`, role: 'data' as const }, ...documents.map((reference) => ({ reference, role: 'data' as const }))]);
const unknown = (): Error => fhirError('not-found', 'There is no such file');
const named = ({ parameters }: FhirRequest): string => parameters?.['fileId'] ?? '';

/** `linked=no` shows those that no document uses. */
export function listFiles(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const count = pageCount(request);
      const value = (name: string): string | undefined => request.query.find(([key]) => key === name)?.[1];
      const [fileId, linked, before] = [value('fileId'), value('linked') ?? 'all', value('before')];
      if (linked !== 'no' && linked !== 'all') throw fhirError('invalid-parameter', 'linked is no or all');
      const found = await findStoredFiles(tx, org.id, { ...(fileId === undefined ? {} : { fileId }), unlinked: linked === 'no', ...(before === undefined ? {} : { before }), limit: count + 1 });
      const page = found.slice(0, count);
      const next = found.length > count ? { next: `/admin/files?linked=${linked}&before=${page.at(-1)?.id ?? ''}&_count=${count}` } : {};
      return { response: jsonAnswer(200, { files: page.map(shown), ...next }), entities: touched(page) };
    },
  });
}

async function readFile({ org, read }: InteractionContext, fileId: string): Promise<StoredFile> {
  const [file] = await read((tx) => findStoredFiles(tx, org.id, { fileId, unlinked: false, limit: 1 }));
  if (file === undefined) throw unknown();
  return file;
}

export function readOneFile(): Interaction {
  return defineInteraction<StoredFile>({
    code: 'operation',
    kind: 'read',
    prepare: (context) => readFile(context, named(context.request)),
    run: (_tx, _context, file) => Promise.resolve({ response: jsonAnswer(200, shown(file)), entities: touched([file]) }),
  });
}

/** Whom the file is about, or the document that it belongs to. */
type Link = { document: string } | { patient: string; category: string; title?: string; encounter?: string };

const TEXT_MAX = 1_000;

function idIn(value: JsonValue | undefined, member: string, type: string): string {
  const id = readText(value, member, 100).replace(new RegExp(`^${type}/`), '');
  if (!ID_PATTERN.test(id)) throw fhirError('invalid-value', `${member} is an id of ${type}`, { expression: member });
  return id;
}

function linkOf(body: JsonObject): Link {
  const { document, patient_id: patient, encounter_id: encounter, category = 'other', title } = body;
  if (document !== undefined) {
    if (Object.keys(body).some((member) => member !== 'document' && member !== 'reason')) throw fhirError('structure', 'document stands alone: the document says the rest already', { expression: 'document' });
    return { document: idIn(document, 'document', 'DocumentReference') };
  }
  if (typeof category !== 'string' || !(DOCUMENT_CATEGORIES as readonly string[]).includes(category)) throw fhirError('code-invalid', `category is one of ${DOCUMENT_CATEGORIES.join(', ')}`, { expression: 'category' });
  return {
    patient: idIn(patient, 'patient_id', 'Patient'), category,
    ...(title === undefined ? {} : { title: readText(title, 'title', TEXT_MAX) }), ...(encounter === undefined ? {} : { encounter: idIn(encounter, 'encounter_id', 'Encounter') }),
  };
}

const attachmentOf = ({ id, declaredType }: StoredFile, title: string | undefined): JsonObject => ({ contentType: declaredType ?? 'application/octet-stream', url: `Binary/${id}`, ...(title === undefined ? {} : { title }) });

function newDocument(file: StoredFile, link: Exclude<Link, { document: string }>, context: InteractionContext): JsonObject {
  const { patient, category, title, encounter } = link;
  const metadata = { patient_id: patient, category, ...(title === undefined ? {} : { title }), ...(encounter === undefined ? {} : { encounter_id: encounter }) };
  const document = documentOf(metadata, { name: title, contentType: file.declaredType ?? 'application/octet-stream' }, { author: context.principal.fhirUser, now: context.now });
  return { ...document, content: [{ attachment: attachmentOf(file, title) }] };
}

/** What makes the link, to be run with the record of it; `entry` is undefined where the document has the file already. */
interface Linking {
  file: StoredFile;
  entry: PreparedInteraction | undefined;
  /** The document that has it already. */
  known: { id: string; version: number } | undefined;
}

const namedIn = ({ body = '{}' }: FhirResponse): { id: string; meta: { versionId: string } } => JSON.parse(body) as { id: string; meta: { versionId: string } };

/** Raises 404, 403 and 410 as a read of it would. */
async function currentDocument({ org, principal, read }: InteractionContext, id: string, fhirBase: string): Promise<{ version: number; resource: JsonObject }> {
  const decision = authorize(principal, { interaction: 'read', type: 'DocumentReference' });
  if (!decision.permit) throw fhirError('forbidden', decision.reason);
  const row = await read(async (tx) => {
    const found = await readNewest(tx, org.id, typeNumber('DocumentReference'), id);
    if (found !== undefined) await requirePermitted(tx, decision.restriction, found, fhirBase);
    return found;
  });
  if (row === undefined) throw unknownDocument(`DocumentReference/${id}`);
  if (row.body === null) throw fhirError('deleted', `DocumentReference/${id} was deleted`);
  return { version: row.version, resource: readResource(row.body) };
}

async function prepareLink(parts: AdminFileParts, context: InteractionContext, file: StoredFile, link: Link): Promise<Linking> {
  const asked = { prefer: 'return=representation' };
  if (!('document' in link)) return { file, known: undefined, entry: await fhirEntry(parts, context, 'POST', 'DocumentReference', newDocument(file, link, context), asked) };
  const url = `DocumentReference/${link.document}`;
  const { version, resource } = await currentDocument(context, link.document, parts.fhirBase);
  if (file.documents.includes(url)) return { file, known: { id: link.document, version }, entry: undefined };
  const contents = Array.isArray(resource['content']) ? resource['content'] : [];
  const next = printJson({ ...resource, content: [...contents, { attachment: attachmentOf(file, undefined) }] });
  const body = { contentType: 'application/fhir+json', bytes: (async function* () { yield Buffer.from(next); })(), length: Buffer.byteLength(next) };
  return { file, known: undefined, entry: await fhirEntry(parts, context, 'PUT', url, body, { ...asked, 'content-type': body.contentType, 'if-match': versionTag(version) }) };
}

/**
 * `$link`: a file that no document names becomes one about a patient, or another content of a document that is there. Raises 404,
 * 409 `conflict` for one that a document has already where a new one is asked for, and what the interactions raise.
 */
export function linkFile(parts: AdminFileParts): Interaction {
  return defineInteraction<Linking>({
    code: 'operation',
    kind: 'write',
    prepare: async (context) => {
      const body = await readAdminBody(context.request, ['document', 'patient_id', 'encounter_id', 'category', 'title', 'reason']);
      const reason = readText(body['reason'], 'reason', 500);
      const link = linkOf(body);
      const file = await readFile(context, named(context.request));
      if (!('document' in link) && file.documents.length > 0) throw fhirError('conflict', `The file is linked already: ${file.documents.join(', ')}`);
      const linking = await prepareLink(parts, context, file, link);
      context.note?.(`File linked: ${reason}`);
      return linking;
    },
    run: async (tx, _context, { file, entry, known }) => {
      const { version: _version, response, entities = [], ...made } = await entry?.run(tx) ?? {};
      const [id, version] = response === undefined ? [known?.id ?? '', String(known?.version)] : [namedIn(response).id, namedIn(response).meta.versionId];
      const reference = `DocumentReference/${id}`;
      const documents = [...new Set([...file.documents, reference])].sort();
      return {
        ...made,
        response: jsonAnswer(200, { ...shown({ ...file, documents }), document: reference, version, changed: response !== undefined }),
        entities: distinct([...touched([file]), ...entities, { reference: `${reference}/_history/${version}`, role: 'data' }]),
        code: 'operation',
        keepsAnswer: true,
      };
    },
    abandon: async (_context, { entry }) => { await entry?.abandon(); },
  });
}

const distinct = (entities: Outcome['entities']): Outcome['entities'] => [...new Map(entities.map((entity) => [`${entity.role} ${entity.reference}`, entity])).values()];
