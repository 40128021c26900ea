// HAPI FHIR, the mirror's target: built with Maven from hapi-config, in a copy outside the checkout.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EngineUnavailable, type Engine, type EngineContext } from './engine.ts';
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
  obtain: async (context) => {
    const java = programOnPath('java', 'a JDK 17 runs HAPI');
    const jar = await hapiJar(context);
    return {
      program: java,
      args: ['-Xmx1g', '-jar', jar],
      cwd: context.folders.state,
      env: {
        HAPI_ADDRESS: '127.0.0.1',
        HAPI_PORT: String(context.port),
        HAPI_DB_URL: `jdbc:postgresql://127.0.0.1:${databasePort(context)}/hapi`,
        HAPI_DB_USER: 'hapi',
        HAPI_DB_PASSWORD: engineCredentials(context.folders).hapiPassword,
      },
    };
  },
  probe: async ({ port }) => {
    const answer = await fetch(`http://127.0.0.1:${port}/fhir/metadata`, { headers: { accept: 'application/fhir+json' }, signal: AbortSignal.timeout(60_000) });
    const body = await answer.text();
    if (answer.status !== 200 || !body.includes('"CapabilityStatement"')) throw new Error(`/fhir/metadata answers ${answer.status}`);
  },
  furnish: async () => {},
  environment: ({ port }) => ({ MIRROR_BASE_URL: `http://127.0.0.1:${port}/fhir` }),
};

// The engines of a test may stand on other ports, each moved by the same distance.
const databasePort = ({ port }: EngineContext): number => postgresEngine.port + (port - hapiEngine.port);

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
