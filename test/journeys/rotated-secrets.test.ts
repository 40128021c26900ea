// A password that stands in a file is exchanged while the server runs: what it opens from then on uses the new one.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Environment } from '../../src/config/env.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { createDatabase, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let folder: string;
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'muniment-secrets-')); });
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a password of the database', () => {
  const role = `rotating_${process.pid}`;
  let owner: string;
  let server: TestMuniment;
  let client: FhirClient;

  const asOwner = async (text: string): Promise<void> => {
    const connection = new pg.Client({ connectionString: owner });
    await connection.connect();
    try { await connection.query(text); } finally { await connection.end(); }
  };
  const urlWith = (password: string): string => {
    const url = new URL(owner);
    [url.username, url.password] = [role, password];
    return url.href;
  };
  const connects = async (url: string): Promise<boolean> => {
    const connection = new pg.Client({ connectionString: url });
    return connection.connect().then(() => true, () => false).finally(() => connection.end());
  };

  beforeAll(async () => {
    owner = await createDatabase();
    await asOwner(`create role ${role} login superuser password 'first'`);
    await writeFile(join(folder, 'database'), `${urlWith('first')}\n`);
    server = await startMuniment({ DATABASE_URL: undefined, DATABASE_URL_FILE: join(folder, 'database') } as unknown as Environment);
    client = fhirClient(server.fhirBase, await server.token());
  });
  afterAll(async () => {
    await server.stop();
    await asOwner(`drop role if exists ${role}`).catch(() => { /* Another database of the cluster may still name it. */ });
  });

  it('that is exchanged is used by what connects from then on, and nothing is restarted', async () => {
    expect((await client.post('DocumentReference', documentReference())).status).toBe(201);
    await asOwner(`alter role ${role} password 'second'`);
    // The cluster must ask for passwords, or the test would say nothing.
    expect([await connects(urlWith('first')), await connects(urlWith('second'))]).toEqual([false, true]);
    await writeFile(join(folder, 'database'), urlWith('second'));
    await eventually(async () => {
      await asOwner(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`);
      return (await client.get('DocumentReference?_summary=count')).status;
    }, (status) => status === 200);
    expect((await client.post('DocumentReference', documentReference())).status).toBe(201);
  });
});
