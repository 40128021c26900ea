// `muniment launch`: registers an EHR launch context (SMART App Launch 2.2) and prints the address that opens the app.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Environment } from './config/env.ts';
import { registerLaunch, type LaunchContext } from './embedded/launch-context.ts';
import { fhirBaseOf } from './token-command.ts';

const HELP = `Usage: npx muniment launch --app URL --patient ID [flags]
Registers what is open in the record, for an hour, with the authorization server of DATA_DIR; prints URL?iss=…&launch=…
  --app URL           where the app is launched
  --patient ID        the patient that is open
  --encounter ID      the encounter that is open
  --user TYPE/ID      who works at the record, and signs in no further; without it the app's user signs in
  --org ORG           demo
  --value             prints the launch value alone; --app may be left out
  --json              prints one JSON document: url, iss, launch
`;

const OPTIONS = {
  app: { type: 'string' },
  patient: { type: 'string' },
  encounter: { type: 'string' },
  user: { type: 'string' },
  org: { type: 'string', default: 'demo' },
  value: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

class UsageError extends Error {}

function parseFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, strict: true }).values;
  } catch (error) { throw new UsageError(`${(error as Error).message}\n${HELP}`); }
}

type Flags = ReturnType<typeof parseFlags>;

function demand(holds: boolean, problem: string): void {
  if (!holds) throw new UsageError(problem);
}

const isId = (text: string): boolean => /^[A-Za-z0-9\-.]{1,64}$/.test(text);

function contextOf({ org, patient, encounter, user }: Flags): LaunchContext {
  demand(patient !== undefined, `--patient is needed\n${HELP}`);
  demand(isId(patient ?? ''), '--patient must be the id of a Patient');
  demand(encounter === undefined || isId(encounter), '--encounter must be the id of an Encounter');
  demand(user === undefined || /^[A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64}$/.test(user), '--user must be a reference such as Practitioner/demo');
  demand(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(org), '--org must have 1 to 64 characters of A-Z a-z 0-9 . _ - and begin with a letter or digit');
  return { org, ...(patient === undefined ? {} : { patient }), ...(encounter === undefined ? {} : { encounter }), ...(user === undefined ? {} : { user }) };
}

function appOf({ app, value }: Flags): URL | undefined {
  demand(app !== undefined || value, `--app is needed\n${HELP}`);
  if (app === undefined) return undefined;
  demand(URL.canParse(app) && /^https?:$/.test(new URL(app).protocol), '--app must be an address that begins with http:// or https://');
  return new URL(app);
}

/** Exit code: 0 with the address on standard output, 2 when used wrongly or in production, 1 when DATA_DIR cannot be used. */
export async function runLaunchCommand(argv: readonly string[], environment: Environment): Promise<number> {
  try {
    const flags = parseFlags(argv);
    if (flags.help) {
      process.stdout.write(HELP);
      return 0;
    }
    demand(environment.NODE_ENV !== 'production', 'Launches of the development authorization server are not made when NODE_ENV=production');
    const app = appOf(flags);
    const context = contextOf(flags);
    const dataDir = resolve(environment.DATA_DIR ?? './data');
    const iss = await fhirBaseOf(environment, dataDir);
    const launch = await registerLaunch(dataDir, context);
    app?.searchParams.set('iss', iss);
    app?.searchParams.set('launch', launch);
    const line = flags.json ? JSON.stringify({ url: app?.href, iss, launch }) : flags.value ? launch : app?.href ?? launch;
    process.stdout.write(`${line}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
