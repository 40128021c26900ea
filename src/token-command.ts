// `muniment token`: prints one bearer token for development, and nothing else.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { mintToken, type TokenWish } from './access/development-issuer.ts';
import type { Environment } from './config/env.ts';

const HELP = `Usage: npm run token --silent -- [flags]
Prints one bearer token, signed with the development key of DATA_DIR.
  --scope SCOPES      user/*.cruds
  --org ORG           demo
  --user TYPE/ID      Practitioner/demo
  --role ROLE[,ROLE]  admin; "" for a token without roles
  --patient ID        launch context: patient
  --client ID         muniment-cli
  --ttl SECONDS       3600; --ttl=-60 for a token that has expired
  --launch            adds launch context: the scope launch, for the patient of --patient
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

class UsageError extends Error {}

function demand(holds: boolean, problem: string): void {
  if (!holds) throw new UsageError(problem);
}

/** The FHIR base of the server of `dataDir`: as configured, else as the server of this DATA_DIR left it, else the default. */
export async function fhirBaseOf(environment: Environment, dataDir: string): Promise<string> {
  const { BASE_URL: base, PORT: port } = environment;
  if (base !== undefined) return `${base.replace(/\/+$/, '')}/fhir`;
  // PORT=0 leaves the choice to the system: only the server knows it.
  if (port !== undefined && port !== '0') return `http://localhost:${port}/fhir`;
  const left = await readFile(join(dataDir, 'base-url'), 'utf8').catch(() => '');
  return left.trim() || 'http://localhost:3000/fhir';
}

function parseFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, strict: true }).values;
  } catch (error) { throw new UsageError(`${(error as Error).message}\n${HELP}`); }
}

function readWish(flags: Omit<ReturnType<typeof parseFlags>, 'help'>): Omit<TokenWish, 'dataDir' | 'audience'> {
  const { scope, org, user, patient, client, launch } = flags;
  demand(/^-?\d{1,9}$/.test(flags.ttl), '--ttl must be a whole number of seconds');
  demand(/^[A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64}$/.test(user), '--user must be a reference such as Practitioner/demo');
  demand(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(org), '--org must have 1 to 64 characters of A-Z a-z 0-9 . _ - and begin with a letter or digit');
  demand(patient === undefined || /^[A-Za-z0-9\-.]{1,64}$/.test(patient), '--patient must be the id of a Patient');
  demand(client.trim() !== '', '--client must not be empty');
  const roles = flags.role.split(',').map((role) => role.trim()).filter((role) => role !== '');
  return { scope, org, user, client, roles, launch, ttlSeconds: Number(flags.ttl), ...(patient === undefined ? {} : { patient }) };
}

/** Exit code: 0 with the token on standard output, 2 when used wrongly or in production, 1 when DATA_DIR cannot be used. */
export async function runTokenCommand(argv: readonly string[], environment: Environment): Promise<number> {
  try {
    const { help, ...flags } = parseFlags(argv);
    if (help) {
      process.stdout.write(HELP);
      return 0;
    }
    demand(environment.NODE_ENV !== 'production', 'Development tokens are not made when NODE_ENV=production');
    const wish = readWish(flags);
    const dataDir = resolve(environment.DATA_DIR ?? './data');
    process.stdout.write(`${await mintToken({ ...wish, dataDir, audience: await fhirBaseOf(environment, dataDir) })}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
