// `muniment token`: prints one bearer token for development, and nothing else.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { mintToken } from './access/development-issuer.ts';
import type { Environment } from './config/env.ts';

const HELP = `Usage: npm run token --silent -- [flags]
Prints one bearer token, signed with the development key of DATA_DIR.
  --scope SCOPES      user/*.cruds
  --org ORG           demo
  --user TYPE/ID      Practitioner/demo
  --role ROLE[,ROLE]  admin
  --patient ID        launch context: patient
  --client ID         muniment-cli
  --ttl SECONDS       3600
  --launch            adds launch context
`;

const OPTIONS = {
  scope: { type: 'string', default: 'user/*.cruds' },
  org: { type: 'string', default: 'demo' },
  user: { type: 'string', default: 'Practitioner/demo' },
  role: { type: 'string', default: 'admin' },
  patient: { type: 'string' },
  client: { type: 'string', default: 'muniment-cli' },
  ttl: { type: 'string', default: '3600' },
  launch: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** The FHIR base that the token is for: as configured, else as the server of this DATA_DIR left it, else the default. */
async function audienceOf(environment: Environment, dataDir: string): Promise<string> {
  if (environment.BASE_URL !== undefined) return `${environment.BASE_URL.replace(/\/+$/, '')}/fhir`;
  if (environment.PORT !== undefined) return `http://localhost:${environment.PORT}/fhir`;
  const left = await readFile(join(dataDir, 'base-url'), 'utf8').catch(() => undefined);
  return left?.trim() ?? 'http://localhost:3000/fhir';
}

function usage(problem: string): number {
  process.stderr.write(`${problem}\n`);
  return 2;
}

/** Exit code: 0 with the token on standard output, 2 when used wrongly or in production. */
export async function runTokenCommand(argv: readonly string[], environment: Environment): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({ args: [...argv], options: OPTIONS, strict: true }));
  } catch (error) { return usage(`${(error as Error).message}\n${HELP}`); }
  if (values.help) { process.stdout.write(HELP); return 0; }
  if (environment.NODE_ENV === 'production') return usage('Development tokens are not made when NODE_ENV=production');
  const ttlSeconds = Number(values.ttl);
  if (!Number.isInteger(ttlSeconds)) return usage('--ttl must be a whole number of seconds');
  if (!/^[A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64}$/.test(values.user)) return usage('--user must be a reference such as Practitioner/demo');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(values.org)) return usage('--org must have 1 to 64 characters of A-Z a-z 0-9 . _ -');
  const dataDir = resolve(environment.DATA_DIR ?? './data');
  const token = await mintToken({
    dataDir, audience: await audienceOf(environment, dataDir), scope: values.scope, org: values.org, user: values.user,
    roles: values.role.split(',').filter((role) => role !== ''), client: values.client, ttlSeconds, launch: values.launch,
    ...(values.patient === undefined ? {} : { patient: values.patient }),
  });
  process.stdout.write(`${token}\n`);
  return 0;
}
