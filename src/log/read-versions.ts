// Versions as their leaves are made of: read by their references, with the bytes of Binaries by their digests.
import { hash } from 'node:crypto';
import type { PurgedVersion } from '../audit/access-event.ts';
import type { StoredVersion } from '../audit/version-leaf.ts';
import type { Transaction } from '../database/database.ts';
import { typeName } from '../fhir/resource-type.ts';

export interface VersionKey {
  org: number;
  type: number;
  id: string;
  version: number;
}

export interface ReadVersion extends StoredVersion {
  /** The stored text where it was asked for and is small; its digest is then not the database's word. */
  bodyBytes: number;
}

interface VersionRow {
  ordinal: string;
  last_updated: Date | null;
  method: string;
  deleted: boolean;
  body: string | null;
  bytes: number | null;
  sha256: string | null;
  content: string | null;
  content_sha256: string | null;
  content_chunks: Buffer | null;
  content_size: string | null;
}

const STORED = 'last_updated, method, deleted, body, content';

function statement(columns: string): string {
  return `select t.ordinal, v.last_updated, v.method, v.deleted, ${columns}, v.content,
      encode(c.sha256, 'hex') as content_sha256, c.chunk_digests as content_chunks, c.size as content_size
    from unnest($1::int[], $2::smallint[], $3::text[], $4::int[]) with ordinality as t (org, type, id, version, ordinal)
    left join lateral (
      select ${STORED} from resource r where r.org = t.org and r.type = t.type and r.id = t.id and r.version = t.version
      union all select ${STORED} from resource_history h where h.org = t.org and h.type = t.type and h.id = t.id and h.version = t.version
      limit 1) v on true
    left join lateral (select * from content where org = t.org and id = v.content offset 0) c on true
    order by t.ordinal`;
}

const WITH_DIGESTS = statement(`null as body, octet_length(v.body) as bytes, encode(sha256(convert_to(v.body, 'UTF8')), 'hex') as sha256`);
const WITH_TEXTS = statement('v.body, octet_length(v.body) as bytes, null as sha256');

const sha256 = (value: string | Buffer): string => hash('sha256', value);

function toVersion(row: VersionRow): ReadVersion | undefined {
  if (row.last_updated === null) return undefined;
  return {
    lastUpdated: row.last_updated.toISOString(), method: row.method,
    sha256: row.body === null ? row.sha256 ?? undefined : sha256(row.body),
    content: row.content === null ? undefined : {
      id: row.content, sha256: row.content_sha256, size: row.content_size === null ? null : Number(row.content_size),
      chunks: row.content_chunks === null ? null : sha256(row.content_chunks),
    },
    bodyBytes: row.bytes ?? 0,
  };
}

/** In the order of `keys`, undefined for what is not stored. `digests` tells whose word the SHA-256 of a text is. */
export async function readVersions(tx: Transaction, keys: readonly VersionKey[], digests: 'of the database' | 'our own'): Promise<(ReadVersion | undefined)[]> {
  if (keys.length === 0) return [];
  const own = digests === 'our own';
  const { rows } = await tx.query<VersionRow>({
    name: own ? 'read-log-texts' : 'read-log-digests', text: own ? WITH_TEXTS : WITH_DIGESTS,
    values: [keys.map(({ org }) => org), keys.map(({ type }) => type), keys.map(({ id }) => id), keys.map(({ version }) => version)],
  });
  return rows.map(toVersion);
}

/** All versions of one resource that are stored, in their order: what a purge names before it takes them. */
export async function readAllVersions(tx: Transaction, { org, type, id }: Omit<VersionKey, 'version'>): Promise<PurgedVersion[]> {
  const { rows } = await tx.query<{ version: number }>(
    `select version from resource where org = $1 and type = $2 and id = $3
      union all select version from resource_history where org = $1 and type = $2 and id = $3 order by version`, [org, type, id],
  );
  const keys = rows.map(({ version }) => ({ org, type, id, version }));
  const stored = await readVersions(tx, keys, 'of the database');
  return stored.flatMap((version, position) => {
    if (version === undefined) return [];
    const { bodyBytes, ...leaf } = version;
    return [{ reference: `${typeName(type)}/${id}/_history/${keys[position]?.version ?? 0}`, ...leaf }];
  });
}
