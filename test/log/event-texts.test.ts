// The text of an event is made twice: by the database for one, here for many. Both make what was recorded.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { canonicalText, type AccessEvent } from '../../src/audit/access-event.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { newUuidV7 } from '../../src/fhir/uuid-v7.ts';
import { createAccessRecorder } from '../../src/gate/record-access.ts';
import { KEPT_TEXT, readTexts, type KeptText } from '../../src/search/event-texts.ts';
import { anyAccessEvent } from '../audit/arbitrary-event.ts';
import { createDatabase } from '../support/start-muniment.ts';

let owner: pg.Client;
let database: Database;
beforeAll(async () => {
  const url = await createDatabase();
  owner = new pg.Client({ connectionString: url });
  await owner.connect();
  database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true });
});
afterAll(async () => {
  await database.close();
  await owner.end();
});

it('makes the canonical text of any event again, in the database and here', async () => {
  const events = fc.sample(anyAccessEvent, 400).map((event): AccessEvent => ({ ...event, id: newUuidV7(Date.parse(event.recorded)) }));
  const recorder = createAccessRecorder(database);
  await Promise.all(events.map((event) => recorder.record([{ org: 1, event }])));
  const texts = new Map(events.map((event) => [event.id, canonicalText(event)]));
  const { rows } = await owner.query<KeptText & { body: string }>(`select e.org, e.id as event, e.body, ${KEPT_TEXT} from access_event e`);
  expect(rows).toHaveLength(events.length);
  expect(rows.filter(({ shape }) => shape !== '0').length).toBeGreaterThan(50);
  expect(rows.map(({ event, body }) => [event, body])).toEqual(rows.map(({ event }) => [event, texts.get(event)]));
  const made = await database.workerTransaction((tx) => readTexts(tx, rows));
  expect(rows.map(({ event }, at) => [event, made[at]])).toEqual(rows.map(({ event }) => [event, texts.get(event)]));
});

it('makes no text without the shape', async () => {
  const kept: KeptText = { org: 1, event: newUuidV7(0), shape: '77', parts: 'x', instant: 0 };
  expect(await database.workerTransaction((tx) => readTexts(tx, [kept]))).toEqual([null]);
});
