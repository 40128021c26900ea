// The headers of tus 1.0 (https://tus.io/protocols/resumable-upload), read strictly.
import { createHash, type Hash } from 'node:crypto';
import { fhirError } from '../fhir/fhir-error.ts';
import type { FhirRequest } from '../interactions/interaction.ts';

export const TUS_VERSION = '1.0.0';
export const CHECKSUM_ALGORITHMS = ['sha1', 'sha256'] as const;

/** Raises 412 `tus-version`. */
export function requireTus(request: FhirRequest): void {
  if (request.header('tus-resumable') !== TUS_VERSION) throw fhirError('tus-version', `The header Tus-Resumable must be ${TUS_VERSION}`, { headers: { 'Tus-Version': TUS_VERSION } });
}

/** A whole number of bytes. Raises 400 `malformed-request`. */
export function readBytes(request: FhirRequest, name: 'Upload-Length' | 'Upload-Offset'): number {
  const text = request.header(name.toLowerCase());
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw fhirError('malformed-request', `The header ${name} must be a number of bytes`);
  return Number(text);
}

/** Name and value pairs, values in base64; a name alone has an empty value. Raises 400 `malformed-request`. */
export function readMetadataHeader(text: string | undefined): Record<string, string> {
  if (text === undefined || text.trim() === '') return {};
  if (text.length > 16_384) throw fhirError('malformed-request', 'Upload-Metadata is too long');
  const found = new Map<string, string>();
  for (const pair of text.split(',')) {
    const [name = '', value = '', ...more] = pair.trim().split(' ');
    if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(name) || more.length > 0 || found.has(name) || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)) throw fhirError('malformed-request', 'Upload-Metadata must be names, each once, with values in base64, separated by commas');
    found.set(name, decodeUtf8(value));
  }
  return Object.fromEntries(found);
}

function decodeUtf8(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'base64'));
  } catch (error) {
    throw fhirError('malformed-request', 'A value of Upload-Metadata is not UTF-8', { cause: error });
  }
}

export interface ChecksumCheck {
  hash: Hash;
  /** Raises 460 `checksum-mismatch`. */
  compare(): void;
}

/** What Upload-Checksum claims of the body. Raises 400 `malformed-request`. */
export function readChecksum(request: FhirRequest): ChecksumCheck | undefined {
  const text = request.header('upload-checksum');
  if (text === undefined) return undefined;
  const [algorithm = '', value = '', ...more] = text.split(' ');
  const known = CHECKSUM_ALGORITHMS.find((name) => name === algorithm);
  if (known === undefined || more.length > 0) throw fhirError('malformed-request', `Upload-Checksum must be one of ${CHECKSUM_ALGORITHMS.join(', ')} and a value in base64`);
  const claimed = Buffer.from(value, 'base64');
  const hash = createHash(known);
  if (claimed.toString('base64') !== value || claimed.length !== (known === 'sha1' ? 20 : 32)) throw fhirError('malformed-request', 'The value of Upload-Checksum is no such digest in base64');
  return { hash, compare() { if (!hash.digest().equals(claimed)) throw fhirError('checksum-mismatch', 'The checksum is not that of the bytes; none of them was kept'); } };
}
