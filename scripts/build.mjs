// Compiles src and migrations into dist, and only when something there is newer than the last build.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist', '.built');

function newest(path) {
  const entry = statSync(path);
  if (!entry.isDirectory()) return entry.mtimeMs;
  return Math.max(entry.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

export function isBuilt() {
  const sources = ['src', 'migrations', 'tsconfig.build.json'].map((name) => join(root, name)).filter((path) => existsSync(path));
  // An installed package has no sources: what it brought is what there is.
  if (!existsSync(join(root, 'src'))) return true;
  return existsSync(stamp) && sources.every((path) => newest(path) < statSync(stamp).mtimeMs);
}

export function build() {
  if (isBuilt()) return;
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const started = new Date();
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json')], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stamp, started.toISOString());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build();
