// Lanes of the outbox: they never wait for each other. What people wrote, and what was derived from it (photos at HAPI).
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { printJson, type JsonObject } from '../fhir/json.ts';

export const LANES = { clinical: 1, derived: 2 } as const;

export interface PhotoChange {
  org: OrgId;
  /** The resource that lives at HAPI. */
  type: 'Patient' | 'Practitioner';
  id: string;
  /** Of the Media: changes are delivered in the order of its versions. */
  version: number;
  /** Id of the access event. */
  event: string;
  /** Undefined where the image was deleted. */
  photo: JsonObject | undefined;
}

/** In the transaction that changes the image: HAPI is told what stands in the photo of the person. */
export async function tellPhoto(tx: Transaction, { org, type, id, version, event, photo }: PhotoChange): Promise<void> {
  await tx.query(`insert into outbox (org, type, id, version, event, lane, photo) values ($1, $2, $3, $4, $5, ${LANES.derived}, $6)`, [org, typeNumber(type), id, version, event, photo === undefined ? 'null' : printJson(photo)]);
}
