// The rows of content and their states: staging → live, or staging → condemned → gone.
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { CHUNK_BYTES, type ContentDigests } from './chunk-digests.ts';
import { checkQuota, type Quota } from './quota.ts';
import type { ScanResult } from './scan-content.ts';

export interface StagedContent {
  org: OrgId;
  id: string;
  store: string;
  key: string;
}

export interface StagedDetails {
  /** Undefined for a part of an upload, which is no file. */
  declaredType: string | undefined;
  sniffedType: string | undefined;
  creator: string;
}

/** Committed before the first byte is stored, so that whatever a crash leaves behind is known by its key. */
export async function stageContent(database: Database, staged: StagedContent, details: StagedDetails): Promise<void> {
  await database.transaction(staged.org, (tx) => tx.query({
    name: 'stage-content',
    text: `insert into content (org, id, state, store, key, chunk_bytes, declared_type, sniffed_type, creator) values ($1, $2, 'staging', $3, $4, $5, $6, $7, $8)`,
    values: [staged.org, staged.id, staged.store, staged.key, CHUNK_BYTES, details.declaredType ?? null, details.sniffedType ?? null, details.creator],
  }));
}

/** The row of an object that a client sends to the store itself: there may be one already, of the try before. Raises 409 once it was condemned. */
export async function stageAgain(database: Pick<Database, 'transaction'>, staged: StagedContent, { declaredType, creator }: StagedDetails): Promise<void> {
  const { rowCount } = await database.transaction(staged.org, (tx) => tx.query({
    name: 'stage-content-again',
    text: `insert into content (org, id, state, store, key, chunk_bytes, declared_type, creator) values ($1, $2, 'staging', $3, $4, $5, $6, $7)
      on conflict (org, id) do update set declared_type = excluded.declared_type where content.state = 'staging'`,
    values: [staged.org, staged.id, staged.store, staged.key, CHUNK_BYTES, declaredType, creator],
  }));
  if (rowCount !== 1) throw fhirError('conflict', 'What was sent by this URL waited too long');
}

/** The media type that staged bytes were declared as; undefined for what is not staged, or not any more. */
export async function readStagedType(database: Pick<Database, 'select'>, { org, id }: Pick<StagedContent, 'org' | 'id'>): Promise<string | undefined> {
  const { rows } = await database.select<{ declared_type: string }>(org, { name: 'read-staged-type', text: `select declared_type from content where org = $1 and id = $2 and state = 'staging'`, values: [org, id] });
  return rows[0]?.declared_type;
}

/** The object itself goes in a later sweep: a request to the store that timed out may still take effect. */
export async function condemnContent(database: Pick<Database, 'transaction'>, staged: Pick<StagedContent, 'org' | 'id'>): Promise<void> {
  await database.transaction(staged.org, (tx) => tx.query({
    name: 'condemn-content',
    text: `update content set state = 'condemned' where org = $1 and id = $2 and state = 'staging'`,
    values: [staged.org, staged.id],
  }));
}

export interface PublishedContent extends ContentDigests {
  id: string;
  storeVersion: string | undefined;
  scan?: ScanResult | undefined;
  quota?: Quota;
}

/** In the publishing transaction: `staging → live`, or `quarantined` where the scanner could not look at all of it. Raises 409 `conflict` when the sweeper was faster, 413 `quota`. */
export async function publishContent(tx: Transaction, org: OrgId, received: PublishedContent): Promise<void> {
  const { scan } = received;
  const withheld = scan?.verdict === 'unscannable';
  const { rowCount } = await tx.query({
    name: 'publish-content',
    text: `update content set state = $8, size = $3, sha256 = $4, sha1 = $5, chunk_digests = $6, store_version = $7, published_at = now(), verified_at = now(),
        quarantine_reason = $9, scan_verdict = $10, scan_engine = $11, scan_signatures = $12, scan_finding = $13, scanned_at = case when $10::text is null then null else now() end
      where org = $1 and id = $2 and state = 'staging'`,
    values: [org, received.id, received.size, received.sha256, received.sha1, received.chunkDigests, received.storeVersion ?? null,
      withheld ? 'quarantined' : 'live', withheld ? `unscannable: ${scan?.finding ?? ''}` : null, scan?.verdict ?? null, scan?.engine ?? null, scan?.signatures ?? null, scan?.finding ?? null],
  });
  if (rowCount !== 1) throw fhirError('conflict', 'The bytes waited too long to be published; send them again');
  if (received.quota !== undefined) await checkQuota(tx, org, received.quota);
}
