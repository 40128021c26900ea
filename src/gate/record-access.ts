// The record of accesses: writes inside the transaction of the resource, everything else by natural group commit.
// A flush leaves at the end of the event loop's turn when none is under way; what comes meanwhile leaves together with the next.
import type { AccessEvent } from '../audit/access-event.ts';
import { indexAccess, subtypeOf } from '../audit/access-index.ts';
import { shapeText } from '../audit/shaped-text.ts';
import type { ColumnStatement, Database, Transaction } from '../database/database.ts';
import { endOfTurn } from '../database/natural-batch.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';

export interface OwnedEvent {
  org: number;
  event: AccessEvent;
}

const ROWS_PER_FLUSH = 256;
const FLUSHES_AT_ONCE = 2;
const QUEUE_MAX = 10_000;
const RECORD_TIMEOUT_MS = 2_000;

// A row never comes without its shape. Shapes come in one order, so that writers of the same new ones do not lock each other out.
const INSERT = `with events as (
    insert into access_event (org, id, recorded, layout, shape, parts, action, outcome, request_id, agent_user, agent_subject, agent_client, write, subtype)
    select * from unnest($1::int[], $2::uuid[], $3::timestamptz[], $4::smallint[], $5::bigint[], $6::text[], $7::text[], $8::smallint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::text[])),
  shapes as (
    insert into access_shape (org, id, text) select * from (select distinct * from unnest($19::int[], $20::bigint[], $21::text[]) s (org, id, text)) s order by s.org, s.id on conflict do nothing)
  insert into access_entity (org, reference, role, event)
  select * from unnest($15::int[], $16::text[], $17::smallint[], $18::uuid[])`;

const ENTITY_COLUMNS = 14;
const SHAPE_COLUMNS = 18;

function insertStatement(owned: readonly OwnedEvent[]): ColumnStatement {
  const columns: unknown[][] = Array.from({ length: 21 }, () => []);
  const append = (from: number, values: readonly unknown[]): void => { values.forEach((value, position) => columns[from + position]?.push(value)); };
  const shapes = new Set<string>();
  for (const { org, event } of owned) {
    const { shape, parts, text } = shapeText(event);
    const index = indexAccess(event);
    append(0, [org, event.id, event.recorded, event.layout, shape, parts, event.action, event.outcome, event.requestId,
      index.agentUser ?? null, index.agentSubject ?? null, index.agentClient ?? null, event.write !== undefined, subtypeOf(event)]);
    for (const entity of index.entities) append(ENTITY_COLUMNS, [org, entity.reference, entity.role, event.id]);
    const key = `${org} ${shape}`;
    if (text === undefined || shapes.has(key)) continue;
    shapes.add(key);
    append(SHAPE_COLUMNS, [org, shape, text]);
  }
  return { name: 'record-access', text: INSERT, columns };
}

const unrecorded = (diagnostics: string, cause?: unknown): Error =>
  fhirError('unavailable', diagnostics, { headers: { 'Retry-After': '2' }, ...(cause === undefined ? {} : { cause }) });

/** Records inside the transaction of a write: both are committed, or none. */
export function recordInTransaction(tx: Transaction, owned: readonly OwnedEvent[]): void {
  tx.last(insertStatement(owned), (cause) => unrecorded('The access could not be recorded, so it did not happen', cause));
}

interface Waiting {
  owned: readonly OwnedEvent[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

export interface AccessRecorder {
  /** Resolves when the events are committed; rejects with 503 when that took too long or failed. */
  record(owned: readonly OwnedEvent[]): Promise<void>;
  /** Events that wait for a flush. */
  depth(): number;
}

export function createAccessRecorder(database: Pick<Database, 'auditQuery'>): AccessRecorder {
  const queue: Waiting[] = [];
  let queued = 0;
  let flushing = 0;

  function takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    let rows = 0;
    while (queue.length > 0 && rows < ROWS_PER_FLUSH) {
      const next = queue.shift() as Waiting;
      rows += next.owned.length;
      batch.push(next);
    }
    queued -= rows;
    return batch;
  }

  /** What is given up before it was sent must not be told as an access later. What is under way may still be committed. */
  function withdraw(waiting: Waiting): void {
    const at = queue.indexOf(waiting);
    if (at < 0) return;
    queue.splice(at, 1);
    queued -= waiting.owned.length;
  }

  async function write(batch: readonly Waiting[]): Promise<void> {
    try {
      const { columns, ...statement } = insertStatement(batch.flatMap((waiting) => waiting.owned));
      await database.auditQuery({ ...statement, values: columns });
      for (const waiting of batch) waiting.resolve();
    } catch (error) {
      const isOut = error instanceof FhirError && error.status === 503;
      // One that the database refuses does not take along those that travelled with it.
      if (batch.length > 1 && !isOut) await Promise.all(batch.map((waiting) => write([waiting])));
      else for (const waiting of batch) waiting.reject(unrecorded('The access could not be recorded, so it did not happen', error));
    }
  }

  async function flush(): Promise<void> {
    if (flushing >= FLUSHES_AT_ONCE || queue.length === 0) return;
    flushing += 1;
    await endOfTurn();
    await write(takeBatch());
    flushing -= 1;
    void flush();
  }

  return {
    depth: () => queued,
    record: (owned) => new Promise<void>((resolve, reject) => {
      if (queued >= QUEUE_MAX) { reject(unrecorded('Too many accesses wait to be recorded')); return; }
      const waiting: Waiting = {
        owned,
        resolve: () => { clearTimeout(timer); resolve(); },
        reject: (error) => { clearTimeout(timer); reject(error); },
      };
      const timer = setTimeout(() => {
        withdraw(waiting);
        reject(unrecorded('The access could not be recorded in time, so it did not happen'));
      }, RECORD_TIMEOUT_MS);
      queue.push(waiting);
      queued += owned.length;
      void flush();
    }),
  };
}
