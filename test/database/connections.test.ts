// How long a request waits for a connection: a burst is let through, a database that does not answer is told at once.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { openDatabase } from '../../src/database/database.ts';
import { createDatabase } from '../support/start-muniment.ts';

it('a burst waits for the connection that others have, longer than a connection may take to be made', async () => {
  const url = await createDatabase();
  const database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true, appConnectionsMax: 1 });
  try {
    const long = database.transaction(1, (tx) => tx.query('select pg_sleep(2.5)'));
    await sleep(50);
    expect((await database.query<{ one: number }>({ text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
    await long;
  } finally { await database.close(); }
}, 20_000);

it('a database that takes the call and says nothing is unavailable within the time for a connection', async () => {
  const silent = createServer(() => { /* Not a word. */ }).listen(0, '127.0.0.1');
  await new Promise((resolve) => { silent.once('listening', resolve); });
  const url = `postgres://somebody@127.0.0.1:${(silent.address() as AddressInfo).port}/nothing`;
  const database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: false });
  const begun = Date.now();
  await expect(database.query({ text: 'select 1' })).rejects.toMatchObject({ status: 503, detail: 'unavailable' });
  expect(Date.now() - begun).toBeLessThan(4_500);
  await database.close();
  silent.close();
}, 20_000);
