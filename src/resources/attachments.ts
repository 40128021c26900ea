// Attachments on their way in (R4 datatypes.html#Attachment): inline data moves to the content store, a link to a
// Binary of this server is checked, and what the resource claims of size and hash is compared with the bytes.
import type { ReceivedContent } from '../content/receive-content.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { findAttachments } from '../validation/find-attachments.ts';
import type { BinaryReader } from './binary-access.ts';
import type { LinkTargetLoader } from './load-link-target.ts';

export const ALTERNATE_HASH = 'http://hl7.org/fhir/StructureDefinition/alternate-hash';
export const HASH_ALGORITHMS = 'http://hl7.org/fhir/CodeSystem/integrity-check-algorithms';
/** Attachment.size is an unsignedInt: a larger file has none. */
const SIZE_MAX = 2_147_483_647;

export interface Digests {
  size: number;
  sha256: Buffer;
  sha1: Buffer;
}

export interface InlineAttachment {
  attachment: JsonObject;
  expression: string;
  contentType: string;
  bytes: Buffer;
}

export interface MovedAttachment extends InlineAttachment {
  received: ReceivedContent;
}

/** Size, SHA-1 and SHA-256 that the resource claims for the bytes of one attachment. */
export interface Claims {
  size?: number;
  sha1?: Buffer;
  sha256?: Buffer;
}

function decodeHash(text: JsonValue | undefined, bytes: number, expression: string, what: string): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const decoded = Buffer.from(text, 'base64');
  if (decoded.length !== bytes) {
    throw fhirError('claim-mismatch', `${what} must be the base64 of ${bytes} bytes; this one holds ${decoded.length}`, { expression });
  }
  return decoded;
}

function alternateHash(attachment: JsonObject): JsonObject | undefined {
  const extensions = Array.isArray(attachment['extension']) ? attachment['extension'].filter(isJsonObject) : [];
  return extensions.find((extension) => {
    const parts = Array.isArray(extension['extension']) ? extension['extension'].filter(isJsonObject) : [];
    return extension['url'] === ALTERNATE_HASH && parts.some((part) => isJsonObject(part['valueCoding']) && part['valueCoding']['code'] === 'SHA-256');
  });
}

function alternateHashText(attachment: JsonObject): JsonValue | undefined {
  const parts = alternateHash(attachment)?.['extension'];
  return Array.isArray(parts) ? parts.filter(isJsonObject).find((part) => part['url'] === 'hash')?.['valueString'] : undefined;
}

/** The SHA-256 that the attachment names, in base64; undefined without one. */
export function namedSha256(attachment: JsonObject): string | undefined {
  const text = alternateHashText(attachment);
  return typeof text === 'string' ? Buffer.from(text, 'base64').toString('base64') : undefined;
}

/** Raises 422 `claim-mismatch` for a hash of the wrong length: a SHA-256 in `hash` is the usual mistake. */
export function readClaims(attachment: JsonObject, expression: string): Claims {
  const sha1 = decodeHash(attachment['hash'], 20, `${expression}.hash`, 'Attachment.hash is a SHA-1 in R4: it');
  const sha256 = decodeHash(alternateHashText(attachment), 32, `${expression}.extension`, 'The alternate-hash SHA-256');
  const size = attachment['size'];
  return { ...(typeof size === 'number' ? { size } : {}), ...(sha1 === undefined ? {} : { sha1 }), ...(sha256 === undefined ? {} : { sha256 }) };
}

/** Raises 422 `claim-mismatch` at the element whose claim the bytes do not bear out. */
export function checkClaims(claims: Claims, actual: Digests, expression: string): void {
  if (claims.size !== undefined && claims.size !== actual.size) {
    throw fhirError('claim-mismatch', `The attachment has ${actual.size} bytes, not ${claims.size}`, { expression: `${expression}.size` });
  }
  if (claims.sha1 !== undefined && !claims.sha1.equals(actual.sha1)) {
    throw fhirError('claim-mismatch', 'Attachment.hash is not the SHA-1 of the bytes', { expression: `${expression}.hash` });
  }
  if (claims.sha256 !== undefined && !claims.sha256.equals(actual.sha256)) {
    throw fhirError('claim-mismatch', 'The alternate-hash is not the SHA-256 of the bytes', { expression: `${expression}.extension` });
  }
}

/** All attachments with inline data, decoded. Raises 413 past `inlineBytesMax`, 422 where data has no contentType (att-1). */
export function takeInlineAttachments(resource: JsonObject, type: string, inlineBytesMax: number): InlineAttachment[] {
  let total = 0;
  return findAttachments(resource, type).flatMap(({ attachment, expression }): InlineAttachment[] => {
    const { data, contentType } = attachment;
    if (typeof data !== 'string') return [];
    if (typeof contentType !== 'string') throw fhirError('required', 'An attachment with data needs a contentType', { expression: `${expression}.contentType` });
    const bytes = Buffer.from(data, 'base64');
    total += bytes.length;
    if (total > inlineBytesMax) throw fhirError('too-long', `Inline data may have ${inlineBytesMax} bytes together; send the bytes to Binary instead`, { expression: `${expression}.data` });
    return [{ attachment, expression, contentType, bytes }];
  });
}

