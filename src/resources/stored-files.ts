// What is held as bytes, file by file: a Binary, the content under it, and the documents that use it. Never where it is stored.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { RESOURCE_TYPES, typeName } from '../fhir/resource-type.ts';

export interface StoredFile {
  /** Id of the Binary. */
  id: string;
  version: number;
  content: string;
  state: string;
  declaredType: string | null;
  sniffedType: string | null;
  size: number | null;
  sha256: Buffer | null;
  creator: string | null;
  createdAt: Date;
  quarantineReason: string | null;
  /** Type/id of each document that points to it. */
  documents: string[];
}

export interface FileFilter {
  /** Id of the Binary or of the content, the number of a patient's file, or a handle that an upload answered. */
  fileId?: string;
  /** Those alone that no document uses. */
  unlinked: boolean;
  /** Those of smaller ids: the page after this one. */
  before?: string;
  limit: number;
}

interface Row extends Omit<StoredFile, 'documents'> {
  uses: { type: number; id: string }[] | null;
}

const COLUMNS = `r.id, r.version, c.id as content, c.state, c.declared_type as "declaredType", c.sniffed_type as "sniffedType", c.size::float8 as size, c.sha256, r.creator,
  c.created_at as "createdAt", c.quarantine_reason as "quarantineReason",
  (select json_agg(distinct jsonb_build_object('type', u.type, 'id', u.id)) from attachment_use u where u.org = r.org and u."binary" = r.id) as uses`;
const BINARIES = `resource r join content c on c.org = r.org and c.id = r.content where r.org = $1 and r.type = ${RESOURCE_TYPES.Binary} and not r.deleted`;
const UNUSED = 'not exists (select from attachment_use u where u.org = r.org and u."binary" = r.id)';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const fileOf = ({ uses, ...row }: Row): StoredFile => ({ ...row, documents: (uses ?? []).map(({ type, id }) => `${typeName(type)}/${id}`).sort() });

/** Ids of Binaries that `fileId` may mean. */
async function binariesNamed(tx: Transaction, org: OrgId, fileId: string): Promise<string[]> {
  const handle = /^(?:muniment:\/\/)?([A-Za-z0-9\-.]{1,64})(?:\/.*)?$/.exec(fileId)?.[1];
  if (handle === undefined) return [];
  if (/^[1-9]\d{0,14}$/.test(handle)) {
    const { rows } = await tx.query<{ binary: string }>({ text: 'select "binary" from patient_file where org = $1 and id = $2', values: [org, handle] });
    return [handle, ...rows.map(({ binary }) => binary)];
  }
  if (!UUID.test(handle)) return [handle];
  const { rows } = await tx.query<{ id: string }>({ text: `select id from resource where org = $1 and type = ${RESOURCE_TYPES.Binary} and content = $2::uuid`, values: [org, handle] });
  return [handle, ...rows.map(({ id }) => id)];
}

/** The newest ids first. */
export async function findStoredFiles(tx: Transaction, org: OrgId, { fileId, unlinked, before, limit }: FileFilter): Promise<StoredFile[]> {
  const named = fileId === undefined ? null : await binariesNamed(tx, org, fileId);
  const { rows } = await tx.query<Row>({
    text: `select ${COLUMNS} from ${BINARIES} and ($2::text[] is null or r.id = any($2::text[])) and ($3::text is null or r.id < $3) ${unlinked ? `and ${UNUSED}` : ''} order by r.id desc limit $4`,
    values: [org, named, before ?? null, limit],
  });
  return rows.map(fileOf);
}
