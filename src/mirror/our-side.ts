// What is here and should be at HAPI: resources in the order of their ids, and the Provenances of writes in the order of
// their events, each as the mirror sends it.
import type { AccessEvent } from '../audit/access-event.ts';
import { renderProvenance } from '../audit/render-provenance.ts';
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { parseJson } from '../fhir/json.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { mirroredText, sourcedText } from './mirrored-text.ts';

/** Types whose equality is proved. */
export const COMPARED_TYPES = ['DocumentReference', 'Media', 'List', 'Binary', 'Provenance'] as const satisfies readonly ResourceType[];
export type ComparedType = (typeof COMPARED_TYPES)[number];

export interface MirroredOrg {
  org: OrgId;
  orgName: string;
}

export interface OurResource {
  id: string;
  version: number;
  deleted: boolean;
  /** As stored; null for a deletion. */
  text: string | null;
  /** Id of the bytes of a Binary. */
  content: string | null;
  /** A delivery of it waits, runs or is parked. */
  waiting: boolean;
}

interface OurRow extends Omit<OurResource, 'waiting'> {
  waiting?: boolean;
}

const RESOURCES = `
  select r.id, r.version, r.deleted, r.body as text, r.content,
    exists (select from outbox o where o.org = r.org and o.type = r.type and o.id = r.id) as waiting
  from resource r where r.org = $1 and r.type = $2`;
const WRITES = `
  select e.id::text as id, 1 as version, false as deleted, e.body as text, null as content
  from access_event e where e.org = $1 and e.write and e.outcome = 0 and strpos(e.body, '"targets":["') > 0`;

/** The next ones after the id `after`, in the order of their ids; '' = from the beginning. */
export async function readOursAfter(tx: Transaction, org: OrgId, type: ComparedType, after: string, countMax: number): Promise<OurResource[]> {
  if (type === 'Provenance') {
    const { rows } = await tx.query<OurRow>(`${WRITES} and e.id > $2 order by e.id limit $3`, [org, after === '' ? NIL : after, countMax]);
    return withWaiting(tx, org, rows);
  }
  const { rows } = await tx.query<OurResource>(`${RESOURCES} and r.id > $3 order by r.id limit $4`, [org, typeNumber(type), after, countMax]);
  return rows;
}

/** Those of `ids` that are or were here. */
export async function readOurs(tx: Transaction, org: OrgId, type: ComparedType, ids: readonly string[]): Promise<Map<string, OurResource>> {
  if (type === 'Provenance') {
    const { rows } = await tx.query<OurRow>(`${WRITES} and e.id = any ($2)`, [org, ids.filter((id) => UUID.test(id))]);
    return byId(await withWaiting(tx, org, rows));
  }
  const { rows } = await tx.query<OurResource>(`${RESOURCES} and r.id = any ($3)`, [org, typeNumber(type), ids]);
  return byId(rows);
}

/** How many live ones there are: asked of the database by itself, whatever was compared. */
export async function countOurs(tx: Transaction, org: OrgId, type: ComparedType): Promise<number> {
  const { rows } = type === 'Provenance'
    ? await tx.query<{ count: string }>(`select count(*) from (${WRITES}) w`, [org])
    : await tx.query<{ count: string }>('select count(*) from resource where org = $1 and type = $2 and not deleted', [org, typeNumber(type)]);
  return Number(rows[0]?.count ?? 0);
}

/** The JSON text that the mirror sends for it, `data` with a Binary; undefined where there is nothing to send. */
export function sentText(orgName: string, type: ComparedType, { id, version, text }: OurResource, publicBase: string, data?: string): string | undefined {
  if (text === null) return undefined;
  const name = { orgName, type, id, version };
  return type === 'Provenance' ? sourcedText(name, renderProvenance(parseJson(text) as unknown as AccessEvent)) : mirroredText(name, text, publicBase, data);
}

const NIL = '00000000-0000-0000-0000-000000000000';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The Provenance of a write waits as long as its version does. */
async function withWaiting(tx: Transaction, org: OrgId, rows: readonly OurRow[]): Promise<OurResource[]> {
  const { rows: pending } = await tx.query<{ event: string }>('select event::text as event from outbox where org = $1 and event = any ($2)', [org, rows.map(({ id }) => id)]);
  const events = new Set(pending.map(({ event }) => event));
  return rows.map((row) => ({ ...row, waiting: events.has(row.id) }));
}

function byId(rows: readonly OurResource[]): Map<string, OurResource> {
  return new Map(rows.map((row) => [row.id, row]));
}