/** Writes what the server knows of the bytes into the attachment, and takes the data out. */
export function describeBytes(attachment: JsonObject, url: string, digests: Digests): void {
  delete attachment['data'];
  attachment['url'] = url;
  if (digests.size <= SIZE_MAX) attachment['size'] = digests.size;
  attachment['hash'] = digests.sha1.toString('base64');
  if (namedSha256(attachment) !== undefined) return;
  // One that says SHA-256 and no digest was never compared with anything.
  const empty = alternateHash(attachment);
  const others = (Array.isArray(attachment['extension']) ? attachment['extension'] : []).filter((extension) => extension !== empty);
  attachment['extension'] = [...others, {
    url: ALTERNATE_HASH,
    extension: [
      { url: 'algorithm', valueCoding: { system: HASH_ALGORITHMS, code: 'SHA-256' } },
      { url: 'hash', valueString: digests.sha256.toString('base64') },
    ],
  }];
}

export interface LinkedBinary {
  id: string;
  version: number;
}

export interface LinkParts {
  targets: LinkTargetLoader;
  /** Whether somebody else than its creator may read a Binary. */
  mayRead: (binary: VersionRow) => Promise<boolean>;
  /** Raises 415 for a media type that the document does not take. */
  mayHold: (contentType: string, expression: string) => void;
}

/**
 * Checks every attachment without data that points below this server's Binary: it must name one that the caller may
 * read, and the claims must hold. Unknown, foreign and hidden are the same 422 `unknown-binary`. The URL becomes absolute, and a missing
 * contentType that of the Binary.
 */
export async function linkBinaries(parts: LinkParts, reader: BinaryReader, resource: JsonObject, type: string): Promise<LinkedBinary[]> {
  const linked = new Map<string, LinkedBinary>();
  for (const { attachment, expression } of findAttachments(resource, type)) {
    const { url, data } = attachment;
    const id = typeof url === 'string' && typeof data !== 'string' ? localBinary(url, reader.fhirBase, expression) : undefined;
    if (id === undefined) continue;
    const binary = await parts.targets.load(reader.org, id);
    if (binary === undefined || !((binary.creator === reader.creator && !reader.confined) || await parts.mayRead(binary))) throw unknownBinary(expression);
    checkClaims(readClaims(attachment, expression), binary, expression);
    parts.mayHold(binary.contentType, `${expression}.url`);
    attachment['contentType'] ??= binary.contentType;
    describeBytes(attachment, `${reader.fhirBase}/Binary/${id}`, binary);
    linked.set(id, { id, version: binary.version });
  }
  return [...linked.values()];
}

/**
 * For inline data beside a url: both must be the same content (R4 datatypes.html#Attachment). Bytes elsewhere are never
 * fetched, so they cannot be compared. Raises 422 `unknown-binary` or `claim-mismatch`.
 */
export async function linkInlineData(parts: LinkParts, reader: BinaryReader, { attachment, expression }: InlineAttachment, digests: Digests): Promise<LinkedBinary> {
  const { url } = attachment;
  const id = typeof url === 'string' ? localBinary(url, reader.fhirBase, expression) : undefined;
  if (id === undefined) throw fhirError('claim-mismatch', 'The url leads elsewhere, where nothing is fetched: it cannot be compared with the data; send one of them', { expression: `${expression}.url` });
  const binary = await parts.targets.load(reader.org, id);
  if (binary === undefined || !((binary.creator === reader.creator && !reader.confined) || await parts.mayRead(binary))) throw unknownBinary(expression);
  if (!binary.sha256.equals(digests.sha256)) throw fhirError('claim-mismatch', 'The data and the bytes at the url are not the same', { expression: `${expression}.data` });
  describeBytes(attachment, `${reader.fhirBase}/Binary/${id}`, binary);
  return { id, version: binary.version };
}

function unknownBinary(expression: string): Error {
  return fhirError('unknown-binary', 'The url names no Binary of this server that you may read', { expression: `${expression}.url` });
}

/** The id when the url points below our Binary; anything else there that names no Binary is refused. */
function localBinary(url: string, fhirBase: string, expression: string): string | undefined {
  const local = parseLocalReference(url, fhirBase);
  if (local?.type === 'Binary' && local.version === undefined) return local.id;
  const below = url.replace(/^https?:/, '').startsWith(`${fhirBase.replace(/^https?:/, '')}/Binary/`) || url.startsWith('Binary/');
  if (below) throw unknownBinary(expression);
  return undefined;
}
