// The emulator of Google Cloud Storage: fake-gcs-server, built from the Go module proxy. It keeps objects and their
// generations in memory, because on a disk it keeps no generations.
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { EngineUnavailable, type Engine, type EngineContext } from './engine.ts';
import { programOnPath, runToEnd } from './engine-process.ts';

const VERSION = 'v1.56.1';
const MODULE = `github.com/fsouza/fake-gcs-server@${VERSION}`;
const BUCKET = 'muniment';
const PROBE_LIMIT_MS = 10_000;
const EXISTS = 409;

export const gcsEngine: Engine = {
  name: 'gcs',
  title: 'fake-gcs-server',
  port: 9300,
  needs: [],
  startLimitMs: 60_000,
  stopLimitMs: 15_000,
  obtain: async (context) => ({
    program: await emulatorProgram(context),
    args: ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(context.port), '-backend', 'memory', '-log-level', 'warn'],
  }),
  probe: async ({ port }) => {
    await ask(port, 'GET', [200]);
  },
  furnish: async ({ port }) => {
    await ask(port, 'POST', [200, EXISTS], { name: BUCKET, versioning: { enabled: true } });
  },
  // A server has one store: whoever wants this one says STORAGE_TYPE=gcs, STORAGE_BUCKET=muniment and its STORAGE_ENDPOINT.
  environment: () => ({}),
};

async function ask(port: number, method: string, expected: readonly number[], body?: object): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/storage/v1/b?project=muniment`, { method, signal: AbortSignal.timeout(PROBE_LIMIT_MS), ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await answer.text();
  if (!expected.includes(answer.status)) throw new Error(`it answers ${answer.status} ${text.slice(0, 100)}`);
}

async function emulatorProgram({ folders, mayBuild, log }: EngineContext): Promise<string> {
  const home = join(folders.programs, `fake-gcs-server-${VERSION}`);
  const program = join(home, 'fake-gcs-server');
  if (existsSync(program)) return program;
  if (!mayBuild) throw new EngineUnavailable('fake-gcs-server is not built yet: `npm run engines` builds it (about 2 minutes on two cores, once)');
  const go = programOnPath('go', 'Go 1.26 or later builds fake-gcs-server');
  log('building fake-gcs-server: about 2 minutes on two cores, once');
  const partial = `${home}.partial`;
  await runToEnd({ program: go, args: ['install', '-trimpath', '-ldflags', '-s -w', MODULE], env: { GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOBIN: partial } }, 'building fake-gcs-server');
  mkdirSync(home, { recursive: true });
  renameSync(join(partial, 'fake-gcs-server'), program);
  return program;
}
