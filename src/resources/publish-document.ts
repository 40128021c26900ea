// Publishing a document inside the transaction: its moved bytes become Binaries, and the version is stored with
// its index rows. All or nothing, for all of it is one transaction.
import { publishContent, type ReceivedContent } from '../content/receive-content.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { isJsonObject, printJson, type JsonObject } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { extractIndexValues } from '../search/extract-index-values.ts';
import { findAttachments } from '../validation/find-attachments.ts';
import { describeBytes, namedSha256, type LinkedBinary, type MovedAttachment } from './attachments.ts';
import type { BinaryReader } from './binary-access.ts';
import { holdLinks } from './hold-links.ts';
import { requireNoHold } from './legal-holds.ts';
import { queueThumbnail } from './renditions.ts';
import { classTag, knownClass, UNLINKED_CLASS } from './retention-profiles.ts';
import { isSameVersion, masterIdentifierKey, readResource, stampResource } from './resource-text.ts';
import { insertFirstVersion, NO_INDEX_VALUES, removeIndexRows, supersedeVersion, type NewVersion } from './write-version.ts';

export interface Publication {
  type: ResourceType;
  id: string;
  method: 'POST' | 'PUT' | 'PATCH';
  resource: JsonObject;
  moved: readonly MovedAttachment[];
  /** Binaries that its attachments point to, checked already. */
  linked: readonly LinkedBinary[];
  /** The version that this one follows, locked by the transaction. */
  previous: VersionRow | undefined;
  reader: BinaryReader;
  now: number;
  event: string;
}

export interface Published {
  version: number;
  lastUpdated: number;
  text: string;
  /** False when the text is the previous version's: nothing was written. */
  changed: boolean;
  patient: string | null;
  /** Binaries that this publication made, and those it points to. */
  made: LinkedBinary[];
  linked: LinkedBinary[];
  /** Contents that turned out to be there already. */
  unused: ReceivedContent[];
}

/** Later than the version before, whatever the clock does. */
export function laterThan(now: number, previous: VersionRow | undefined): number {
  return previous === undefined ? now : Math.max(now, previous.last_updated.getTime() + 1);
}

export interface BinaryPublication {
  org: number;
  id: string;
  contentType: string;
  securityContext?: JsonObject;
  creator: string;
  /** Milliseconds; later than the version before. */
  now: number;
  event: string;
  received: ReceivedContent;
  /** A document that is published with it points to it. */
  linked?: boolean;
  /** How it comes about; POST unless told. */
  method?: 'POST' | 'PUT';
  /** The version that it follows, locked by the transaction. */
  previous?: VersionRow;
}

/** Stores a Binary over bytes that were received, and publishes them. Answers its text. */
export async function publishBinary(tx: Transaction, binary: BinaryPublication): Promise<string> {
  const { previous } = binary;
  const version = (previous?.version ?? 0) + 1;
  const resource: JsonObject = { resourceType: 'Binary', contentType: binary.contentType, ...(binary.securityContext === undefined ? {} : { securityContext: binary.securityContext }) };
  const text = stampResource(resource, { id: binary.id, version, lastUpdated: binary.now });
  await publishContent(tx, binary.org, binary.received);
  const next: NewVersion = {
    org: binary.org, type: typeNumber('Binary'), id: binary.id, version, lastUpdated: binary.now, method: binary.method ?? 'POST', body: text,
    content: binary.received.id, creator: binary.creator, masterIdentifier: null, retention: binary.linked === true ? null : UNLINKED_CLASS, index: NO_INDEX_VALUES, binaries: [], event: binary.event,
  };
  if (previous === undefined) insertFirstVersion(tx, next);
  else await supersedeVersion(tx, next, previous);
  queueThumbnail(tx, binary);
  return text;
}

/** Binary urls of the version before, by content (SHA-256: a SHA-1 can be made to collide): the same bytes at the same type need no second Binary. */
async function knownContents(tx: Transaction, publication: Publication): Promise<Map<string, string>> {
  const { previous, type } = publication;
  if (previous?.body == null || publication.moved.length === 0) return new Map();
  const attachments = findAttachments(readResource(previous.body), type);
  return new Map(attachments.flatMap(({ attachment }) => (typeof attachment['url'] === 'string' ? [[contentKey(attachment), attachment['url']] as const] : [])));
}

function contentKey(attachment: JsonObject): string {
  return printJson([attachment['contentType'] ?? null, namedSha256(attachment) ?? null, attachment['size'] ?? null]);
}

