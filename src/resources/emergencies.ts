// Declared emergencies: kept with their reason until after their review; none is removed.
import { EMERGENCY_MINUTES, type DeclaredEmergency } from '../access/break-glass.ts';
import type { Principal } from '../access/principal.ts';
import { EMERGENCY_SYSTEM } from '../audit/touched-references.ts';
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';

export interface Emergency extends DeclaredEmergency {
  declared: Date;
  expires: Date;
  by: { issuer: string; subject: string; client: string; fhirUser: string };
  reason: string;
  review?: { at: Date; by: string; note: string };
  /** Accesses that were recorded under it. */
  accesses: number;
}

/** How the record names it among what was touched. */
export const emergencyReference = (id: string): string => `${EMERGENCY_SYSTEM}:${id}`;

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `now` in milliseconds; answers when it ends. */
export async function declareEmergency(tx: Transaction, org: OrgId, principal: Principal, declared: DeclaredEmergency & { reason: string; now: number }): Promise<Date> {
  const { id, patient, reason, now } = declared;
  const expires = new Date(now + EMERGENCY_MINUTES * 60_000);
  await tx.query({
    text: 'insert into break_glass (org, id, declared_at, expires_at, issuer, subject, client, fhir_user, patient, reason) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
    values: [org, id, new Date(now), expires, principal.issuer, principal.subject, principal.clientId, principal.fhirUser, patient, reason],
  });
  return expires;
}

/** That of the same user and client which has not ended; undefined for any other. */
export async function findEmergency(database: Pick<Database, 'select'>, org: OrgId, id: string, { issuer, subject, clientId }: Principal, now: number): Promise<DeclaredEmergency | undefined> {
  if (!ID.test(id)) return undefined;
  const { rows } = await database.select<DeclaredEmergency>(org, {
    name: 'find-emergency', text: 'select id, patient from break_glass where org = $1 and id = $2 and issuer = $3 and subject = $4 and client = $5 and expires_at > $6',
    values: [org, id, issuer, subject, clientId, new Date(now)],
  });
  return rows[0];
}

interface Row {
  id: string;
  patient: string;
  declared_at: Date;
  expires_at: Date;
  issuer: string;
  subject: string;
  client: string;
  fhir_user: string;
  reason: string;
  reviewed_at: Date | null;
  reviewed_by: string | null;
  review_note: string | null;
  accesses: number;
}

const SELECT = `select g.*, (select count(*)::int from access_entity x where x.org = $1 and x.reference = '${EMERGENCY_SYSTEM}:' || g.id and x.role = 2) as accesses from break_glass g where g.org = $1`;

const emergencyOf = (row: Row): Emergency => ({
  id: row.id, patient: row.patient, declared: row.declared_at, expires: row.expires_at, reason: row.reason, accesses: row.accesses,
  by: { issuer: row.issuer, subject: row.subject, client: row.client, fhirUser: row.fhir_user },
  ...(row.reviewed_at === null ? {} : { review: { at: row.reviewed_at, by: row.reviewed_by ?? '', note: row.review_note ?? '' } }),
});

/** Newest first, `limit` at most, older than `before`; those that nobody reviewed, or all. */
export async function listEmergencies(tx: Transaction, org: OrgId, { before, openOnly, limit }: { before?: string; openOnly: boolean; limit: number }): Promise<Emergency[]> {
  const { rows } = await tx.query<Row>({
    text: `${SELECT} and g.id < $2${openOnly ? ' and g.reviewed_at is null' : ''} order by g.id desc limit $3`,
    values: [org, before !== undefined && ID.test(before) ? before : 'ffffffff-ffff-ffff-ffff-ffffffffffff', limit],
  });
  return rows.map(emergencyOf);
}

/** Locked where it is read to be reviewed; undefined when there is none. */
export async function readEmergency(tx: Transaction, org: OrgId, id: string, lock = false): Promise<Emergency | undefined> {
  if (!ID.test(id)) return undefined;
  const { rows } = await tx.query<Row>({ text: `${SELECT} and g.id = $2${lock ? ' for update of g' : ''}`, values: [org, id] });
  return rows[0] === undefined ? undefined : emergencyOf(rows[0]);
}

export async function reviewEmergency(tx: Transaction, org: OrgId, id: string, review: NonNullable<Emergency['review']>): Promise<void> {
  await tx.query({ text: 'update break_glass set reviewed_at = $3, reviewed_by = $4, review_note = $5 where org = $1 and id = $2', values: [org, id, review.at, review.by, review.note] });
}
