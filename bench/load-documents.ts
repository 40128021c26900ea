// Puts documents into a database through the statement that every create ends in, five hundred to a transaction.
import { randomUUID } from 'node:crypto';
import type { Database } from '../src/database/database.ts';
import { typeNumber } from '../src/fhir/resource-type.ts';
import { masterIdentifierKey, stampResource } from '../src/resources/resource-text.ts';
import { insertFirstVersion } from '../src/resources/write-version.ts';
import { extractIndexValues } from '../src/search/extract-index-values.ts';
import { searchDocument } from './search-documents.ts';

const BATCH = 500;

/** Documents `bench-0` to `bench-(count - 1)` of the organisation; a millisecond lies between one and the next. */
export async function loadDocuments(database: Database, org: number, fhirBase: string, count: number): Promise<void> {
  const begun = Date.now() - count;
  for (let first = 0; first < count; first += BATCH) {
    await database.transaction(org, async (tx) => {
      for (let position = first; position < Math.min(first + BATCH, count); position += 1) {
        const resource = searchDocument(position);
        const [id, lastUpdated] = [`bench-${position}`, begun + position];
        insertFirstVersion(tx, {
          org, type: typeNumber('DocumentReference'), id, version: 1, lastUpdated, method: 'PUT', body: stampResource(resource, { id, version: 1, lastUpdated }), content: null, creator: null,
          masterIdentifier: masterIdentifierKey(resource), retention: 'clinical', index: extractIndexValues(resource, 'DocumentReference', fhirBase), binaries: [], event: randomUUID(),
        });
      }
    });
  }
}
