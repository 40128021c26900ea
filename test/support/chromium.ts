// What a SMART app in a browser needs: a Chromium, and the public library fhirclient as one file. The package itself is no
// dependency, because it brings React Native along.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineFolders } from '../../scripts/engines/engine-folders.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const FHIRCLIENT = 'fhirclient@2.6.3';

function onPath(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(':');
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** Where Chromium lies: CHROMIUM_PATH, or on PATH. Under ENGINES=required it is installed, and its absence is an error. */
export function findChromium(): string | undefined {
  const found = process.env['CHROMIUM_PATH'] ?? onPath();
  if (found !== undefined || process.env['ENGINES'] !== 'required') return found;
  spawnSync('apt-get', ['update'], { stdio: 'ignore' });
  const { status, stderr } = spawnSync('apt-get', ['install', '-y', 'chromium'], { encoding: 'utf8' });
  const installed = onPath();
  if (installed === undefined) throw new Error(`Chromium is not there and cannot be installed (apt-get ended with ${status}): ${stderr ?? ''}`);
  return installed;
}

/** The text of fhirclient's built file, from the npm registry once and then from the cache. */
export function fhirclientScript(): string {
  const folder = engineFolders().programs;
  const path = join(folder, `${FHIRCLIENT.replace('@', '-')}.js`);
  if (!existsSync(path)) {
    const unpacked = mkdtempSync(join(tmpdir(), 'muniment-fhirclient-'));
    try {
      execFileSync('npm', ['pack', FHIRCLIENT, '--silent'], { cwd: unpacked, stdio: ['ignore', 'ignore', 'inherit'] });
      execFileSync('tar', ['xzf', `${FHIRCLIENT.replace('@', '-')}.tgz`], { cwd: unpacked });
      mkdirSync(folder, { recursive: true });
      writeFileSync(path, readFileSync(join(unpacked, 'package', 'build', 'fhir-client.js')));
    } finally {
      rmSync(unpacked, { recursive: true, force: true });
    }
  }
  return readFileSync(path, 'utf8');
}
