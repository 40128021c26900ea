// The publishing side of the outbox: one row for each version that the mirror has to be told of.
import type { OrgId } from '../database/tables.ts';
import type { Transaction } from '../database/database.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';

/** Lanes never wait for each other: what people wrote, and what was derived from it (thumbnails). */
export const LANES = { clinical: 1, derived: 2 } as const;

export type Lane = keyof typeof LANES;

export interface OutboxEntry {
  org: OrgId;
  type: ResourceType;
  id: string;
  version: number;
  /** Id of the access event of the write, inserted by the same transaction. */
  event: string;
  lane: Lane;
}

/** Leaves a version to the mirror. Runs in the transaction that publishes it, after the row of the version. */
export async function appendOutbox(tx: Transaction, entry: OutboxEntry): Promise<void> {
  await tx.query({
    name: 'append-outbox',
    text: 'insert into outbox (org, type, id, version, event, lane) values ($1, $2, $3, $4, $5, $6)',
    values: [entry.org, typeNumber(entry.type), entry.id, entry.version, entry.event, LANES[entry.lane]],
  });
}
