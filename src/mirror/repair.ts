// Brings HAPI back to what is here, one resource at a time, under the lease that deliveries take as well.
import { randomUUID } from 'node:crypto';
import { typeNumber } from '../fhir/resource-type.ts';
import type { HapiAnswer } from './call-hapi.ts';
import { LEASE_MS } from './claim.ts';
import { compareIds, type CompareParts, type Drift } from './compare.ts';
import { ABSENT, writeGuarded, type Call } from './guarded-write.ts';
import { endLeases, leaseIdleHeads } from './lease-heads.ts';
import { sourceVersion } from './mirrored-text.ts';
import { readOurs, sentText, type ComparedType, type OurResource } from './our-side.ts';

export interface RepairParts extends CompareParts {
  call: Call;
  /** Removes at HAPI also what others made there. */
  removeOthers: boolean;
}

/** True when both sides are equal afterwards, as read from them. Never rejects because of HAPI. */
export async function repairDrift(parts: RepairParts, drift: Drift): Promise<boolean> {
  if (drift.kind === 'extra' && !drift.ours && !parts.removeOthers) return false;
  const lease = randomUUID();
  const leaseUntil = performance.now() + LEASE_MS;
  const ours = await lockHead(parts, drift, lease);
  if (ours === 'busy') return false;
  const hapiVersion = await bringBack(parts, drift, ours, leaseUntil);
  await parts.database.workerTransaction((tx) => endLeases(tx, parts.org, drift.type, lease, [{ id: drift.id, hapiVersion, version: ours?.version ?? 0 }]));
  if (hapiVersion === undefined) return false;
  const { drift: left, waiting } = await compareIds(parts, drift.type, [drift.id]);
  return left.length === 0 && waiting.length === 0;
}

/** Takes the lease where nothing is due, and reads what is here. What is not here at all has no head, and nobody delivers it. */
function lockHead({ database, org }: RepairParts, { type, id }: Drift, lease: string): Promise<OurResource | undefined | 'busy'> {
  return database.workerTransaction(async (tx) => {
    const mine = await leaseIdleHeads(tx, org, type, [id], lease);
    const ours = (await readOurs(tx, org, type, [id])).get(id);
    return mine.has(id) || ours === undefined ? ours : 'busy';
  });
}

/** HAPI's version afterwards; undefined when it did not work out. */
async function bringBack(parts: RepairParts, drift: Drift, ours: OurResource | undefined, leaseUntil: number): Promise<string | undefined> {
  const { type, id } = drift;
  const held = await parts.call({ method: 'GET', path: `${type}/${id}` });
  if (![200, 404, 410].includes(held.status)) return undefined;
  // Another organisation's, under an id that is ours as well: a person has to see to it.
  if (sourceVersion(held.source, { orgName: parts.orgName, type, id, version: 0 }) === 'foreign') return undefined;
  const write = { orgName: parts.orgName, type, id, refusals: 0, leaseUntil };
  let expected = held.version ?? ABSENT;
  // Equal content makes no version at HAPI, so that a wrong meta.source would stay.
  if (drift.path === `${type}.meta.source` && held.status === 200) {
    const removed = await writeGuarded({ ...write, version: 0, body: null, expected }, parts.call);
    if (removed.kind !== 'delivered') return undefined;
    expected = removed.hapiVersion;
  }
  for (const version of await versionsToSend(parts, type, id, ours, held)) {
    const result = await writeGuarded({ ...write, version: version.version, body: await bodyOf(parts, type, version), expected }, parts.call);
    if (result.kind !== 'delivered') return undefined;
    expected = result.hapiVersion;
  }
  return expected;
}

/** The JSON text of a version to send; null for a deletion. Rejects while bytes that go with it cannot be read. */
export async function bodyOf({ org, orgName, publicBase, binaryData }: CompareParts, type: ComparedType, version: OurResource): Promise<string | null> {
  if (version.deleted) return null;
  return sentText(orgName, type, version, publicBase, type === 'Binary' ? await binaryData.read(org, version.content) : undefined) ?? null;
}

/** Where HAPI never had it, its whole history; where HAPI is behind, what it lacks; else the newest version alone. */
async function versionsToSend(parts: RepairParts, type: ComparedType, id: string, ours: OurResource | undefined, held: HapiAnswer): Promise<OurResource[]> {
  const gone = { id, version: ours?.version ?? 0, deleted: true, text: null, content: null, waiting: false };
  if (ours === undefined || ours.deleted) return [gone];
  if (type === 'Provenance') return [ours];
  const named = held.status === 404 ? 0 : sourceVersion(held.source, { orgName: parts.orgName, type, id, version: 0 });
  return readVersionsSince(parts, type, ours, typeof named === 'number' && named < ours.version ? named : ours.version - 1);
}

/** The versions of `ours` after `since`, up to itself; those whose text was purged are passed over. */
export async function readVersionsSince({ database, org }: CompareParts, type: ComparedType, ours: OurResource, since: number): Promise<OurResource[]> {
  if (since >= ours.version - 1 || type === 'Provenance') return [ours];
  const earlier = await database.workerTransaction((tx) => tx.query<OurResource>(
    `select id, version, deleted, body as text, content, false as waiting from resource_history
     where org = $1 and type = $2 and id = $3 and version > $4 and version < $5 and (deleted or body is not null) order by version`,
    [org, typeNumber(type), ours.id, since, ours.version]));
  return [...earlier.rows, ours];
}
