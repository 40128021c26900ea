// The files of one embedded PostgreSQL: its password and its data directory, made whole or not at all.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { chownTree, POSTGRES_ENVIRONMENT, type PostgresAccount } from './postgres-account.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';

export const SUPERUSER = 'postgres';

/** The superuser's password, from `directory`/password (mode 0600), made at the first call. */
export async function clusterPassword(directory: string): Promise<string> {
  const path = join(directory, 'password');
  if (!existsSync(path)) {
    await rm(`${path}.partial`, { force: true });
    await writeFile(`${path}.partial`, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flush: true });
    await rename(`${path}.partial`, path);
  }
  return (await readFile(path, 'utf8')).trim();
}

/** Makes the data directory when there is none, else checks that these binaries can read it and that the account owns it. */
export async function prepareCluster(
  directory: string, cluster: string, binaries: PostgresBinaries, account: PostgresAccount, log: (line: string) => void,
): Promise<void> {
  await removeUnfinished(directory, cluster);
  if (!existsSync(cluster)) {
    await makeCluster(directory, cluster, binaries, account);
    log(`made a new PostgreSQL ${binaries.version.split('.')[0]} data directory in ${cluster}`);
    return;
  }
  await checkMajorVersion(cluster, binaries);
  if (account.owner !== undefined && (await stat(cluster)).uid !== account.owner.uid) await chownTree(cluster, account.owner);
}

// initdb works in a folder of another name, so that a killed first start leaves nothing that looks like a database. The
// name is never used twice: an initdb whose starter was killed may still be at work, and empties its folder as it ends.
async function makeCluster(directory: string, cluster: string, binaries: PostgresBinaries, account: PostgresAccount): Promise<void> {
  const passwordFile = join(directory, 'password');
  if (account.owner !== undefined) await chown(passwordFile, account.owner.uid, account.owner.gid);
  for (const ctype of CTYPES) {
    const partial = await mkdtemp(`${cluster}.partial-`);
    if (account.owner !== undefined) await chown(partial, account.owner.uid, account.owner.gid);
    const said = await runInitdb([...account.prefix, binaries.initdb, ...initdbOptions(partial, passwordFile, ctype)], account);
    if (said === undefined) {
      await rename(partial, cluster);
      return;
    }
    await rm(partial, { recursive: true, force: true });
    if (!said.includes('invalid locale') || ctype === CTYPES.at(-1)) throw new Error(`The embedded PostgreSQL could not be made (as ${account.name}): ${said}`);
  }
}

async function removeUnfinished(directory: string, cluster: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(`${basename(cluster)}.partial`)) continue;
    // One that is still being written to refuses to go; it is in nobody's way, and the next start removes it.
    await rm(join(directory, name), { recursive: true, force: true }).catch(() => {});
  }
}

// Extensions (pg_trgm) still ask the C library which characters are letters; one of these names knows more than ASCII.
const CTYPES = process.platform === 'win32' ? ['C'] : ['C.UTF-8', 'UTF-8', 'C'];

function initdbOptions(cluster: string, passwordFile: string, ctype: string): string[] {
  return [
    '--pgdata', cluster, '--username', SUPERUSER, '--pwfile', passwordFile, '--auth', 'scram-sha-256',
    // The builtin provider sorts by code point and knows the letters of Unicode, whatever the C library is.
    '--encoding', 'UTF8', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C', '--lc-ctype', ctype,
    '--no-instructions',
  ];
}

/** Undefined when it succeeded, else its last words. */
async function runInitdb(command: string[], account: PostgresAccount): Promise<string | undefined> {
  try {
    await promisify(execFile)(command[0] as string, command.slice(1), { ...POSTGRES_ENVIRONMENT, ...account.identity, cwd: '/' });
    return undefined;
  } catch (error) {
    const { stderr, stdout, message } = error as { stderr?: string; stdout?: string; message: string };
    return `${stdout ?? ''}\n${stderr ?? ''}`.trim().split('\n').slice(-6).join(' | ') || message;
  }
}

async function checkMajorVersion(cluster: string, binaries: PostgresBinaries): Promise<void> {
  const made = (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim();
  const major = binaries.version.split('.')[0];
  if (made !== major) {
    throw new Error(`${cluster} was made by PostgreSQL ${made}, and the embedded one is ${major}: move the data over by dump and restore, or set DATABASE_URL to a server of version ${made}`);
  }
}
