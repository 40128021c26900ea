// The record of bytes that went out of service, or came back, without anybody asking for them.
import { userInfo } from 'node:os';
import type { AccessEvent } from '../audit/access-event.ts';
import type { Database } from '../database/database.ts';
import type { ContentChange, ContentRecord } from '../content/scrub.ts';
import type { ContentRow } from '../database/tables.ts';
import { printInstant } from '../fhir/instant.ts';
import { typeName, typeNumber } from '../fhir/resource-type.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { readBinaryUses } from '../resources/read-version.ts';
import { recordInTransaction } from './record-access.ts';

export interface ScrubRecordParts {
  database: Database;
  observer: string;
  /** Who is at work: the server by itself, or whoever called the command. */
  by: 'server' | 'command';
}

/** The Binaries over a content and the documents that use them, with their patients. */
async function touched(database: Database, row: ContentRow): Promise<AccessEvent['entities']> {
  return database.readTransaction(row.org, async (tx) => {
    const { rows } = await tx.query<{ id: string; version: number }>(
      `select id, version from resource where org = $1 and type = $2 and content = $3 union all select id, version from resource_history where org = $1 and type = $2 and content = $3 limit 50`,
      [row.org, typeNumber('Binary'), row.id],
    );
    const uses = (await Promise.all(rows.map(({ id }) => readBinaryUses(tx, row.org, id)))).flat();
    const patients = uses.flatMap(({ patient }) => (patient === null || patient.includes('/') ? [] : [`Patient/${patient}`]));
    const documents = uses.map(({ type, id, version }) => `${typeName(type)}/${id}/_history/${version}`);
    return [
      ...[...new Set(patients)].map((reference) => ({ reference, role: 'patient' as const })),
      ...[...rows.map(({ id, version }) => `Binary/${id}/_history/${version}`), ...new Set(documents)].map((reference) => ({ reference, role: 'data' as const })),
    ];
  });
}

const ASKED: Record<ContentChange, string> = {
  quarantined: '$scrub', restored: '$scrub?restore=true', infected: '$scrub?rescan=true', cleared: '$scrub?rescan=true', accepted: '$scrub?accept=true', removed: '$retention',
};

/** AuditEvent outcome 8 for what goes out of service; the event is committed with the change. */
export function createScrubRecord({ database, observer, by }: ScrubRecordParts): ContentRecord {
  return async (row, change, what) => {
    const now = Date.now();
    const id = newUuidV7(now);
    const { rows } = await database.query<{ name: string }>({ text: 'select name from organisation where id = $1', values: [row.org] });
    const failed = change === 'quarantined' || change === 'infected';
    const event: AccessEvent = {
      action: 'E', agent: by === 'server' ? {} : { client: 'muniment-scrub', issuer: observer, name: userInfo().username, subject: userInfo().username },
      bytes: { size: Number(row.size) }, entities: await touched(database, row), id, interaction: 'operation', layout: 1, observer, org: rows[0]?.name ?? String(row.org),
      outcome: failed ? 8 : 0, ...(failed || change === 'accepted' || change === 'removed' ? { outcomeDesc: what } : {}), recorded: printInstant(now),
      request: { method: 'POST', url: ASKED[change] }, requestId: id, status: failed ? 500 : 200,
    };
    return (tx) => { recordInTransaction(tx, [{ org: row.org, event }]); };
  };
}
