// The keys with which the development authorization server signs (RFC 7517): one file a key, so that a rotation replaces
// nothing. The newest signs; the one before it stays published for the tokens that it signed.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalJWKSet, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT, type CryptoKey, type JWK, type JWTPayload, type JWTVerifyGetKey } from 'jose';

const ALGORITHM = 'RS256';
const KEYS_KEPT = 2;
const ROTATE_AFTER_MS = 30 * 86_400_000;

interface KeyFile {
  privateKey: JWK;
  publicKey: JWK;
}

export interface SigningKeys {
  /** Newest first. Made when there is none, and when the newest is older than 30 days. */
  load(): Promise<readonly KeyFile[]>;
  /** For the verification of a token: follows what lies in the folder. */
  find: JWTVerifyGetKey;
  /** An access token (RFC 9068) with these claims. */
  sign(claims: JWTPayload): Promise<string>;
  /** The claims of a token that one of the keys signed, also of one that has expired; undefined for any other. */
  read(token: string): Promise<JWTPayload | undefined>;
  /** Makes a new key and drops those that are no longer needed. */
  rotate(): Promise<void>;
}

/** `folder` is made readable by its owner alone. */
export function createSigningKeys(folder: string, now: () => number = Date.now): SigningKeys {
  let known: { mark: string; keys: readonly KeyFile[]; find: JWTVerifyGetKey } | undefined;

  /** Names begin with the time of making, in digits that sort. */
  async function names(): Promise<string[]> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return (await readdir(folder)).filter((name) => name.endsWith('.json')).sort().reverse();
  }

  async function rotate(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const about = { kid: randomUUID(), alg: ALGORITHM, use: 'sig' };
    const file: KeyFile = { privateKey: { ...await exportJWK(privateKey), ...about }, publicKey: { ...await exportJWK(publicKey), ...about } };
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = join(folder, `${about.kid}.draft`);
    await writeFile(draft, JSON.stringify(file), { mode: 0o600, flush: true });
    await rename(draft, join(folder, `${String(now()).padStart(15, '0')}-${about.kid}.json`));
    for (const name of (await names()).slice(KEYS_KEPT)) await rm(join(folder, name), { force: true });
  }

  async function current(): Promise<NonNullable<typeof known>> {
    let found = await names();
    if (found[0] === undefined || Number(found[0].slice(0, 15)) < now() - ROTATE_AFTER_MS) {
      await rotate();
      found = await names();
    }
    const mark = found.join();
    if (known?.mark === mark) return known;
    const keys = await Promise.all(found.slice(0, KEYS_KEPT).map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as KeyFile));
    known = { mark, keys, find: createLocalJWKSet({ keys: keys.map(({ publicKey }) => publicKey) }) };
    return known;
  }

  const find: JWTVerifyGetKey = async (header, token) => (await current()).find(header, token);

  return {
    load: async () => (await current()).keys,
    find,
    rotate,
    async sign(claims) {
      const [{ privateKey }] = (await current()).keys as [KeyFile];
      const key = (await importJWK(privateKey, ALGORITHM)) as CryptoKey;
      return new SignJWT(claims).setProtectedHeader({ alg: ALGORITHM, kid: privateKey.kid as string, typ: 'at+jwt' }).sign(key);
    },
    async read(token) {
      try {
        return (await jwtVerify(token, find, { algorithms: [ALGORITHM], currentDate: new Date(0) })).payload;
      } catch { return undefined; }
    },
  };
}
