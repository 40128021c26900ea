// What a person may ask of the mirror and decide about it on the command line: muniment mirror status, list, show, replay, skip.
// They work on the database alone, so they need no running server.
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { isPerOrganisation } from './hapi-client.ts';
import { firstOrganisation, readMirrorStatus, type MirrorStatus } from './mirror-status.ts';
import { describeHead, readHeadReference, readParked, replayDeliveries, skipDelivery, type HeadDescription, type HeadKey, type ParkedDelivery } from './parked-deliveries.ts';

type WorkerDatabase = Pick<Database, 'workerTransaction'>;

/** `org` is the organisation's name; without one the first organisation is meant. */
export interface MirrorTarget {
  org?: string;
  /** Type/id */
  reference: string;
}

/** All that is parked; without a name that of all organisations. */
export interface MirrorTargets {
  org?: string;
  all: true;
}

const LIST_MAX = 1_000;

/** The same as the worker's status, but for what only a running server knows; and how many resources were delivered within the last minute. */
export function mirrorStatus(database: WorkerDatabase, mirrorBaseUrl: string, access: 'off' | 'writes' | 'all' = 'writes'): Promise<MirrorStatus & { deliveredInMinute: number }> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ count: number }>(`select count(*)::int as count from mirror_head where delivered_at > now() - interval '1 minute'`);
    return { ...await readMirrorStatus(tx, { perOrganisation: isPerOrganisation(mirrorBaseUrl), allAccesses: access === 'all' }, []), deliveredInMinute: rows[0]?.count ?? 0 };
  });
}

/** Parked deliveries of one organisation or of all, 1,000 of each at most. */
export function listParked(database: WorkerDatabase, org?: string): Promise<(ParkedDelivery & { org: string })[]> {
  return database.workerTransaction(async (tx) => {
    const all: (ParkedDelivery & { org: string })[] = [];
    for (const { id, name } of await organisationsOf(tx, org)) all.push(...(await readParked(tx, id, '', LIST_MAX)).map((parked) => ({ org: name, ...parked })));
    return all;
  });
}

/** What the mirror knows of one resource; undefined when it was never told of it. */
export function showHead(database: WorkerDatabase, target: MirrorTarget): Promise<HeadDescription | undefined> {
  return database.workerTransaction(async (tx) => describeHead(tx, await keyOf(tx, target)));
}

/** What a decision is about: the parked versions of `target`, by organisation. */
export function parkedOf(database: WorkerDatabase, target: MirrorTarget | MirrorTargets): Promise<{ org: OrgId; orgName: string; references: string[] }[]> {
  return database.workerTransaction(async (tx) => {
    const groups: { org: OrgId; orgName: string; references: string[] }[] = [];
    for (const { id, name } of await organisationsOf(tx, target.org, 'all' in target)) {
      const parked = (await readParked(tx, id, '', LIST_MAX)).map(({ reference }) => reference);
      const references = 'all' in target ? parked : parked.filter((reference) => reference.startsWith(`${target.reference}/_history/`));
      if (references.length > 0) groups.push({ org: id, orgName: name, references });
    }
    return groups;
  });
}

/** Makes one parked delivery due again, those of an organisation, or all of them. Returns how many there were. */
export function replayParked(database: WorkerDatabase, target: MirrorTarget | MirrorTargets): Promise<number> {
  return database.workerTransaction(async (tx) => {
    if (!('all' in target)) return (await replayDeliveries(tx, await keyOf(tx, target))).length;
    let count = 0;
    for (const { id } of await organisationsOf(tx, target.org)) count += (await replayDeliveries(tx, { org: id })).length;
    return count;
  });
}

/** Gives a parked version up, for the `reason` that a person names. Returns its reference, or undefined when nothing is parked there. */
export function skipParked(database: WorkerDatabase, target: MirrorTarget, reason: string): Promise<string | undefined> {
  return database.workerTransaction(async (tx) => skipDelivery(tx, await keyOf(tx, target), reason));
}

/** Rejects with a readable Error when the reference or the organisation cannot be meant. */
async function keyOf(tx: Transaction, { org, reference }: MirrorTarget): Promise<HeadKey> {
  const named = readHeadReference(reference);
  if (named === undefined) throw new Error(`${reference} is not a reference such as DocumentReference/1`);
  const [found] = await organisationsOf(tx, org, false);
  if (found === undefined) throw new Error('There is no organisation yet');
  return { org: found.id, ...named };
}

/** The named one; without a name all of them, or the first. Rejects with an Error for people where there is none of that name. */
async function organisationsOf(tx: Transaction, name: string | undefined, all = true): Promise<{ id: OrgId; name: string }[]> {
  const only = name === undefined && !all ? await firstOrganisation(tx) ?? null : null;
  const { rows } = await tx.query<{ id: OrgId; name: string }>('select id, name from organisation where ($1::text is null or name = $1) and ($2::int is null or id = $2) order by id', [name ?? null, only]);
  if (name !== undefined && rows.length === 0) throw new Error(`There is no organisation ${name}`);
  return rows;
}
