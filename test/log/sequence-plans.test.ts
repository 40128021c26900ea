// The sequencer of a new server plans its statements while every table is empty, and keeps the plans: none may read what
// there is for each event.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { sequenceLeaves } from '../../src/log/sequence-leaves.ts';
import { createDatabase } from '../support/start-muniment.ts';

let database: Database;
beforeAll(async () => {
  const url = await createDatabase();
  database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true });
});
afterAll(() => database.close());

it('looks each event up by index in a log that was empty when the plan was made', async () => {
  const plans = await database.workerTransaction(async (tx) => {
    expect(await sequenceLeaves(tx)).toEqual({ events: 0, size: 0 });
    const planOf = async (call: string): Promise<string> => (await tx.query<{ 'QUERY PLAN': string }>(`explain execute ${call}`)).rows.map((row) => row['QUERY PLAN']).join('\n');
    return planOf(`"next-log-events" ('0', '00000000-0000-0000-0000-000000000000', 4096, '9')`);
  });
  expect(plans).toMatch(/Index Scan using access_event_written/);
  expect(plans).toMatch(/log_leaf_event on log_leaf l .*\n\s+Index Cond: \(\(org = e\.org\) AND \(event = e\.id\)\)/);
  expect(plans).not.toMatch(/Materialize|Join Filter|Seq Scan/);
});
