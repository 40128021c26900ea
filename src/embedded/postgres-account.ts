// Who PostgreSQL runs as. It refuses to run as root, and initdb refuses a user that the system does not know by name.
// The ways are tried in order, each by running the program once.
import { execFile } from 'node:child_process';
import { chown, lchown, readdir } from 'node:fs/promises';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { copyPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';

export interface PostgresAccount {
  /** For the log: who it is. */
  name: string;
  /** Words that stand before the program on the command line. */
  prefix: string[];
  /** User and group for the process, where they differ from our own. */
  identity: { uid?: number; gid?: number };
  /** Who must own PostgreSQL's files, as this process sees them; undefined where that is us anyway. */
  owner?: { uid: number; gid: number };
}

/** A fixed environment: PGDATA, PGOPTIONS, LC_ALL and their like must not reach the server. Windows needs its own. */
export const POSTGRES_ENVIRONMENT: { env?: NodeJS.ProcessEnv } =
  process.platform === 'win32' ? {} : { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' } };

/** Throws with the reason of every way when none works. */
export async function choosePostgresAccount(
  found: PostgresBinaries, directory: string, cluster: string,
): Promise<{ account: PostgresAccount; binaries: PostgresBinaries }> {
  const refusals: string[] = [];
  for (const account of possibleAccounts(directory, cluster)) {
    const first = await refusal(account, found.postgres, directory);
    if (first === undefined) return { account, binaries: found };
    refusals.push(`as ${account.name}: ${first}`);
    if (account.identity.uid === undefined || account.owner === undefined || first.startsWith(NO_WAY_IN)) continue;
    // Another user may not be able to reach the installed programs, for example below a home folder of mode 700.
    const binaries = await copyPostgresBinaries(found, directory);
    await chownTree(dirname(binaries.native), account.owner);
    const second = await refusal(account, binaries.postgres, directory);
    if (second === undefined) return { account, binaries };
    refusals.push(`as ${account.name}, with a copy of the programs: ${second}`);
  }
  throw new Error(`The embedded PostgreSQL cannot be run here. ${refusals.join('; ')}. Run the server as an ordinary user, or set DATABASE_URL`);
}

/** Gives a folder and all in it to another user. */
export async function chownTree(path: string, owner: { uid: number; gid: number }): Promise<void> {
  await chown(path, owner.uid, owner.gid);
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    await lchown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
}

function possibleAccounts(directory: string, cluster: string): PostgresAccount[] {
  if (process.platform === 'win32') return [{ name: 'this user', prefix: [], identity: {} }];
  const tied = tiedToThisProcess();
  if (process.getuid?.() !== 0) return ordinaryUser(tied);
  const owner = ownerOf(existsSync(cluster) ? cluster : directory);
  const asOwner = owner.uid === 0 ? [] : [otherUser('the owner of the data directory', owner, tied)];
  const mapped = namespaceUser(tied, { uid: 0, gid: 0 });
  const nobody = otherUser('nobody', { uid: 65534, gid: 65534 }, tied);
  return [...asOwner, ...mapped, nobody];
}

function ordinaryUser(tied: string[]): PostgresAccount[] {
  const plain: PostgresAccount[] = [{ name: 'this user', prefix: tied, identity: {} }];
  if (tied.length > 0) plain.push({ name: 'this user, not tied to this process', prefix: [], identity: {} });
  return isKnownByName() ? plain : [...namespaceUser(tied), ...plain];
}

// In a user namespace of its own, root (or a user without a name, as in some containers) appears to PostgreSQL as an
// ordinary user, while the files stay ours. No user is created and none must be able to read our folders.
function namespaceUser(tied: string[], owner?: { uid: number; gid: number }): PostgresAccount[] {
  const unshare = programNamed('unshare');
  const seenAs = ordinaryUserId();
  if (unshare === undefined || seenAs === undefined) return [];
  const prefix = [...tied, unshare, '--user', `--map-user=${seenAs}`, `--map-group=${seenAs}`];
  return [{ name: 'this user in a user namespace', prefix, identity: {}, ...(owner && { owner }) }];
}

function otherUser(name: string, owner: { uid: number; gid: number }, tied: string[]): PostgresAccount {
  return { name, prefix: tied, identity: owner, owner };
}

// The kernel sends SIGINT (fast shutdown) to PostgreSQL when the thread that started it ends, also by SIGKILL.
function tiedToThisProcess(): string[] {
  const setpriv = programNamed('setpriv');
  return setpriv === undefined || process.platform !== 'linux' ? [] : [setpriv, '--pdeathsig', 'INT'];
}

function programNamed(name: string): string | undefined {
  return ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function ownerOf(path: string): { uid: number; gid: number } {
  const { uid, gid } = statSync(path);
  return { uid, gid };
}

function isKnownByName(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false;
  }
}

function ordinaryUserId(): number | undefined {
  if (!existsSync('/etc/passwd')) return undefined;
  const ids = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => Number(line.split(':')[2] ?? 0));
  return ids.find((id) => id > 0);
}

const NO_WAY_IN = 'no way into ';

/** Undefined when the program runs and can reach the directory, else the reason in one line. */
async function refusal(account: PostgresAccount, postgres: string, directory: string): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  const command = [...account.prefix, '/bin/sh', '-c', 'cd "$1" 2>/dev/null || { echo "$2$1" >&2; exit 1; }; exec "$0" --version', postgres, directory, NO_WAY_IN];
  try {
    await promisify(execFile)(command[0] as string, command.slice(1), { ...POSTGRES_ENVIRONMENT, ...account.identity, cwd: '/', timeout: 20_000 });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return (stderr?.trim() || message).split('\n').slice(-1)[0];
  }
}
