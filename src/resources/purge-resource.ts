// A purge inside its transaction: a tombstone is the newest version, the texts of all before it are gone and their digests
// stay, and the bytes that nobody else uses are marked to go in every version of their object.
import type { PurgedVersion } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { RESOURCE_TYPES, typeName } from '../fhir/resource-type.ts';
import { publishDeletion } from './publish-document.ts';
import { lockNewest } from './read-version.ts';

export interface PurgeStep {
  purge: string;
  fhirBase: string;
  /** Milliseconds. */
  now: number;
  /** Id of the access event. */
  event: string;
  /** All versions of one resource as the log has them. */
  readVersions(tx: Transaction, resource: { org: number; type: number; id: string }): Promise<PurgedVersion[]>;
}

export interface PurgedResource {
  reference: string;
  /** The version before the tombstone. */
  last: number;
  /** What was there, before it was taken: the record names it. */
  versions: PurgedVersion[];
}

/** The texts and whom they were about. Digests are written first: without them the database refuses. */
async function eraseVersions(tx: Transaction, step: PurgeStep, previous: VersionRow): Promise<PurgedResource> {
  const { org, type, id } = previous;
  const versions = await step.readVersions(tx, { org, type, id });
  await publishDeletion(tx, { type: typeName(type), previous, fhirBase: step.fhirBase, now: step.now, event: step.event });
  await tx.query(
    `insert into purged_version (org, type, id, version, purge, sha256)
      select org, type, id, version, $4, case when body is null then null else sha256(convert_to(body, 'UTF8')) end from resource_history where org = $1 and type = $2 and id = $3
      on conflict (org, type, id, version) do nothing`,
    [org, type, id, step.purge],
  );
  await tx.query('update resource_history set body = null, patient = null where org = $1 and type = $2 and id = $3 and (body is not null or patient is not null)', [org, type, id]);
  await tx.query('update resource set patient = null, retention = null where org = $1 and type = $2 and id = $3', [org, type, id]);
  return { reference: `${typeName(type)}/${id}`, last: previous.version, versions };
}

/** Whether a document other than this one, that was not purged, uses the Binary or did in an older version. */
async function isUsedElsewhere(tx: Transaction, { org, type, id }: VersionRow, binary: string): Promise<boolean> {
  const { rows } = await tx.query(
    `select 1 from attachment_use u join resource r on r.org = u.org and r.type = u.type and r.id = u.id
      where u.org = $1 and u."binary" = $2 and (u.type, u.id) <> ($3::smallint, $4::text)
        and (r.body is not null or exists (select from resource_history h where h.org = r.org and h.type = r.type and h.id = r.id and h.body is not null)) limit 1`,
    [org, binary, type, id],
  );
  return rows.length > 0;
}

async function condemnBytes(tx: Transaction, step: PurgeStep, { org, id }: VersionRow): Promise<void> {
  await tx.query(
    `update content set state = 'condemned', purge = $3 where org = $1 and state in ('live', 'quarantined') and id in (
      select content from resource where org = $1 and type = ${RESOURCE_TYPES.Binary} and id = $2 and content is not null
      union select content from resource_history where org = $1 and type = ${RESOURCE_TYPES.Binary} and id = $2 and content is not null
      union select content from rendition where org = $1 and "binary" = $2 and content is not null)`,
    [org, id, step.purge],
  );
}

async function purgeBinary(tx: Transaction, step: PurgeStep, binary: VersionRow): Promise<PurgedResource> {
  await condemnBytes(tx, step, binary);
  return eraseVersions(tx, step, binary);
}

/** `locked` is the newest version. Raises 423 `held` where the resource, or bytes that go with it, is under a hold. */
export async function purgeResource(tx: Transaction, step: PurgeStep, locked: VersionRow): Promise<PurgedResource[]> {
  if (locked.type === RESOURCE_TYPES.Binary) return [await purgeBinary(tx, step, locked)];
  const purged = [await eraseVersions(tx, step, locked)];
  // Of a record with drawings the draft stands beside its document.
  await tx.query(`update medical_record set drawing_data = '{}', form_data = '{}', patient_id = null where org = $1 and document = $2`, [locked.org, locked.id]);
  const { rows } = await tx.query<{ binary: string }>('select distinct u."binary" from attachment_use u where u.org = $1 and u.type = $2 and u.id = $3 order by u."binary"', [locked.org, locked.type, locked.id]);
  for (const { binary } of rows) {
    const row = await lockNewest(tx, locked.org, RESOURCE_TYPES.Binary, binary);
    if (row !== undefined && !await isUsedElsewhere(tx, locked, binary)) purged.push(await purgeBinary(tx, step, row));
  }
  return purged;
}

export interface PurgedVersions {
  reference: string;
  versions: { version: number; sha256: string | null }[];
}

export interface PurgedTrace {
  resources: PurgedVersions[];
  bytes: { content: string; size: number; sha256: string; removed: boolean }[];
}

/** What a purge took, by digests, hexadecimal. */
export async function readPurgedTrace(tx: Transaction, org: number, purge: string): Promise<PurgedTrace> {
  const { rows: versions } = await tx.query<{ type: number; id: string; version: number; sha256: string | null }>(
    `select type, id, version, encode(sha256, 'hex') as sha256 from purged_version where org = $1 and purge = $2 order by type desc, id, version`, [org, purge],
  );
  const { rows: bytes } = await tx.query<PurgedTrace['bytes'][number]>(
    `select id as content, size::float8 as size, encode(sha256, 'hex') as sha256, state = 'gone' as removed from content where org = $1 and purge = $2 order by id`, [org, purge],
  );
  const resources = new Map<string, PurgedVersions>();
  for (const { type, id, version, sha256 } of versions) {
    const reference = `${typeName(type)}/${id}`;
    const known = resources.get(reference) ?? { reference, versions: [] };
    known.versions.push({ version, sha256 });
    resources.set(reference, known);
  }
  return { resources: [...resources.values()], bytes };
}
