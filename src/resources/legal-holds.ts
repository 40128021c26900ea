// Legal holds: while one is on a document, on its patient or on the organisation, nothing of it is deleted or purged. Who
// placed and lifted them, and why, is kept.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { RESOURCE_TYPES, typeName } from '../fhir/resource-type.ts';

/** The whole organisation as a target. */
export const ORGANISATION_TARGET = 'Organization';

export interface LegalHold {
  id: string;
  /** Organization, Patient/ID, or a resource of this server: DocumentReference/ID. */
  target: string;
  reason: string;
  placed: Date;
  /** `issuer|subject|client` */
  placedBy: string;
  lifted?: { at: Date; by: string; reason: string };
}

interface Row {
  id: string;
  target: string;
  reason: string;
  placed_at: Date;
  placed_by: string;
  lifted_at: Date | null;
  lifted_by: string | null;
  lift_reason: string | null;
}

const COLUMNS = 'id, target, reason, placed_at, placed_by, lifted_at, lifted_by, lift_reason';
const holdOf = (row: Row): LegalHold => ({
  id: row.id, target: row.target, reason: row.reason, placed: row.placed_at, placedBy: row.placed_by,
  ...(row.lifted_at === null ? {} : { lifted: { at: row.lifted_at, by: row.lifted_by ?? '', reason: row.lift_reason ?? '' } }),
});

/** Any fixed number: the first of the two that name an organisation's lock. */
const HOLD_LOCK = 730_610;
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Waits for the deletions under way: once this is committed none of them can have missed it. */
export async function placeHold(tx: Transaction, org: OrgId, hold: Omit<LegalHold, 'lifted'>): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1, $2)', [HOLD_LOCK, org]);
  await tx.query('insert into legal_hold (org, id, target, reason, placed_at, placed_by) values ($1, $2, $3, $4, $5, $6)', [org, hold.id, hold.target, hold.reason, hold.placed, hold.placedBy]);
}

/** Locked where it is read to be lifted. */
export async function readHold(tx: Transaction, org: OrgId, id: string, lock = false): Promise<LegalHold | undefined> {
  if (!UUID.test(id)) return undefined;
  const { rows } = await tx.query<Row>(`select ${COLUMNS} from legal_hold where org = $1 and id = $2${lock ? ' for update' : ''}`, [org, id]);
  return rows[0] === undefined ? undefined : holdOf(rows[0]);
}

export async function liftHold(tx: Transaction, org: OrgId, id: string, lifted: NonNullable<LegalHold['lifted']>): Promise<void> {
  await tx.query('update legal_hold set lifted_at = $3, lifted_by = $4, lift_reason = $5 where org = $1 and id = $2', [org, id, lifted.at, lifted.by, lifted.reason]);
}

/** Newest first, older than `before`; those that hold, or all. */
export async function listHolds(tx: Transaction, org: OrgId, { before, all, limit }: { before?: string; all: boolean; limit: number }): Promise<LegalHold[]> {
  const { rows } = await tx.query<Row>(
    `select ${COLUMNS} from legal_hold where org = $1 and id < $2${all ? '' : ' and lifted_at is null'} order by id desc limit $3`,
    [org, before !== undefined && UUID.test(before) ? before : 'ffffffff-ffff-ffff-ffff-ffffffffffff', limit],
  );
  return rows.map(holdOf);
}

type Held = Pick<VersionRow, 'org' | 'type' | 'id' | 'patient'>;

/** What a hold may be on so that it holds this one: itself, its patient, the organisation, and for bytes every document that ever used them. */
async function targetsOf(tx: Transaction, { org, type, id, patient }: Held): Promise<string[]> {
  const own = [ORGANISATION_TARGET, `${typeName(type)}/${id}`, ...(patient === null ? [] : [patient.includes('/') ? patient : `Patient/${patient}`])];
  if (type !== RESOURCE_TYPES.Binary) return own;
  const { rows } = await tx.query<{ type: number; id: string; patient: string | null }>(
    'select distinct u.type, u.id, r.patient from attachment_use u join resource r on r.org = u.org and r.type = u.type and r.id = u.id where u.org = $1 and u."binary" = $2', [org, id],
  );
  return [...new Set([...own, ...rows.flatMap((use) => [`${typeName(use.type)}/${use.id}`, ...(use.patient === null ? [] : [use.patient.includes('/') ? use.patient : `Patient/${use.patient}`])])])];
}

/** The oldest hold on it; undefined where nothing holds it. */
export async function findHold(tx: Transaction, row: Held): Promise<LegalHold | undefined> {
  const { rows } = await tx.query<Row>({
    name: 'find-hold', text: `select ${COLUMNS} from legal_hold where org = $1 and target = any($2::text[]) and lifted_at is null order by placed_at, id limit 1`, values: [row.org, await targetsOf(tx, row)],
  });
  return rows[0] === undefined ? undefined : holdOf(rows[0]);
}

/** In the transaction that removes it: no hold is placed until that ends. Raises 423 `held` with the hold's reason. */
export async function requireNoHold(tx: Transaction, row: Held): Promise<void> {
  await tx.query({ name: 'share-hold-lock', text: 'select pg_advisory_xact_lock_shared($1, $2)', values: [HOLD_LOCK, row.org] });
  const hold = await findHold(tx, row);
  if (hold !== undefined) throw fhirError('held', `${typeName(row.type)}/${row.id} is under a legal hold on ${hold.target}: ${hold.reason}`, { members: { hold: hold.id } });
}
