// Access rows, rendered as the AuditEvent and the Provenance that they are.
import type { AccessEvent } from '../audit/access-event.ts';
import { renderAuditEvent } from '../audit/render-audit-event.ts';
import { printJson } from '../fhir/json.ts';
import { renderProvenance } from '../audit/render-provenance.ts';
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import type { RecordType } from '../search/record-type.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** By the layout of the row: a new layout gets a renderer of its own, and no renderer ever says anything else of an old row. */
const RENDERERS = { 1: { AuditEvent: renderAuditEvent, Provenance: renderProvenance } } as const;

export function renderRecord(type: RecordType, body: string): string {
  const event = JSON.parse(body) as AccessEvent;
  const renderers = RENDERERS[event.layout];
  // What a client asserted keeps the digits of its decimals.
  return type === 'AuditEvent' ? JSON.stringify(renderers.AuditEvent(event)) : printJson(renderers.Provenance(event));
}

/** The stored text of one access; undefined when this organisation has none of that id. */
export async function readRecord(tx: Transaction, org: OrgId, id: string): Promise<{ body: string; recorded: Date } | undefined> {
  if (!UUID.test(id)) return undefined;
  const { rows } = await tx.query<{ body: string; recorded: Date }>({ name: 'read-record', text: 'select e.body, e.recorded from access_event e where e.org = $1 and e.id = $2', values: [org, id] });
  return rows[0];
}
