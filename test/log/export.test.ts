// An export of the record: what it holds, that it is gone on with, and that whatever is done to it is found with the key alone.
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readVerifier, signCheckpoint, type NoteVerifier } from '../../src/audit/checkpoint.ts';
import { leafHash } from '../../src/audit/access-event.ts';
import { printRow, readRow } from '../../src/audit/record-table.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import type { ExportManifest } from '../../src/log/export-files.ts';
import { exportRecord } from '../../src/log/export-record.ts';
import { verifyExport } from '../../src/log/verify-export.ts';
import { documentReference, fhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let muniment: TestMuniment;
let database: Database;
let trusted: NoteVerifier;
let parent: string;
let whole: string;

const PER_FILE = 40;

/** Documents, reads and refusals, all of them sealed when it returns: a server that ends seals. */
async function fill(rounds: number): Promise<void> {
  const server = await muniment.startSecond();
  const client = fhirClient(server.fhirBase, await server.token());
  for (let round = 0; round < rounds; round += 1) {
    const { id } = (await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', data: 'ZXhwb3J0' } }] }))).json;
    await client.get(`DocumentReference/${id}`);
    await client.get('DocumentReference/nobody');
  }
  await client.get('DocumentReference?subject=Patient/p1');
  await server.stop();
  await eventually(() => muniment.sql<{ done: boolean }>('select (select count(*) from access_event) = (select count(*) from log_leaf where version is null) and (select size from log_state) = (select max(size) from log_checkpoint) as done'), ([row]) => row?.done === true, 90_000);
}

beforeAll(async () => {
  muniment = await startMuniment();
  database = openDatabase({ appUrl: muniment.ownerUrl, auditUrl: muniment.ownerUrl, workerUrl: muniment.ownerUrl, setRoles: true });
  parent = await mkdtemp(join(tmpdir(), 'muniment-export-'));
  await fill(25);
  trusted = readVerifier(await readFile(join(muniment.dataDir, 'audit-key.pub'), 'utf8')) as NoteVerifier;
  whole = join(parent, 'whole');
  await exportRecord({ database, folder: whole, leavesPerFile: PER_FILE });
}, 180_000);

afterAll(async () => {
  await database.close();
  await muniment.stop();
  await rm(parent, { recursive: true, force: true });
});

const manifestOf = async (folder: string): Promise<ExportManifest> => JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as ExportManifest;
const linesOf = async (folder: string): Promise<string[]> => {
  const { files } = await manifestOf(folder);
  return (await Promise.all(files.map(({ name }) => readFile(join(folder, name), 'utf8')))).flatMap((text) => text.trimEnd().split('\n'));
};

describe('muniment record export', () => {
  it('holds each leaf with its text, flat columns of it, their schema and the signed checkpoint', async () => {
    const { end, files, start } = await manifestOf(whole);
    const rows = (await linesOf(whole)).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(start).toEqual({ size: 0, peaks: [], checkpoint: null });
    expect(files.length).toBe(Math.ceil(end.size / PER_FILE));
    expect(rows.map(({ index }) => index)).toEqual(Array.from({ length: end.size }, (_, at) => at));
    const { columns } = JSON.parse(await readFile(join(whole, 'schema.json'), 'utf8')) as { columns: { name: string; type: string; nullable: boolean }[] };
    for (const row of rows) {
      expect(Object.keys(row)).toEqual(columns.map(({ name }) => name));
      for (const { name, nullable, type } of columns) {
        const value = row[name];
        if (value === null) expect([name, nullable]).toEqual([name, true]);
        else expect([name, typeof value]).toEqual([name, type.startsWith('int') ? 'number' : 'string']);
      }
    }
    expect(rows.find(({ kind }) => kind === 'version')).toMatchObject({ reference: expect.stringMatching(/_history\/1$/), version_method: 'POST' });
    expect(rows.find(({ interaction }) => interaction === 'create')).toMatchObject({ action: 'C', outcome: 0, agent_user: 'Practitioner/demo', write_activity: 'CREATE' });
    const { events } = await verifyExport(whole, [trusted]);
    expect((await muniment.sql('select from log_leaf where version is null and index < $1', [end.size])).length).toBe(events);
  });

  it('is sound with the key alone, and a finding with another key', async () => {
    expect(await verifyExport(whole, [trusted])).toMatchObject({ findingCount: 0, findings: [], keyGiven: true, start: 0 });
    expect(await verifyExport(whole, [])).toMatchObject({ findingCount: 0, keyGiven: false });
    const { publicKey } = generateKeyPairSync('ed25519');
    expect((await verifyExport(whole, [publicKey])).findings.map(({ kind }) => kind)).toContain('checkpoint-unsigned');
  });

  it('is gone on with after it was broken off, and is then the same', async () => {
    const broken = join(parent, 'broken');
    let done = 0;
    const stop = exportRecord({ database, folder: broken, leavesPerFile: PER_FILE, onProgress: () => { done += 1; if (done === 2) throw new Error('broken off'); } });
    await expect(stop).rejects.toThrow('broken off');
    expect(await readdir(broken)).not.toContain('manifest.json');
    await expect(verifyExport(broken, [trusted])).rejects.toThrow(/holds no whole export/);
    await rm(join(broken, (await readdir(broken)).filter((name) => name.startsWith('leaves-')).sort().at(-1) ?? ''));
    await exportRecord({ database, folder: broken, leavesPerFile: PER_FILE });
    expect(await verifyExport(broken, [trusted])).toMatchObject({ findingCount: 0 });
    expect(await linesOf(broken)).toEqual((await linesOf(whole)).concat((await linesOf(broken)).slice((await linesOf(whole)).length)));
    await expect(exportRecord({ database, folder: broken })).rejects.toThrow(/holds a whole export already/);
  });

  it('continues the one before, which its own checkpoint shows', async () => {
    await fill(3);
    const next = join(parent, 'next');
    await exportRecord({ database, folder: next, after: whole, leavesPerFile: PER_FILE });
    const before = await manifestOf(whole);
    const report = await verifyExport(next, [trusted]);
    expect(report).toMatchObject({ findingCount: 0, start: before.end.size });
    expect(report.size).toBeGreaterThan(before.end.size);
    await rewriteManifest(next, (manifest) => ({ ...manifest, start: { ...manifest.start, peaks: manifest.start.peaks.map(() => '00'.repeat(32)) } }));
    expect((await verifyExport(next, [trusted])).findings.map(({ kind }) => kind)).toContain('checkpoint-changed');
  });

  it('stops at a leaf that is not what was sealed', async () => {
    await muniment.sql(`begin; set local session_replication_role = 'replica'; update access_event set parts = parts || ' ' where id = (select event from log_leaf where index = 60); commit`);
    await expect(exportRecord({ database, folder: join(parent, 'stopped'), leavesPerFile: PER_FILE })).rejects.toThrow(/^Leaf \d+ is not what was sealed/);
    await muniment.sql(`begin; set local session_replication_role = 'replica'; update access_event set parts = rtrim(parts) where id = (select event from log_leaf where index = 60); commit`);
  });
});

async function rewriteManifest(folder: string, change: (manifest: ExportManifest) => ExportManifest): Promise<void> {
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(change(await manifestOf(folder))));
}

/** Whoever tampers also makes digests and manifest fit. */
async function rewriteFile(folder: string, at: number, change: (lines: string[]) => string[]): Promise<void> {
  const manifest = await manifestOf(folder);
  const file = manifest.files[at] as ExportManifest['files'][number];
  const text = `${change((await readFile(join(folder, file.name), 'utf8')).trimEnd().split('\n')).join('\n')}\n`;
  await writeFile(join(folder, file.name), text);
  const { createHash } = await import('node:crypto');
  Object.assign(file, { bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') });
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
}

const column = (name: string, value: unknown) => (lines: string[]): string[] => lines.map((line, at) => (at === 7 ? JSON.stringify({ ...JSON.parse(line) as object, [name]: value }) : line));
/** An event with another text, its hash and columns made anew. */
const forged = (lines: string[]): string[] => {
  const at = lines.findIndex((line) => readRow(line)?.kind === 'event');
  const row = readRow(lines[at] ?? '');
  if (row === undefined) return lines;
  const text = row.text.replace(/"observer":"[^"]*"/, '"observer":"urn:forged"');
  return lines.with(at, printRow({ ...row, text, hash: leafHash(text).toString('hex') }));
};
const other = generateKeyPairSync('ed25519');

describe('muniment verify --export', () => {
  it.each<[string, string, (folder: string) => Promise<unknown>]>([
    ['a column that is not its text\'s', 'row-changed', (folder) => rewriteFile(folder, 1, column('agent_user', 'Practitioner/other'))],
    ['a hash that is not its text\'s', 'row-changed', (folder) => rewriteFile(folder, 1, column('hash', '00'.repeat(32)))],
    ['a column that the schema has not', 'row-changed', (folder) => rewriteFile(folder, 0, column('more', 1))],
    ['a forged event with all made anew', 'leaves-changed', (folder) => rewriteFile(folder, 2, forged)],
    ['a row that is missing', 'leaves-missing', (folder) => rewriteFile(folder, 1, (lines) => lines.toSpliced(5, 1))],
    ['a row that is there twice', 'leaves-missing', (folder) => rewriteFile(folder, 1, (lines) => lines.toSpliced(5, 0, lines[5] ?? ''))],
    ['two rows in another order', 'row-changed', (folder) => rewriteFile(folder, 0, (lines) => lines.with(3, lines[4] ?? '').with(4, lines[3] ?? ''))],
    ['a row that is no JSON', 'row-changed', (folder) => rewriteFile(folder, 0, (lines) => lines.with(3, '{'))],
    ['a file that is missing', 'file-missing', async (folder) => rm(join(folder, (await manifestOf(folder)).files[1]?.name ?? ''))],
    ['a file that was changed below its digest', 'file-damaged', async (folder) => { const { files } = await manifestOf(folder); const path = join(folder, files[0]?.name ?? ''); await writeFile(path, (await readFile(path, 'utf8')).replace('"method":"GET"', '"method":"PUT"')); }],
    ['a tail that was cut off', 'tail-missing', (folder) => rewriteManifest(folder, (manifest) => ({ ...manifest, files: manifest.files.slice(0, -1) }))],
    ['another schema', 'file-damaged', (folder) => writeFile(join(folder, 'schema.json'), '{}')],
    ['a checkpoint of another key', 'checkpoint-unsigned', (folder) => rewriteManifest(folder, (manifest) => ({ ...manifest, end: { ...manifest.end, checkpoint: signCheckpoint({ origin: manifest.origin, size: manifest.end.size, root: Buffer.alloc(32) }, other.privateKey) } }))],
    ['another log', 'log-replaced', (folder) => rewriteManifest(folder, (manifest) => ({ ...manifest, origin: 'muniment.example/log/other' }))],
  ])('finds %s', async (_, kind, tamper) => {
    const folder = await mkdtemp(join(parent, 'tampered-'));
    await cp(whole, folder, { recursive: true });
    await tamper(folder);
    const { findings } = await verifyExport(folder, [trusted]);
    expect(findings.map((finding) => finding.kind)).toContain(kind);
  });
});
