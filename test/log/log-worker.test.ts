import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { leafHash } from '../../src/audit/access-event.ts';
import { openCheckpoint, readVerifier } from '../../src/audit/checkpoint.ts';
import { appendLeaves, EMPTY_TREE, treeRoot } from '../../src/audit/merkle-log.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { eventually } from '../support/eventually.ts';

let muniment: TestMuniment;
beforeAll(async () => { muniment = await startMuniment(); });
afterAll(async () => { await muniment.stop(); });

async function post(server: TestMuniment, type: string, resource: object): Promise<{ id: string }> {
  const response = await fetch(`${server.fhirBase}/${type}`, { method: 'POST', headers: { Authorization: `Bearer ${await server.token()}`, 'Content-Type': 'application/fhir+json' }, body: JSON.stringify(resource) });
  expect(response.status).toBe(201);
  return await response.json() as { id: string };
}

const document = (text: string): object => ({
  resourceType: 'DocumentReference', status: 'current', subject: { reference: 'Patient/1' }, content: [{ attachment: { contentType: 'text/plain', data: Buffer.from(text).toString('base64') } }],
});

async function sealed(server: TestMuniment): Promise<{ size: number; note: string }> {
  const [row] = await server.sql<{ size: string; note: string }>('select size, note from log_checkpoint order by size desc limit 1');
  return { size: Number(row?.size ?? 0), note: row?.note ?? '' };
}

describe('the log of a running server', () => {
  it('has a leaf for each event within two seconds of its commit, and one for each version that a write made', async () => {
    const { id } = await post(muniment, 'DocumentReference', document('one'));
    const leaves = await eventually(
      () => muniment.sql<{ version: number | null; type: number | null; id: string | null }>('select version, type, id from log_leaf order by index'),
      (rows) => rows.filter((row) => row.version !== null).length === 2, 2_000,
    );
    expect(leaves.some((row) => row.id === id && row.version === 1)).toBe(true);
    const [counts] = await muniment.sql<{ same: boolean }>('select (select count(*) from access_event) = (select count(*) from log_leaf where version is null) as same');
    expect(counts?.same).toBe(true);
  });

  it('seals a checkpoint that the key in DATA_DIR signed, over the tree of the leaves, in the database and in DATA_DIR', async () => {
    const verifier = readVerifier(await readFile(join(muniment.dataDir, 'audit-key.pub'), 'utf8'));
    const { note } = await eventually(() => sealed(muniment), ({ size }) => size > 0);
    const checkpoint = openCheckpoint(note, verifier === undefined ? [] : [verifier]);
    const hashes = await muniment.sql<{ hash: Buffer }>('select hash from log_leaf order by index');
    expect(checkpoint?.root).toEqual(treeRoot(appendLeaves(EMPTY_TREE, hashes.slice(0, checkpoint?.size).map(({ hash }) => hash))));
    await eventually(() => readFile(join(muniment.dataDir, 'checkpoints.jsonl'), 'utf8').catch(() => ''), (text) => text.includes(JSON.stringify(note)));
  });

  it('has the canonical text of an event under its leaf', async () => {
    const [row] = await muniment.sql<{ body: string; hash: Buffer }>('select e.body, l.hash from log_leaf l join access_event e on e.org = l.org and e.id = l.event where l.version is null order by index desc limit 1');
    expect(leafHash(row?.body ?? '')).toEqual(row?.hash);
  });

  it('seals all rows before it ends, also those of the second before', async () => {
    const first = await startMuniment();
    const second = await first.startSecond();
    await Promise.all(Array.from({ length: 20 }, (_, at) => post(at % 2 === 0 ? first : second, 'DocumentReference', document(`${at}`))));
    await second.stop();
    const rows = await first.sql<{ whole: boolean; gaps: boolean }>(`select (select max(size) from log_checkpoint) = (select count(*) from log_leaf) as whole, (select count(*) <> max(index) + 1 from log_leaf) as gaps`);
    expect(rows).toEqual([{ whole: true, gaps: false }]);
    await first.stop();
  });
});
