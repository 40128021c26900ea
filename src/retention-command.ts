// `muniment retention`, `muniment hold` and `muniment purge`: what administrators do of these, from a terminal. They ask a
// running server as the person whose token it is: two people are two people here as well, and each access is recorded.
import { ASKING_USAGE, runAskingCommand, type Asked, type Told } from './asking-command.ts';
import type { Environment } from './config/env.ts';

const USAGES = {
  retention: `Usage: muniment retention [--json]
  lists what is due for review: its retention is over. Nothing is removed
${ASKING_USAGE}`,
  hold: `Usage: muniment hold list | show ID | place TARGET --reason TEXT | lift ID --reason TEXT   [--json]
  TARGET is Organization, Patient/ID, or DocumentReference/ID, Media/ID, List/ID, Binary/ID
${ASKING_USAGE}`,
  purge: `Usage: muniment purge list | show ID | request REFERENCE --reason TEXT | approve ID --reason TEXT | withdraw ID --reason TEXT   [--json]
  requested by one administrator, approved by another, after the retention and never under a legal hold
${ASKING_USAGE}`,
};

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

export function runRetentionCommand(command: keyof typeof USAGES, flags: readonly string[], environment: Environment): Promise<number> {
  return runAskingCommand({ usage: USAGES[command], flags: ['reason'], askedOf: (words, { reason }) => askedOf(command, words, reason), printed }, flags, environment);
}
