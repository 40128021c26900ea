// A command that asks a running server as the person whose token it is, so that what is done from a terminal is judged and
// recorded like any other access.
import { resolve } from 'node:path';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { Environment } from './config/env.ts';
import { fhirBaseOf } from './token-command.ts';

/** Below every usage of such a command. */
export const ASKING_USAGE = `  the bearer token of the administrator stands in MUNIMENT_TOKEN, the server's FHIR base in MUNIMENT_BASE
  --json    the server's answer as it is
Exit code: 0 done, 1 refused or out of reach, 2 used wrongly`;

export interface Asked {
  /** Below /admin/. */
  path: string;
  /** POST where there is a body, else GET. */
  method?: 'PATCH';
  body?: Readonly<Record<string, unknown>>;
}

export type Told = Record<string, unknown>;
export type Flags = Readonly<Record<string, string | undefined>>;

export interface AskingCommand {
  usage: string;
  /** Flags with a text; --json and --help are there by themselves. */
  flags: readonly string[];
  /** undefined for words that mean nothing here. */
  askedOf(words: readonly string[], flags: Flags): Asked | undefined;
  printed(answer: Told): string;
}

async function ask(base: string, token: string, { path, method, body }: Asked): Promise<{ status: number; text: string }> {
  const response = await fetch(`${base.replace(/\/fhir\/?$/, '')}/admin/${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { 'authorization': `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

const optionsOf = (flags: readonly string[]): NonNullable<ParseArgsConfig['options']> => ({
  ...Object.fromEntries(flags.map((name) => [name, { type: 'string' as const }])), json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
});

export async function runAskingCommand({ usage, flags: names, askedOf, printed }: AskingCommand, args: readonly string[], environment: Environment): Promise<number> {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: optionsOf(names), allowPositionals: true });
    if (values['help'] === true) { process.stdout.write(`${usage}\n`); return 0; }
    const asked = askedOf(positionals, values as Flags);
    const token = environment.MUNIMENT_TOKEN;
    if (asked === undefined || token === undefined) { process.stderr.write(`${asked === undefined ? '' : 'MUNIMENT_TOKEN is not set\n'}${usage}\n`); return 2; }
    const base = environment.MUNIMENT_BASE ?? await fhirBaseOf(environment, resolve(environment.DATA_DIR ?? './data'));
    const { status, text } = await ask(base, token, asked);
    const answer = JSON.parse(text) as Told;
    const asJson = values['json'] === true;
    if (status >= 400) { process.stderr.write(asJson ? `${text}\n` : `${status}: ${typeof answer['detail'] === 'string' ? answer['detail'] : text}\n`); return 1; }
    process.stdout.write(`${asJson ? text : printed(answer)}\n`);
    return 0;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const isUsage = /^ERR_PARSE_ARGS/.test(code ?? '');
    process.stderr.write(isUsage ? `${message}\n${usage}\n` : `The server cannot be asked: ${message}\n`);
    return isUsage ? 2 : 1;
  }
}
