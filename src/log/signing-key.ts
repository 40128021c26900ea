// The Ed25519 key that seals the log: given, or made in DATA_DIR while the log has none. Only one that the log knows as
// its newest signs; a holder of the one before introduces the next.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { printVerifier } from '../audit/checkpoint.ts';
import { signKeyStatement } from '../audit/key-statement.ts';
import type { Database, Transaction } from '../database/database.ts';
import { holdState } from './log-state.ts';

export interface SigningKey {
  privateKey: KeyObject;
  /** The line of signed-note that names it. */
  verifier: string;
  origin: string;
}

export interface KeyPlace {
  dataDir: string;
  /** AUDIT_SIGNING_KEY_FILE: PEM, several where one follows another, the newest first. */
  keyFile: string | undefined;
}

const PEM_BLOCK = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/g;

const privatePath = (dataDir: string): string => join(dataDir, 'audit-key.pem');
/** Whoever verifies trusts the first key that this folder held. */
export const publicPath = (dataDir: string): string => join(dataDir, 'audit-key.pub');

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function privateKeys(pem: string, path: string): KeyObject[] {
  const keys = (pem.match(PEM_BLOCK) ?? []).flatMap((block) => {
    try { return [createPrivateKey(block)]; } catch { return []; }
  });
  if (keys.length === 0 || keys.some((key) => key.asymmetricKeyType !== 'ed25519')) throw new Error(`${path} must hold an Ed25519 private key as PEM (PKCS #8): openssl genpkey -algorithm ed25519`);
  return keys;
}

/** The keys at hand, the newest first. Throws an Error for people where a file cannot be read or holds something else. */
export async function readSigningKeys({ dataDir, keyFile }: KeyPlace): Promise<KeyObject[]> {
  const path = privatePath(dataDir);
  const own = await readIfThere(path);
  const given = keyFile === undefined ? [] : privateKeys(await readFile(keyFile, 'utf8').catch((cause: unknown) => { throw new Error(`AUDIT_SIGNING_KEY_FILE ${keyFile} cannot be read`, { cause }); }), keyFile);
  return [...given, ...(own === undefined ? [] : privateKeys(own, path))];
}

/** On the disk when it returns, folder and all; false when it was there. */
async function writeOnce(path: string, text: string, mode: number): Promise<boolean> {
  const file = await open(path, 'wx', mode).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  });
  if (file === undefined) return false;
  try {
    await file.writeFile(text);
    await file.sync();
  } finally { await file.close(); }
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
  return true;
}

async function makeKey(dataDir: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const made = await writeOnce(privatePath(dataDir), privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, 0o600);
  return made ? privateKey : createPrivateKey(await readFile(privatePath(dataDir), 'utf8'));
}

/** The line of the newest key of the log, or undefined while it has none. */
export async function newestVerifier(tx: Transaction): Promise<{ ordinal: number; verifier: string } | undefined> {
  return (await tx.query<{ ordinal: number; verifier: string }>('select ordinal, verifier from log_key order by ordinal desc limit 1')).rows[0];
}

async function addKey(tx: Transaction, ordinal: number, verifier: string, statement: string | null): Promise<void> {
  await tx.query('insert into log_key (ordinal, verifier, statement) values ($1, $2, $3)', [ordinal, verifier, statement]);
}

async function claim(tx: Transaction, keys: readonly KeyObject[], dataDir: string): Promise<SigningKey | undefined> {
  const { origin = '' } = await holdState(tx, true) ?? {};
  const named = (privateKey: KeyObject): SigningKey => ({ privateKey, origin, verifier: printVerifier({ name: origin, publicKey: createPublicKey(privateKey) }) });
  const newest = await newestVerifier(tx);
  if (newest === undefined) {
    const first = named(keys[0] ?? await makeKey(dataDir));
    await addKey(tx, 1, first.verifier, null);
    return first;
  }
  const held = keys.map(named);
  const signer = held.find(({ verifier }) => verifier === newest.verifier);
  const [next] = held;
  if (signer === undefined || next === undefined || next.verifier === signer.verifier) return signer;
  const { rows: [known] } = await tx.query('select from log_key where verifier = $1', [next.verifier]);
  if (known !== undefined) return signer;
  await addKey(tx, newest.ordinal + 1, next.verifier, signKeyStatement(origin, next.verifier, signer.privateKey));
  return next;
}

/** The key with which this server seals; undefined where others hold it. The first to come gives the log its key. */
export async function claimSigner(database: Pick<Database, 'workerTransaction'>, place: KeyPlace): Promise<SigningKey | undefined> {
  const keys = await readSigningKeys(place);
  const key = await database.workerTransaction((tx) => claim(tx, keys, place.dataDir));
  if (key !== undefined) await writeOnce(publicPath(place.dataDir), `${key.verifier}\n`, 0o644);
  return key;
}
