// Where the engines live: outside any checkout, shared by all of them, and never in a place that is committed.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface EngineFolders {
  /** Programs, built or downloaded. */
  programs: string;
  /** Data, process files, logs and credentials of the running engines. */
  state: string;
}

/** `MUNIMENT_CACHE_DIR`, else `XDG_CACHE_HOME`/muniment, else ~/.cache/muniment, each with /engines behind it. */
export function engineFolders(home = cacheHome()): EngineFolders {
  const folders = { programs: join(home, 'engines'), state: join(home, 'engines', 'state') };
  mkdirSync(folders.state, { recursive: true });
  return folders;
}

function cacheHome(): string {
  const { MUNIMENT_CACHE_DIR, XDG_CACHE_HOME } = process.env;
  return MUNIMENT_CACHE_DIR || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'muniment');
}

export interface EngineCredentials {
  munimentPassword: string;
  hapiPassword: string;
  storageAccessKey: string;
  storageSecretKey: string;
  /** 32 bytes in base64: whoever loses it loses each object that MinIO encrypted. */
  storageEncryptionKey: string;
}

/** Made once, readable by this user alone. All are safe in a URL and in a shell, but for the last. */
export function engineCredentials({ state }: EngineFolders): EngineCredentials {
  const path = join(state, 'credentials.json');
  if (!existsSync(path)) {
    const secret = (): string => randomBytes(18).toString('base64url');
    const made: EngineCredentials = {
      munimentPassword: secret(), hapiPassword: secret(), storageAccessKey: 'muniment', storageSecretKey: secret(),
      storageEncryptionKey: randomBytes(32).toString('base64'),
    };
    writeFileSync(path, `${JSON.stringify(made, undefined, 2)}\n`, { mode: 0o600, flush: true });
  }
  return JSON.parse(readFileSync(path, 'utf8')) as EngineCredentials;
}
