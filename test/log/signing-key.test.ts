// Who seals: the first holder of a key, whoever holds the newest one, and nobody over a log that is not the one that was sealed.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readVerifier, type NoteVerifier } from '../../src/audit/checkpoint.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { verifyLog, type VerifyReport } from '../../src/log/verify-log.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const OTHER_FOLDER = await mkdtemp(join(tmpdir(), 'muniment-other-'));
const KEY_FILE = join(OTHER_FOLDER, 'new-key.pem');

let muniment: TestMuniment;
let database: Database;

beforeAll(async () => {
  muniment = await startMuniment();
  database = openDatabase({ appUrl: muniment.ownerUrl, auditUrl: muniment.ownerUrl, workerUrl: muniment.ownerUrl, setRoles: true });
  await writeFile(KEY_FILE, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
});
afterAll(async () => {
  await database.close();
  await muniment.stop();
  await rm(OTHER_FOLDER, { recursive: true });
});

async function access(server: TestMuniment): Promise<void> {
  // The token is of the first server's folder: elsewhere it is a refusal, and that is recorded as well.
  const response = await fetch(`${server.fhirBase}/DocumentReference?patient=Patient/1`, { headers: { Authorization: `Bearer ${await muniment.token()}` } });
  await response.arrayBuffer();
}

const sizes = async (): Promise<number[]> => (await muniment.sql<{ size: string }>('select size from log_checkpoint order by size')).map(({ size }) => Number(size));
const keyIn = async (dataDir: string): Promise<NoteVerifier> => readVerifier(await readFile(join(dataDir, 'audit-key.pub'), 'utf8')) as NoteVerifier;
const verified = async (keys: NoteVerifier[], dataDir = muniment.dataDir): Promise<VerifyReport> => verifyLog({ database, keys, dataDir });

describe('the key of the log', () => {
  it('is not made by a server that comes to a log that has one: it records, and seals nothing', async () => {
    await access(muniment);
    const other = await muniment.startSecond({ DATA_DIR: OTHER_FOLDER });
    await access(other);
    await other.stop();
    await expect(readFile(join(OTHER_FOLDER, 'audit-key.pem'))).rejects.toThrow('ENOENT');
    const [row] = await muniment.sql<{ waiting: string }>('select (select count(*) from access_event) - (select count(*) from log_leaf where version is null) as waiting');
    expect(row?.waiting).toBe('0');
    expect(await verified([], OTHER_FOLDER)).toMatchObject({ findingCount: 0, fileCompared: false, keyGiven: false });
  });

  it('is followed by another that a holder of it introduces; whoever trusts the first trusts what the second seals', async () => {
    const first = await keyIn(muniment.dataDir);
    const server = await muniment.startSecond({ AUDIT_SIGNING_KEY_FILE: KEY_FILE });
    await access(server);
    await server.stop();
    const keys = await muniment.sql<{ ordinal: number; verifier: string }>('select ordinal, verifier from log_key order by ordinal');
    expect(keys.map(({ ordinal }) => ordinal)).toEqual([1, 2]);
    const report = await verified([first]);
    expect(report).toMatchObject({ findingCount: 0, unsealed: 0 });
    const second = readVerifier(keys[1]?.verifier ?? '') as NoteVerifier;
    expect(await verified([second])).toMatchObject({ findingCount: 0, unsealed: 0 });
    // The first server's key is not the newest any more.
    const before = await sizes();
    const old = await muniment.startSecond();
    await access(old);
    await old.stop();
    expect(await sizes()).toEqual(before);
    expect(await verified([generateVerifier(first.name)])).toMatchObject({ findings: [{ kind: 'checkpoint-unsigned' }] });
  });

  it('is refused at start with a text for people when its file holds something else', async () => {
    const wrong = join(OTHER_FOLDER, 'wrong.pem');
    await writeFile(wrong, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await expect(muniment.startSecond({ AUDIT_SIGNING_KEY_FILE: wrong })).rejects.toThrow('must hold an Ed25519 private key');
    await expect(muniment.startSecond({ AUDIT_SIGNING_KEY_FILE: join(OTHER_FOLDER, 'none.pem') })).rejects.toThrow('cannot be read');
  });
});

describe('a start', () => {
  it('cuts off what a crash left half written in DATA_DIR, and appends what the database has beyond it', async () => {
    const path = join(muniment.dataDir, 'checkpoints.jsonl');
    const whole = (await readFile(path, 'utf8')).trimEnd().split('\n');
    await writeFile(path, `${whole.slice(0, -1).map((line) => `${line}\n`).join('')}${whole.at(-1)?.slice(0, 20)}`);
    const server = await muniment.startSecond({ AUDIT_SIGNING_KEY_FILE: KEY_FILE });
    await access(server);
    await server.stop();
    const mended = (await readFile(path, 'utf8')).trimEnd().split('\n');
    expect(mended.slice(0, whole.length)).toEqual(whole);
    expect(await verified([await keyIn(muniment.dataDir)])).toMatchObject({ findingCount: 0 });
  });

  it('seals nothing over a database of an earlier day; it serves and records, and verify says what is lacking', async () => {
    const before = await sizes();
    const newest = before.at(-1) ?? 0;
    await muniment.sql(`begin; set local session_replication_role = 'replica'; delete from log_checkpoint where size = ${newest}; commit`);
    const server = await muniment.startSecond({ AUDIT_SIGNING_KEY_FILE: KEY_FILE });
    await access(server);
    await server.stop();
    expect(await sizes()).toEqual(before.slice(0, -1));
    expect((await verified([await keyIn(muniment.dataDir)])).findings.map(({ kind }) => kind)).toEqual(['database-older']);
  });
});

function generateVerifier(name: string): NoteVerifier {
  return { name, publicKey: generateKeyPairSync('ed25519').publicKey };
}