async function placeMoved(tx: Transaction, publication: Publication): Promise<{ made: LinkedBinary[]; reused: string[]; unused: ReceivedContent[] }> {
  const { reader } = publication;
  const known = await knownContents(tx, publication);
  const made: LinkedBinary[] = [];
  const reused: string[] = [];
  const unused: ReceivedContent[] = [];
  for (const { attachment, contentType, received } of publication.moved) {
    const url = known.get(printJson([contentType, received.sha256.toString('base64'), received.size]));
    if (url !== undefined) {
      describeBytes(attachment, url, received);
      unused.push(received);
      const { id } = parseLocalReference(url, reader.fhirBase) ?? {};
      if (id !== undefined) reused.push(id);
      continue;
    }
    const id = newUuidV7(publication.now);
    await publishBinary(tx, { org: reader.org, id, contentType, creator: reader.creator, now: publication.now, event: publication.event, received, linked: true });
    describeBytes(attachment, `${reader.fhirBase}/Binary/${id}`, received);
    made.push({ id, version: 1 });
  }
  return { made, reused, unused };
}

/** Raises 409 `duplicate` for a masterIdentifier in use. */
export async function publishDocument(tx: Transaction, publication: Publication): Promise<Published> {
  const { type, id, previous, reader, resource } = publication;
  const { made, reused, unused } = await placeMoved(tx, publication);
  const linked = [...publication.linked, ...made];
  const index = extractIndexValues(resource, type, reader.fhirBase);
  if (previous?.body != null && made.length === 0 && isSameVersion(resource, previous.body)) {
    return { version: previous.version, lastUpdated: previous.last_updated.getTime(), text: previous.body, changed: false, patient: index.patient, made, linked, unused };
  }
  const version = (previous?.version ?? 0) + 1;
  const lastUpdated = laterThan(publication.now, previous);
  const text = stampResource(resource, { id, version, lastUpdated });
  const next: NewVersion = {
    org: reader.org, type: typeNumber(type), id, version, lastUpdated, method: publication.method, body: text, content: null, creator: null,
    masterIdentifier: masterIdentifierKey(resource), retention: knownClass(classTag(resource)), index, binaries: [...linked.map((binary) => binary.id), ...reused], event: publication.event,
  };
  if (previous === undefined) insertFirstVersion(tx, next);
  else await supersede(tx, next, previous, type, reader.fhirBase);
  holdLinks(tx, reader.org, publication.linked);
  return { version, lastUpdated, text, changed: true, patient: index.patient, made, linked, unused };
}

async function supersede(tx: Transaction, next: NewVersion, previous: VersionRow, type: ResourceType, fhirBase: string): Promise<void> {
  await supersedeVersion(tx, next, previous);
  if (previous.body === null) return;
  await removeIndexRows(tx, previous, extractIndexValues(readResource(previous.body), type, fhirBase));
}

/** Raises 423 `held`. A deletion is a version without a body; the patient stays in its column, so that the record can name whom it was about. */
export async function publishDeletion(tx: Transaction, deletion: { type: ResourceType; previous: VersionRow; fhirBase: string; now: number; event: string }): Promise<{ version: number; patient: string | null }> {
  const { previous, type } = deletion;
  await requireNoHold(tx, previous);
  const index = previous.body === null ? NO_INDEX_VALUES : extractIndexValues(readResource(previous.body), type, deletion.fhirBase);
  const version = previous.version + 1;
  await supersede(tx, {
    org: previous.org, type: previous.type, id: previous.id, version, lastUpdated: laterThan(deletion.now, previous), method: 'DELETE', body: null,
    content: null, creator: previous.creator, masterIdentifier: null, retention: null, index: { ...NO_INDEX_VALUES, patient: index.patient }, binaries: [], event: deletion.event,
  }, previous, type, deletion.fhirBase);
  return { version, patient: index.patient };
}

/** References that a document's text names as its authors and custodian, for its Provenance. */
export function namedAuthors(resource: JsonObject): { authors: string[]; custodian?: string } {
  const authors = (Array.isArray(resource['author']) ? resource['author'] : []).flatMap((author) => (isJsonObject(author) && typeof author['reference'] === 'string' && !author['reference'].startsWith('#') ? [author['reference']] : []));
  const custodian = isJsonObject(resource['custodian']) ? resource['custodian']['reference'] : undefined;
  return typeof custodian === 'string' && !custodian.startsWith('#') ? { authors, custodian } : { authors };
}
