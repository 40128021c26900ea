// `muniment files`, `muniment jobs` and `muniment quota`: what administrators look at and mend, from a terminal.
import { ASKING_USAGE, runAskingCommand, type Asked, type AskingCommand, type Flags, type Told } from './asking-command.ts';
import type { Environment } from './config/env.ts';

const LINK_FLAGS = ['document', 'patient', 'encounter', 'category', 'title', 'reason'] as const;

const members = (given: Readonly<Record<string, string | undefined>>): Record<string, string> => Object.fromEntries(Object.entries(given).filter((pair): pair is [string, string] => pair[1] !== undefined));

function askFiles([verb, id, ...more]: readonly string[], flags: Flags): Asked | undefined {
  if (more.length > 0) return undefined;
  if (verb === 'events' && id === undefined) return { path: `file-events?_count=1000${flags['after'] === undefined ? '' : `&after=${encodeURIComponent(flags['after'])}`}` };
  if ((verb === 'list' || verb === 'unlinked') && id === undefined) return { path: `files?_count=1000${verb === 'unlinked' ? '&linked=no' : ''}` };
  if (id === undefined) return undefined;
  const one = encodeURIComponent(id);
  if (verb === 'find') return { path: `files?fileId=${one}` };
  if (verb === 'show') return { path: `files/${one}` };
  const { document, patient, encounter, category, title, reason } = flags;
  if (verb !== 'link' || reason === undefined || (document === undefined) === (patient === undefined)) return undefined;
  return { path: `files/${one}/$link`, body: members({ document, patient_id: patient, encounter_id: encounter, category, title, reason }) };
}

const list = (value: unknown): Told[] => (Array.isArray(value) ? value as Told[] : []);
/** A text or number of an answer as it is shown. */
const text = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '');
const words = (...parts: unknown[]): string => parts.map(text).filter((part) => part !== '').join('  ');

const fileLine = ({ id, state, content_type: type, size, documents, document }: Told): string =>
  words(id, state, type, `${text(size)} bytes`, typeof document === 'string' ? `linked to ${document}` : list(documents).length === 0 ? 'no document' : list(documents).map(text).join(', '));

const jobLine = ({ name, of, organisation, state, done, total, started, ended }: Told): string =>
  words(name, of, organisation, state, total === null ? done : `${text(done)} of ${text(total)}`, started === null ? '' : `since ${text(started)}`, ended === null ? '' : `until ${text(ended)}`);

const eventLine = ({ at, event, content, binary, document }: Told): string => words(at, event, binary ?? content, document);
/** The events, and behind which change the next call goes on. */
const eventLines = (answer: Told): string => [...list(answer['events']).map(eventLine), `--after ${/after=([^&]*)/.exec(text(answer['next']))?.[1] ?? ''}`].join('\n');

const lines = (found: readonly Told[], line: (one: Told) => string): string => (found.length === 0 ? 'There is nothing' : found.map(line).join('\n'));

const whole = (word: string): number | null | undefined => (word === 'none' ? null : /^\d{1,15}$/.test(word) ? Number(word) : undefined);

function askQuota([verb, org, ...more]: readonly string[], { bytes, count }: Flags): Asked | undefined {
  if (verb === undefined) return { path: 'quota' };
  if (more.length > 0 || org === undefined) return undefined;
  const path = `organisations/${encodeURIComponent(org)}`;
  if (verb === 'show') return { path };
  const bounds = { ...(bytes === undefined ? {} : { quotaBytes: whole(bytes) }), ...(count === undefined ? {} : { quotaCount: whole(count) }) };
  return verb !== 'set' || Object.keys(bounds).length === 0 || Object.values(bounds).includes(undefined) ? undefined : { path, method: 'PATCH', body: bounds };
}

const bound = (value: unknown): string => (value === null || value === undefined ? 'no bound' : text(value));

const COMMANDS = {
  files: {
    usage: `Usage: muniment files list | unlinked | find ID | show ID   [--json]
       muniment files events [--after CURSOR]   what happens to files, and the CURSOR of the next call
       muniment files link ID --reason TEXT (--document ID | --patient ID [--encounter ID] [--category C] [--title TEXT])
  ID is that of a Binary or of its content, the number of a patient's file, or the handle of an upload
${ASKING_USAGE}`,
    flags: [...LINK_FLAGS, 'after'],
    askedOf: askFiles,
    printed: (answer) => (Array.isArray(answer['events']) ? eventLines(answer) : Array.isArray(answer['files']) ? lines(list(answer['files']), fileLine) : fileLine(answer)),
  },
  jobs: {
    usage: `Usage: muniment jobs [--json]
  lists what goes on in the background, and how far it is
${ASKING_USAGE}`,
    flags: [],
    askedOf: (given) => (given.length === 0 ? { path: 'jobs' } : undefined),
    printed: (answer) => lines(list(answer['jobs']), jobLine),
  },
  quota: {
    usage: `Usage: muniment quota | quota show ORG | quota set ORG [--bytes N|none] [--count N|none]   [--json]
  without words: what the organisation of the token holds of what it may
${ASKING_USAGE}`,
    flags: ['bytes', 'count'],
    askedOf: askQuota,
    printed: ({ organisation, name, bytes, count, quotaBytes, quotaCount }) => words(organisation ?? name, bytes === undefined ? '' : `holds ${text(bytes)} bytes in ${text(count)} contents`, `may hold ${bound(quotaBytes)} (bytes), ${bound(quotaCount)} (contents)`),
  },
} as const satisfies Record<string, AskingCommand>;

export type AdminCommand = keyof typeof COMMANDS;

export const runAdminCommand = (command: AdminCommand, flags: readonly string[], environment: Environment): Promise<number> => runAskingCommand(COMMANDS[command], flags, environment);
