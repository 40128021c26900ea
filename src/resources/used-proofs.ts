// Proofs of possession that were used (RFC 9449 11.1): remembered by all servers of one database, as digests, until they would be
// too old by themselves.
import type { UseProof } from '../access/sender-proof.ts';
import type { Database } from '../database/database.ts';
import { createNaturalBatch } from '../database/natural-batch.ts';

/** Seconds by which the clocks of servers and database may differ. */
const SKEW_SECONDS = 60;
const CLEAN_EVERY_MS = 10_000;

interface Use {
  digest: Buffer;
  untilSeconds: number;
}

/**
 * True for one of those who ask, once. Those of one moment leave together. Raises 503 while the database cannot be reached: a proof
 * of which nothing is known is good for nothing. `now` in milliseconds.
 */
export function createUsedProofs(database: Pick<Database, 'query'>, now: () => number = Date.now): UseProof {
  let cleanedAt = now();

  async function insert(_lane: string, uses: Use[]): Promise<boolean[]> {
    const { rows } = await database.query<{ digest: Buffer }>({
      name: 'use-proofs',
      text: 'insert into used_proof (digest, until) select * from unnest($1::bytea[], $2::timestamptz[]) on conflict do nothing returning digest',
      values: [uses.map(({ digest }) => digest), uses.map(({ untilSeconds }) => new Date(untilSeconds * 1_000))],
    });
    const taken = new Set(rows.map(({ digest }) => digest.toString('hex')));
    // Of two equal ones in one batch the first has it.
    return uses.map(({ digest }) => taken.delete(digest.toString('hex')));
  }

  /** Nobody waits for it; what stays is taken next time. */
  function clean(): void {
    if (now() - cleanedAt < CLEAN_EVERY_MS) return;
    cleanedAt = now();
    database.query({ name: 'forget-proofs', text: 'delete from used_proof where until < $1', values: [new Date(cleanedAt - SKEW_SECONDS * 1_000)] }).catch(() => undefined);
  }

  const use = createNaturalBatch(insert);
  return async (digest, untilSeconds) => {
    const isFirst = await use('', { digest, untilSeconds });
    clean();
    return isFirst;
  };
}
