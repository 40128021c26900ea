// The development issuer: a key in DATA_DIR with which `npm run token` signs and which the server of that folder
// trusts. Never used where TRUSTED_ISSUERS is set.
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose';

export const DEVELOPMENT_ISSUER = 'https://muniment.example/development-issuer';
const ALGORITHM = 'ES256';

interface KeyFile {
  kid: string;
  privateKey: JWK;
  publicKey: JWK;
}

async function makeKey(path: string): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const file: KeyFile = { kid: randomUUID(), privateKey: await exportJWK(privateKey), publicKey: await exportJWK(publicKey) };
  const draft = `${path}.${randomUUID()}`;
  await writeDurably(draft, JSON.stringify(file));
  try {
    // A link never replaces: of two processes that start at once, one key stays and both read it.
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** On the disk before it gets its name: a crash leaves no key file that is half written. */
async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readKey(path: string): Promise<KeyFile> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text) as KeyFile;
  } catch (error) {
    throw new Error(`${path} is damaged: remove it, and tokens signed with it end`, { cause: error });
  }
}

/** The key file of `dataDir`; made at first use, readable by its owner alone. */
export async function loadDevelopmentKey(dataDir: string): Promise<KeyFile> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'development-issuer.json');
  try {
    return await readKey(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await makeKey(path);
  return readKey(path);
}

export interface TokenWish {
  dataDir: string;
  /** FHIR base of the server that shall accept it. */
  audience: string;
  scope: string;
  org: string;
  /** Practitioner/demo */
  user: string;
  roles: readonly string[];
  patient?: string;
  client: string;
  ttlSeconds: number;
  /** Adds launch context to the scope. */
  launch?: boolean;
}

/** A signed access token with the claims that this server's tokens have. */
export async function mintToken(wish: TokenWish): Promise<string> {
  const file = await loadDevelopmentKey(wish.dataDir);
  const key = (await importJWK(file.privateKey, ALGORITHM)) as CryptoKey;
  const now = Math.floor(Date.now() / 1_000);
  const scope = wish.launch === true ? `${wish.scope} launch` : wish.scope;
  return new SignJWT({
    scope, org: wish.org, fhirUser: wish.user, role: [...wish.roles], client_id: wish.client,
    ...(wish.patient === undefined ? {} : { patient: wish.patient }),
  })
    .setProtectedHeader({ alg: ALGORITHM, kid: file.kid, typ: 'at+jwt' })
    .setIssuer(DEVELOPMENT_ISSUER)
    .setSubject(wish.user.split('/').at(-1) ?? wish.user)
    .setAudience(wish.audience)
    .setIssuedAt(now)
    .setExpirationTime(now + wish.ttlSeconds)
    .setJti(randomUUID())
    .sign(key);
}
