// `muniment retention`, `muniment hold` and `muniment purge`: what administrators do of these, from a terminal. They ask a
// running server as the person whose token it is: two people are two people here as well, and each access is recorded.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Environment } from './config/env.ts';
import { fhirBaseOf } from './token-command.ts';

const COMMON = `  the bearer token of the administrator stands in MUNIMENT_TOKEN, the server's FHIR base in MUNIMENT_BASE
  --json    the server's answer as it is
Exit code: 0 done, 1 refused or out of reach, 2 used wrongly`;

const USAGES = {
  retention: `Usage: muniment retention [--json]
  lists what is due for review: its retention is over. Nothing is removed
${COMMON}`,
  hold: `Usage: muniment hold list | show ID | place TARGET --reason TEXT | lift ID --reason TEXT   [--json]
  TARGET is Organization, Patient/ID, or DocumentReference/ID, Media/ID, List/ID, Binary/ID
${COMMON}`,
  purge: `Usage: muniment purge list | show ID | request REFERENCE --reason TEXT | approve ID --reason TEXT | withdraw ID --reason TEXT   [--json]
  requested by one administrator, approved by another, after the retention and never under a legal hold
${COMMON}`,
};

interface Asked {
  path: string;
  body?: Record<string, string>;
}

/** undefined for words that mean nothing here. */
function askedOf(command: keyof typeof USAGES, words: readonly string[], reason: string | undefined): Asked | undefined {
  const [verb, subject] = words;
  if (command === 'retention') return words.length === 0 ? { path: 'retention?_count=1000' } : undefined;
  const place = command === 'hold' ? 'holds' : 'purges';
  if (verb === 'list' && words.length === 1) return { path: `${place}?_count=1000` };
  if (subject === undefined || words.length > 2) return undefined;
  const one = `${place}/${encodeURIComponent(subject)}`;
  if (verb === 'show') return { path: one };
  if (reason === undefined) return undefined;
  switch (`${command} ${verb}`) {
    case 'hold place': return { path: place, body: { target: subject, reason } };
    case 'hold lift': return { path: `${one}/$lift`, body: { reason } };
    case 'purge request': return { path: place, body: { reference: subject, reason } };
    case 'purge approve': return { path: `${one}/$approve`, body: { reason } };
    case 'purge withdraw': return { path: `${one}/$withdraw`, body: { reason } };
    default: return undefined;
  }
}

type Told = Record<string, unknown>;

function lineOf(one: Told): string {
  const { id, reference, target, state, class: name, until, reason, hold } = one as Record<string, string | undefined>;
  const held = hold === undefined ? '' : `  held: ${(hold as unknown as { reason: string }).reason}`;
  return [id, reference ?? target, state, name, until === undefined ? undefined : `until ${until}`, reason].filter((part) => part !== undefined).join('  ') + held;
}

function printed(answer: Told): string {
  const list = [answer['due'], answer['holds'], answer['purges']].find((value) => Array.isArray(value)) as Told[] | undefined;
  if (list === undefined) return `${lineOf(answer)}${typeof answer['certificate'] === 'string' ? `  certificate ${answer['certificate']}` : ''}`;
  return list.length === 0 ? 'There is nothing' : list.map(lineOf).join('\n');
}

async function ask(base: string, token: string, { path, body }: Asked): Promise<{ status: number; text: string }> {
  const response = await fetch(`${base.replace(/\/fhir\/?$/, '')}/admin/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'authorization': `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

export async function runRetentionCommand(command: keyof typeof USAGES, flags: readonly string[], environment: Environment): Promise<number> {
  const usage = USAGES[command];
  try {
    const { values, positionals } = parseArgs({ args: [...flags], options: { reason: { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }, allowPositionals: true });
    if (values.help) { process.stdout.write(`${usage}\n`); return 0; }
    const asked = askedOf(command, positionals, values.reason);
    const token = environment.MUNIMENT_TOKEN;
    if (asked === undefined || token === undefined) { process.stderr.write(`${asked === undefined ? '' : 'MUNIMENT_TOKEN is not set\n'}${usage}\n`); return 2; }
    const base = environment.MUNIMENT_BASE ?? await fhirBaseOf(environment, resolve(environment.DATA_DIR ?? './data'));
    const { status, text } = await ask(base, token, asked);
    const answer = JSON.parse(text) as Told;
    if (status >= 400) { process.stderr.write(values.json ? `${text}\n` : `${status}: ${typeof answer['detail'] === 'string' ? answer['detail'] : text}\n`); return 1; }
    process.stdout.write(`${values.json ? text : printed(answer)}\n`);
    return 0;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const isUsage = /^ERR_PARSE_ARGS/.test(code ?? '');
    process.stderr.write(isUsage ? `${message}\n${usage}\n` : `The server cannot be asked: ${message}\n`);
    return isUsage ? 2 : 1;
  }
}
