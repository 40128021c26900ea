// The name of bytes: the title that a document gives its attachment, from a document that the caller may read.
import type { Transaction } from '../database/database.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { findAttachments } from '../validation/find-attachments.ts';
import type { BinaryReader } from './binary-access.ts';
import { isPermittedHistory } from './permitted-version.ts';
import { readVersion } from './read-version.ts';
import { readResource } from './resource-text.ts';

const VERSIONED = /^([A-Za-z]+)\/([A-Za-z0-9\-.]+)\/_history\/(\d+)$/;

/** `users` are versioned references of documents that use the Binary. Undefined where none of those that may be read has a title. */
export async function readAttachmentTitle(tx: Transaction, reader: BinaryReader, binary: string, users: readonly string[]): Promise<string | undefined> {
  for (const user of users) {
    const [, type, id = '', version] = VERSIONED.exec(user) ?? [];
    const restriction = type === undefined ? undefined : reader.restriction(type as ResourceType);
    if (type === undefined || restriction === undefined) continue;
    const row = await readVersion(tx, reader.org, typeNumber(type as ResourceType), id, Number(version));
    if (row?.body === undefined || row.body === null || !await isPermittedHistory(tx, restriction, row, reader.fhirBase)) continue;
    for (const { attachment } of findAttachments(readResource(row.body), type)) {
      const { url, title } = attachment;
      const target = typeof url === 'string' ? parseLocalReference(url, reader.fhirBase) : undefined;
      if (target?.type === 'Binary' && target.id === binary && typeof title === 'string') return title;
    }
  }
  return undefined;
}
