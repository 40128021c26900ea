// The Binaries that a document points to were looked at before its transaction: with the commit they are looked at
// again, and held, so that none of them is changed or deleted between the look and the link.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { RESOURCE_TYPES } from '../fhir/resource-type.ts';
import type { LinkedBinary } from './attachments.ts';

const HOLD = `select 1 / (case when cardinality($2::text[]) = (select count(*) from (
    select r.version from unnest($1::int[], $2::text[], $3::int[]) as link (org, id, version)
      cross join lateral (
        select version from resource v where v.org = link.org and v.type = ${RESOURCE_TYPES.Binary} and v.id = link.id and v.version = link.version and not v.deleted for key share) r) as held) then 1 else 0 end)`;

/**
 * From its first document on a Binary has no retention of its own: it goes with that. In the order of ids, so that two writers do not wait for each
 * other. That the class is there is asked in a way that the index of classes does not serve: of a table that looks empty it would be read whole.
 */
const JOIN = `update resource r set retention = null from (
    select v.org, v.type, v.id from (select distinct * from unnest($1::int[], $2::text[]) as link (org, id) order by id) link
      cross join lateral (
        select v.org, v.type, v.id from resource v where v.org = link.org and v.type = ${RESOURCE_TYPES.Binary} and v.id = link.id and coalesce(v.retention, '') <> '' for no key update) v) alone
  where r.org = alone.org and r.type = alone.type and r.id = alone.id`;

/** Fails the commit with 409 `conflict` when a Binary is not any more what it was. */
export function holdLinks(tx: Transaction, org: OrgId, linked: readonly LinkedBinary[]): void {
  if (linked.length === 0) return;
  tx.last({ name: 'hold-links', text: HOLD, columns: [linked.map(() => org), linked.map(({ id }) => id), linked.map(({ version }) => version)] }, (error) =>
    // Division by zero: one of them was not found.
    ((error as { code?: string }).code === '22012' ? fhirError('conflict', 'A Binary that an attachment names was changed or deleted meanwhile', { cause: error, headers: { 'Retry-After': '1' } }) : error));
  tx.last({ name: 'join-links', text: JOIN, columns: [linked.map(() => org), linked.map(({ id }) => id)] });
}
