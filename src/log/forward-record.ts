// The record handed on to an audit repository: a cursor over the log, behind the answers and never in their way. A batch
// counts once the receiver has read it; until then it is sent again, by this server or by another. Nothing is left out, and
// a message may come twice.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccessEvent } from '../audit/access-event.ts';
import { syslogFrame } from '../audit/syslog-message.ts';
import type { Database, Transaction } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { sendFrames, type SyslogTarget } from './send-syslog.ts';

const LEAVES_AT_ONCE = 500;
/** Bytes of one batch: what is held in memory. */
const BATCH_BYTES_MAX = 8 * 1024 ** 2;
const LOOK_MS = 1_000;
const AGAIN_MS_MAX = 60_000;

export interface ForwardStatus {
  /** Leaves that the repository has not yet. */
  waiting: number;
  /** Age of the oldest event of them, 0 without one. */
  lagSeconds: number;
}

export interface RecordForwarder {
  status(): Promise<ForwardStatus>;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

interface ForwardParts {
  database: Pick<Database, 'workerTransaction'>;
  logger: Logger;
  target: SyslogTarget;
}

interface Batch {
  from: number;
  /** The first leaf behind the batch. */
  to: number;
  frames: Buffer[];
}

/** Whoever holds the lease sends; it outlives what one batch may take. undefined while another server has it. */
async function claim(tx: Transaction, target: string, holder: string): Promise<number | undefined> {
  await tx.query('insert into record_forward (target) values ($1) on conflict (target) do nothing', [target]);
  const { rows: [row] } = await tx.query<{ position: string }>(
    `update record_forward set holder = $2, lease_until = now() + interval '60 seconds' where target = $1 and (holder = $2 or lease_until < now()) returning position`, [target, holder],
  );
  return row === undefined ? undefined : Number(row.position);
}

/** Leaves in their order; versions have no message of their own. */
async function readBatch(tx: Transaction, from: number): Promise<Batch | undefined> {
  const { rows } = await tx.query<{ index: string; body: string | null }>({
    name: 'forward-leaves',
    text: `select l.index, e.body from log_leaf l left join access_event e on l.version is null and e.org = l.org and e.id = l.event
      where l.index >= $1 and l.index < $2 order by l.index`,
    values: [from, from + LEAVES_AT_ONCE],
  });
  const frames: Buffer[] = [];
  let [to, bytes] = [from, 0];
  for (const { index, body } of rows) {
    const frame = body === null ? undefined : syslogFrame(JSON.parse(body) as AccessEvent);
    if (frames.length > 0 && bytes + (frame?.length ?? 0) > BATCH_BYTES_MAX) break;
    if (frame !== undefined) frames.push(frame);
    bytes += frame?.length ?? 0;
    to = Number(index) + 1;
  }
  return to === from ? undefined : { from, to, frames };
}

async function advance(tx: Transaction, target: string, holder: string, { from, to }: Batch): Promise<void> {
  await tx.query('update record_forward set position = $3, forwarded_at = now() where target = $1 and holder = $2 and position = $4', [target, holder, to, from]);
}

async function readStatus(tx: Transaction, target: string): Promise<ForwardStatus> {
  const { rows: [row] } = await tx.query<{ waiting: string; lag: number | null }>(
    `select greatest(s.size - coalesce(f.position, 0), 0) as waiting,
        (select extract(epoch from now() - e.recorded)::float8 from log_leaf l join access_event e on e.org = l.org and e.id = l.event
          where l.index >= coalesce(f.position, 0) and l.version is null order by l.index limit 1) as lag
      from log_state s left join record_forward f on f.target = $1`, [target],
  );
  return { waiting: Number(row?.waiting ?? 0), lagSeconds: Math.max(0, row?.lag ?? 0) };
}

export function startForwarding({ database, logger, target }: ForwardParts): RecordForwarder {
  const name = `${target.host}:${target.port}`;
  const holder = randomUUID();
  const end = new AbortController();

  /** True when there was something to send. */
  async function forward(): Promise<boolean> {
    const from = await database.workerTransaction((tx) => claim(tx, name, holder));
    const batch = from === undefined ? undefined : await database.workerTransaction((tx) => readBatch(tx, from));
    if (batch === undefined) return false;
    if (batch.frames.length > 0) await sendFrames(target, batch.frames);
    await database.workerTransaction((tx) => advance(tx, name, holder, batch));
    return true;
  }

  const loop = (async () => {
    let failures = 0;
    while (!end.signal.aborted) {
      let more = false;
      try {
        more = await forward();
        if (failures > 0 && more) logger.info({ target: name }, 'the audit repository takes messages again');
        if (more) failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) logger.warn({ err: error, target: name }, 'the record could not be handed to the audit repository; it is tried again');
      }
      if (more) continue;
      await sleep(failures === 0 ? LOOK_MS : Math.min(AGAIN_MS_MAX, LOOK_MS * 2 ** Math.min(failures - 1, 10)), undefined, { signal: end.signal, ref: false }).catch(() => { /* It ends. */ });
    }
  })();
  return {
    status: () => database.workerTransaction((tx) => readStatus(tx, name)),
    async stop() {
      end.abort();
      await loop;
      // Another server goes on at once.
      await database.workerTransaction((tx) => tx.query(`update record_forward set lease_until = '-infinity' where target = $1 and holder = $2`, [name, holder]));
    },
  };
}
