// What administrators of the operator see and change of organisations. Nothing of an organisation's own data is here.
import type { Transaction } from '../database/database.ts';
import { LIMITS_COLUMNS, limitsOf, limitsValues, type LimitsRow, type OrganisationLimits } from './organisation-limits.ts';

export interface OrganisationSettings {
  id: number;
  name: string;
  title: string | undefined;
  created: Date;
  /** Since when; undefined = it is open. */
  disabled: Date | undefined;
  requireIfMatch: boolean;
  /** Signed URLs may lead to the store itself. */
  directUrls: boolean;
  limits: OrganisationLimits;
  /** Counts the changes, for If-Match. */
  revision: number;
}

interface Row extends LimitsRow {
  id: number;
  name: string;
  title: string | null;
  created_at: Date;
  disabled_at: Date | null;
  require_if_match: boolean;
  direct_urls: boolean;
  revision: number;
}

const COLUMNS = `id, name, title, created_at, disabled_at, require_if_match, direct_urls, revision, ${LIMITS_COLUMNS}`;

const settingsOf = (row: Row): OrganisationSettings => ({
  id: row.id, name: row.name, title: row.title ?? undefined, created: row.created_at, disabled: row.disabled_at ?? undefined, requireIfMatch: row.require_if_match, directUrls: row.direct_urls, limits: limitsOf(row), revision: row.revision,
});

/** In the order of names, `limit` at most, those behind `after`. */
export async function listOrganisations(tx: Transaction, after: string, limit: number): Promise<OrganisationSettings[]> {
  const { rows } = await tx.query<Row>({ name: 'list-organisations', text: `select ${COLUMNS} from organisation where name > $1 order by name limit $2`, values: [after, limit] });
  return rows.map(settingsOf);
}

/** Locked until the transaction ends where it is read to be changed. */
export async function readOrganisationSettings(tx: Transaction, name: string, lock = false): Promise<OrganisationSettings | undefined> {
  const { rows } = await tx.query<Row>({ text: `select ${COLUMNS} from organisation where name = $1${lock ? ' for update' : ''}`, values: [name] });
  return rows[0] === undefined ? undefined : settingsOf(rows[0]);
}

/** undefined when there is one of this name. */
export async function openOrganisation(tx: Transaction, name: string, settings: Pick<OrganisationSettings, 'title' | 'requireIfMatch' | 'directUrls' | 'limits'>): Promise<OrganisationSettings | undefined> {
  const { rows } = await tx.query<Row>({
    text: `insert into organisation (name, title, require_if_match, direct_urls, allowed_types, allowed_types_of, quota_bytes, quota_count, issuers, retention) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (name) do nothing returning ${COLUMNS}`,
    values: [name, settings.title ?? null, settings.requireIfMatch, settings.directUrls, ...limitsValues(settings.limits)],
  });
  return rows[0] === undefined ? undefined : settingsOf(rows[0]);
}

/** The next revision of what was locked. */
export async function configureOrganisation(tx: Transaction, settings: OrganisationSettings): Promise<OrganisationSettings> {
  const { rows } = await tx.query<Row>({
    text: `update organisation set title = $2, disabled_at = $3, require_if_match = $4, direct_urls = $5, allowed_types = $6, allowed_types_of = $7, quota_bytes = $8, quota_count = $9, issuers = $10, retention = $11, revision = revision + 1
      where name = $1 returning ${COLUMNS}`,
    values: [settings.name, settings.title ?? null, settings.disabled ?? null, settings.requireIfMatch, settings.directUrls, ...limitsValues(settings.limits)],
  });
  return settingsOf(rows[0] as Row);
}
