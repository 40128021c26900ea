// Proofs from the log, for whoever wants to verify without the database: that an event is in it, that a log is the
// beginning of a later one, and the checkpoint that both are held against.
import { leafHash } from '../audit/access-event.ts';
import { openCheckpoint, parseCheckpoint, readVerifier } from '../audit/checkpoint.ts';
import { consistencyRanges, inclusionRanges, treeRoot, verifyConsistency, verifyInclusion } from '../audit/merkle-log.ts';
import type { Database, Transaction } from '../database/database.ts';
import type { KeptCheckpoint } from './checkpoint-file.ts';
import { checkpointAt, newestCheckpoint } from './seal-checkpoint.ts';
import { readHead, readRanges } from './tree-ranges.ts';

export interface InclusionProof {
  index: number;
  /** What is hashed behind a zero byte. */
  text: string;
  leaf: Buffer;
  /** From the leaf upwards (RFC 9162 2.1.3.1). */
  path: Buffer[];
  checkpoint: KeptCheckpoint;
}

export interface ConsistencyProof {
  from: number;
  to: number;
  /** RFC 9162 2.1.4.1 */
  path: Buffer[];
  fromRoot: Buffer;
  toRoot: Buffer;
  /** Where that size was sealed. */
  fromCheckpoint: KeptCheckpoint | undefined;
  toCheckpoint: KeptCheckpoint | undefined;
}

export interface LogKey {
  verifier: string;
  /** Null for the first key. */
  statement: string | null;
}

export interface LogProofs {
  /** 'unknown': this organisation has no such event. 'unsealed': no checkpoint covers it yet. Throws where the log is damaged. */
  inclusion(org: number, id: string): Promise<InclusionProof | 'unknown' | 'unsealed'>;
  /** `to` is the newest checkpoint where it is left out; undefined where the log was not sealed that far. */
  consistency(from: number, to: number | undefined): Promise<ConsistencyProof | undefined>;
  newest(): Promise<{ checkpoint: KeptCheckpoint; keys: LogKey[] } | undefined>;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

interface LeafRow { body: string; index: string | null }

function rootOf({ note }: KeptCheckpoint): Buffer {
  const root = parseCheckpoint(note)?.root;
  if (root === undefined) throw new Error('A checkpoint of the log is damaged');
  return root;
}

async function readInclusion(tx: Transaction, org: number, id: string): Promise<InclusionProof | 'unknown' | 'unsealed'> {
  if (!UUID.test(id)) return 'unknown';
  const { rows: [row] } = await tx.query<LeafRow>({
    name: 'find-leaf', text: 'select e.body, l.index from access_event e left join log_leaf l on l.org = e.org and l.event = e.id and l.version is null where e.org = $1 and e.id = $2', values: [org, id],
  });
  if (row === undefined) return 'unknown';
  const checkpoint = row.index === null ? undefined : await newestCheckpoint(tx, Number(row.index) + 1);
  if (checkpoint === undefined) return 'unsealed';
  const index = Number(row.index);
  const leaf = leafHash(row.body);
  const path = await readRanges(tx, inclusionRanges(index, checkpoint.size));
  if (!verifyInclusion(index, checkpoint.size, leaf, path, rootOf(checkpoint))) throw new Error(`AuditEvent/${id} is not what was sealed: muniment verify tells more`);
  return { index, text: row.body, leaf, path, checkpoint };
}

async function readConsistency(tx: Transaction, from: number, wished: number | undefined): Promise<ConsistencyProof | undefined> {
  const sealed = (await newestCheckpoint(tx))?.size ?? 0;
  const to = wished ?? sealed;
  if (from > to || to > sealed) return undefined;
  const fromRoot = treeRoot(await readHead(tx, from));
  const toRoot = treeRoot(await readHead(tx, to));
  const path = await readRanges(tx, consistencyRanges(from, to));
  if (!verifyConsistency(from, to, fromRoot, toRoot, path)) throw new Error('The subtrees of the log do not fit together: muniment verify tells more');
  return { from, to, path, fromRoot, toRoot, fromCheckpoint: await checkpointAt(tx, from), toCheckpoint: await checkpointAt(tx, to) };
}

async function readNewest(tx: Transaction): Promise<{ checkpoint: KeptCheckpoint; keys: LogKey[] } | undefined> {
  const checkpoint = await newestCheckpoint(tx);
  if (checkpoint === undefined) return undefined;
  const { rows: keys } = await tx.query<LogKey>('select verifier, statement from log_key order by ordinal');
  const verifiers = keys.flatMap(({ verifier }) => readVerifier(verifier) ?? []);
  if (openCheckpoint(checkpoint.note, verifiers) === undefined) throw new Error('No key of the log signed its newest checkpoint: muniment verify tells more');
  return { checkpoint, keys };
}

/** `sealSoon` is called once where what is asked for has no checkpoint yet. */
export function createLogProofs(database: Pick<Database, 'workerTransaction'>, sealSoon: () => Promise<void>): LogProofs {
  return {
    async inclusion(org, id) {
      const found = await database.workerTransaction((tx) => readInclusion(tx, org, id));
      if (found !== 'unsealed') return found;
      await sealSoon();
      return database.workerTransaction((tx) => readInclusion(tx, org, id));
    },
    consistency: (from, to) => database.workerTransaction((tx) => readConsistency(tx, from, to)),
    async newest() {
      const found = await database.workerTransaction(readNewest);
      if (found !== undefined) return found;
      await sealSoon();
      return database.workerTransaction(readNewest);
    },
  };
}
