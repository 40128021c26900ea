// What was recorded before the record could be searched by it is found as well, also where the owner is no superuser
// and therefore bound by row-level security.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import knexConstructor from 'knex';
import pg from 'pg';
import * as accessEvent from '../../migrations/0006-access-event.ts';
import * as accessEventSearch from '../../migrations/0013-access-event-search.ts';

const NAME = `old_${process.pid}_${Date.now()}`;
const base = process.env['TEST_POSTGRES_URL'] ?? '';
const at = (url: string, database: string): string => url.replace(/\/[^/]*$/, `/${database}`);

let admin: pg.Client;
let look: pg.Client;

beforeAll(async () => {
  admin = new pg.Client({ connectionString: base });
  await admin.connect();
  await admin.query(`create role ${NAME} login password 'owner'`);
  await admin.query(`create database ${NAME} owner ${NAME}`);
  look = new pg.Client({ connectionString: at(base, NAME) });
  await look.connect();
});
afterAll(async () => {
  await look.end();
  await admin.query(`drop database ${NAME}`);
  await admin.query(`drop role ${NAME}`);
  await admin.end();
});

it('tells the interaction of old rows and finds the agents and entities of their Provenances', async () => {
  const owner = knexConstructor({ client: 'pg', connection: at(base, NAME).replace(/\/\/[^@]*@/, `//${NAME}:owner@`) });
  try {
    await accessEvent.up(owner);
    const write = { activity: 'UPDATE', authors: ['Practitioner/1', 'Person/1', 'https://x.example/fhir/Device/2/_history/4'], custodian: 'Organization/7', sources: [{ reference: 'Media/1/_history/1', role: 'revision' }], targets: ['Media/1/_history/2'] };
    const rows = [
      ['U', 0, true, { action: 'U', agent: { name: 'odd \u0000 name' }, interaction: 'update', write }],
      ['C', 0, true, { action: 'C', interaction: 'update', write: { ...write, authors: [], sources: [], custodian: undefined } }],
      ['U', 4, true, { action: 'U', interaction: 'patch', write }],
      ['R', 0, false, { action: 'R', interaction: 'read' }],
    ] as const;
    for (const [action, outcome, isWrite, event] of rows) {
      await look.query(`insert into access_event (org, id, recorded, layout, body, leaf, action, outcome, request_id, write) values (1, gen_random_uuid(), now(), 1, $1, $2, $3, $4, 'r', $5)`, [JSON.stringify(event), Buffer.alloc(32), action, outcome, isWrite]);
    }
    await accessEventSearch.up(owner);
    expect((await look.query('select subtype from access_event order by subtype')).rows.map(({ subtype }) => subtype as string)).toEqual(['create', 'patch', 'read', 'update']);
    expect((await look.query(`select reference, role from access_entity order by role, reference`)).rows).toEqual([
      { reference: '//x.example/fhir/Device/2', role: 3 }, { reference: 'Organization/7', role: 3 }, { reference: 'Practitioner/1', role: 3 }, { reference: 'Media/1', role: 4 },
    ]);
    expect((await look.query(`select bool_and(relforcerowsecurity) as forced from pg_class where relname in ('access_event', 'access_entity')`)).rows).toEqual([{ forced: true }]);
  } finally {
    await owner.destroy();
  }
});
