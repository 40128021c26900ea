// The bytes of a Binary that go to HAPI with it, where they are few enough: verified like any read, and never those that are
// out of service here. For comparing, their digest is enough.
import type { ContentReader } from '../content/read-content.ts';
import type { Database } from '../database/database.ts';
import type { ContentRow, OrgId } from '../database/tables.ts';

export interface BinaryData {
  /** Base64 of the content; undefined for what goes without its bytes. Rejects while they cannot be read. */
  read(org: OrgId, content: string | null): Promise<string | undefined>;
  /** SHA-256, in hexadecimal, by content, of those that go with their bytes. */
  digests(org: OrgId, contents: readonly (string | null)[]): Promise<Map<string, string>>;
}

/** Binaries are stubs at HAPI. */
export const NO_BINARY_DATA: BinaryData = { read: async () => undefined, digests: async () => new Map() };

export interface BinaryDataOptions {
  database: Pick<Database, 'workerTransaction'>;
  reader: ContentReader;
  /** Longer ones are stubs. */
  bytesMax: number;
}

export function createBinaryData({ database, reader, bytesMax }: BinaryDataOptions): BinaryData {
  function rowsOf(org: OrgId, contents: readonly (string | null)[]): Promise<ContentRow[]> {
    const ids = contents.filter((id) => id !== null);
    if (ids.length === 0 || bytesMax === 0) return Promise.resolve([]);
    return database.workerTransaction(async (tx) => (await tx.query<ContentRow>(`select * from content where org = $1 and id = any ($2) and state = 'live' and size <= $3`, [org, ids, bytesMax])).rows);
  }

  return {
    async read(org, content) {
      const [row] = await rowsOf(org, [content]);
      if (row === undefined) return undefined;
      const chunks: Buffer[] = [];
      for await (const chunk of await reader.open(row)) chunks.push(chunk);
      return Buffer.concat(chunks).toString('base64');
    },
    async digests(org, contents) {
      return new Map((await rowsOf(org, contents)).flatMap(({ id, sha256 }) => (sha256 === null ? [] : [[id, sha256.toString('hex')] as const])));
    },
  };
}
