// HAPI FHIR, the mirror's target: built with Maven from hapi-config, in a copy outside the checkout.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EngineUnavailable, type Engine, type EngineContext, type LaunchCommand } from './engine.ts';
import { engineCredentials } from './engine-folders.ts';
import { programOnPath, runToEnd } from './engine-process.ts';
import { postgresEngine } from './postgres-engine.ts';

const SOURCES = join(import.meta.dirname, '../../hapi-config');

export const hapiEngine: Engine = {
  name: 'hapi',
  title: 'HAPI FHIR',
  port: 8080,
  needs: ['postgres'],
  // More than two minutes have been seen for the first start on two busy cores, which makes 58 tables.
  startLimitMs: 600_000,
  stopLimitMs: 60_000,
  obtain: (context) => launchCommand(context, 'hapi', postgresEngine.port + context.port - 8080),
  probe: async ({ port }) => {
    const answer = await fetch(`http://127.0.0.1:${port}/fhir/metadata`, { headers: { accept: 'application/fhir+json' }, signal: AbortSignal.timeout(60_000) });
    const body = await answer.text();
    if (answer.status !== 200 || !body.includes('"CapabilityStatement"')) throw new Error(`/fhir/metadata answers ${answer.status}`);
  },
  furnish: async () => {},
  environment: ({ port }) => ({ MIRROR_BASE_URL: `http://127.0.0.1:${port}/fhir` }),
};

/** Another one, in which each organisation has a partition of its own (HAPI_PARTITIONS). It is started by its name alone. */
export const partitionedHapiEngine: Engine = {
  ...hapiEngine,
  name: 'hapi-partitions',
  title: 'HAPI FHIR with partitions',
  port: 8090,
  obtain: async (context) => {
    const command = await launchCommand(context, 'hapi_partitions', postgresEngine.port + context.port - 8090);
    return { ...command, env: { ...command.env, HAPI_PARTITIONS: 'true' } };
  },
  // A server is joined to one HAPI: whoever wants this one says so.
  environment: () => ({}),
};

/** The engines of a test may stand on other ports, each moved by the same distance. */
async function launchCommand(context: EngineContext, database: string, databasePort: number): Promise<LaunchCommand> {
  const java = programOnPath('java', 'a JDK 17 runs HAPI');
  jars ??= hapiJar(context);
  return {
    program: java,
    args: ['-Xmx1g', '-jar', await jars],
    cwd: context.folders.state,
    env: {
      HAPI_ADDRESS: '127.0.0.1',
      HAPI_PORT: String(context.port),
      HAPI_DB_URL: `jdbc:postgresql://127.0.0.1:${databasePort}/${database}`,
      HAPI_DB_USER: 'hapi',
      HAPI_DB_PASSWORD: engineCredentials(context.folders).hapiPassword,
    },
  };
}

/** Built once, for both. */
let jars: Promise<string> | undefined;

async function hapiJar({ folders, mayBuild, log }: EngineContext): Promise<string> {
  const home = join(folders.programs, 'hapi', sourcesKey());
  const jar = join(home, 'target', 'hapi.jar');
  if (existsSync(jar)) return jar;
  if (!mayBuild) throw new EngineUnavailable('HAPI is not built yet: `npm run engines` builds it (two minutes or less, once)');
  const maven = programOnPath('mvn', 'Maven 3.8 and a JDK 17 build HAPI');
  programOnPath('javac', 'a JDK 17, not only the runtime, builds HAPI');
  log('building HAPI: two minutes or less, once for each change of hapi-config');
  const partial = `${home}.partial`;
  rmSync(partial, { recursive: true, force: true });
  cpSync(SOURCES, partial, { recursive: true });
  await runToEnd({ program: maven, args: ['-B', '-q', 'package'], cwd: partial }, 'building HAPI');
  renameSync(partial, home);
  return jar;
}

/** Changes with what the build reads, and with nothing else. */
function sourcesKey(): string {
  const digest = createHash('sha256');
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) => /(^pom\.xml|\.yaml|\.java)$/.test(file)).sort();
  for (const file of files) {
    const path = join(SOURCES, file);
    if (statSync(path).isFile()) digest.update(file).update('\0').update(readFileSync(path)).update('\0');
  }
  return digest.digest('hex').slice(0, 16);
}
