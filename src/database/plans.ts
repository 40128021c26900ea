// How PostgreSQL plans our statements (docs/decisions/0010-plans-follow-indexes.md).
import type pg from 'pg';

/** Ways through a table that never pay for a page of an index, but are chosen while a new table looks empty. */
const WHOLE_TABLE_PLANS = ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_material'];

/** Settings of each connection: a named statement is planned once, and its plan follows indexes. */
export const PLAN_ONCE: readonly string[] = ['plan_cache_mode = force_generic_plan', ...WHOLE_TABLE_PLANS.map((plan) => `${plan} = off`)];

/** Inside a transaction: the statements that follow are planned for the values they come with. */
export const PLAN_FOR_VALUES = ['plan_cache_mode = force_custom_plan', ...WHOLE_TABLE_PLANS.map((plan) => `${plan} = on`)].map((setting) => `set local ${setting}`).join('; ');

/** Age at which a connection first forgets its plans; then at twice that, and so on. */
const FIRST_PLANS_MS = 1_000;

/**
 * A plan that was made while a table was small reads all of it, and is kept until the table is analysed: a minute later, or never.
 * So each connection plans anew whenever it has doubled its age: tables that grow evenly are then never more than twice what they were.
 */
export function planAgainAsTablesGrow(pool: pg.Pool): void {
  const ages = new WeakMap<pg.PoolClient, { born: number; next: number }>();
  pool.on('connect', (client) => { ages.set(client, { born: performance.now(), next: FIRST_PLANS_MS }); });
  pool.on('acquire', (client) => {
    const age = ages.get(client);
    if (age === undefined || performance.now() - age.born < age.next) return;
    age.next = 2 * (performance.now() - age.born);
    // In the order of the connection, before what it was taken for; where it fails, that fails and tells.
    client.query('discard plans').catch(() => {});
  });
}
