// Where the demo happens: each access is made, printed, looked up in the record and, where it wrote, at the mirror.
// No access can be made here without these checks, and no step ends without one.
import type { AuditEvent, Provenance } from '@medplum/fhirtypes';
import { checkCopy, checkMirroredProvenance, checkRemoved, type Mirrored } from './check-mirror.ts';
import { checkRecord, type ExpectedRecord, type FoundRecord, type Interaction } from './check-record.ts';
import { CheckFailed, type Checks } from './checks.ts';
import { jsonOf, type Answer, type Ask } from './exchange.ts';
import type { Muniment } from './open-muniment.ts';
import { printKinds, printSpeed, printTime, unversioned, type Inks } from './paper.ts';

export interface Access extends Omit<Ask, 'url'> {
  path: string;
  /** What is accessed, for the reader. */
  label: string;
  interaction: Interaction;
  status: number;
  /** Versions that the access must have touched; of a write it is the Location. */
  touched?: (answer: Answer) => readonly string[];
  /** The demo's own checks of the answer; what it says is printed at the end of the line. */
  check?: (answer: Answer) => string;
}

export interface Stage {
  begin(title: string): void;
  perform(access: Access): Promise<Answer>;
  /** Equal accesses, whose records share their lines. */
  performAll(accesses: readonly Access[]): Promise<Answer[]>;
  /** A line of the reader's own, under the last access. */
  note(text: string): void;
  /** Ends the last step. Answers how many there were. */
  finish(): number;
}

interface Performed {
  access: Access;
  answer: Answer;
  touched: readonly string[];
  record: FoundRecord;
}

const INDENT = '      ';
const NAME_WIDTH = 47;
const UUID_SEGMENT = /\/[0-9a-f-]{36}/g;
const WRITES: Partial<Record<Interaction, ExpectedRecord['activity']>> = { create: 'CREATE', update: 'UPDATE', delete: 'DELETE' };

/** `Type/id/_history/n` of the Location header. */
export function locationOf(answer: Answer): string {
  return answer.headers.location?.split('/').slice(-4).join('/') ?? 'no Location';
}

function touchedBy(access: Access, answer: Answer): readonly string[] {
  if (access.status >= 400) return [];
  return access.touched?.(answer) ?? [locationOf(answer)];
}

function activityOf(access: Access, replayed: boolean): ExpectedRecord['activity'] {
  if (access.status >= 400 || access.interaction === 'search-type') return 'ACCESS';
  return (replayed ? undefined : WRITES[access.interaction]) ?? (access.interaction === 'create' ? 'ACCESS' : 'READ');
}

export function createStage(muniment: Muniment, checks: Checks, inks: Inks, write: (line: string) => void): Stage {
  const { mirror, identity } = muniment;
  const created = new Set<string>();
  let steps = 0;
  let checkedBefore = 0;

  function printAccess({ access, answer }: Pick<Performed, 'access' | 'answer'>, said: string): void {
    const speed = printSpeed(Math.max(access.body?.size ?? 0, answer.size), answer.ms);
    const columns = [access.method.padEnd(6), access.label.padEnd(33), inks.bold(String(answer.status)), printTime(answer.ms).padStart(8), speed.padStart(9)];
    write(`${INDENT}${columns.join(' ')}   ${inks.cyan(said)}`.trimEnd());
  }

  function printView(ids: readonly string[], kind: 'AuditEvent' | 'Provenance', columns: readonly string[]): void {
    const name = ids.length === 1 ? `${kind}/${ids[0]}` : `${ids.length} × ${kind}`;
    write(inks.dim(`${INDENT}${name.padEnd(NAME_WIDTH)}  ${columns.join('  ')}`.trimEnd()));
  }

  function printRecord(group: readonly Performed[]): void {
    const [first] = group;
    if (first === undefined) return;
    const { audit, provenance } = first.record;
    const outcome = audit.outcome === '0' ? 'success' : 'refused';
    const targets = printKinds(group.flatMap(({ record }) => record.provenance.target.map(({ reference = '' }) => reference)));
    const entities = printKinds(group.flatMap(({ record }) => entitiesOf(record.audit))) || audit.outcomeDesc?.replace(UUID_SEGMENT, '') || 'nothing found';
    printView(group.map(({ record }) => record.audit.id ?? ''), 'AuditEvent', [(audit.subtype?.[0]?.code ?? '').padEnd(16), outcome, identity.user, `→ ${entities}`]);
    printView(group.map(({ record }) => record.provenance.id ?? ''), 'Provenance', [(provenance.activity?.coding?.[0]?.code ?? '').padEnd(16), '       ', identity.user, `→ ${targets}`]);
  }

  async function checkMirror(group: readonly Performed[]): Promise<void> {
    const written = group.filter(({ access }) => access.status < 400 && WRITES[access.interaction] !== undefined);
    if (mirror === undefined || written.length === 0) return;
    const started = performance.now();
    for (const one of written) await checkMirrored(one);
    const removed = written.some(({ access }) => access.interaction === 'delete');
    const held = removed ? 'gone there too' : heldOf(jsonOf<Mirrored>(written[0]?.answer ?? { head: Buffer.alloc(0) }));
    const what = `${printKinds(written.flatMap(({ touched }) => touched))}: ${held}`;
    const provenance = mirror.provenance && written.every(({ record }) => isWrite(record.provenance)) ? ', and its Provenance' : '';
    write(inks.dim(`${INDENT}${'HAPI'.padEnd(NAME_WIDTH)}  ${what}${provenance}, after ${printTime(performance.now() - started)}`));
  }

  async function checkMirrored({ access, answer, touched, record }: Performed): Promise<void> {
    if (mirror === undefined) return;
    const [reference = ''] = touched;
    if (access.interaction === 'delete') await checkRemoved(mirror, checks, reference);
    else await checkCopy(mirror, identity.org, checks, reference, jsonOf<Mirrored>(answer) as Mirrored);
    if (mirror.provenance && isWrite(record.provenance)) await checkMirroredProvenance(mirror, identity.org, checks, record.provenance);
  }

  async function performOne(access: Access): Promise<Performed> {
    const answer = await muniment.ask(access).catch((error: unknown) => {
      throw new Error(`${access.method} ${access.path}: ${(error as Error).message}`, { cause: error });
    });
    if (answer.status !== access.status) throw new CheckFailed(`${access.method} ${access.path}: status`, access.status, `${answer.status} ${answer.head.toString('utf8')}`);
    checks.equal(`${access.method} ${access.path}: status`, answer.status, access.status);
    checks.equal(`${access.method} ${access.path}: X-Request-Id`, answer.headers['x-request-id'], answer.requestId);
    const touched = touchedBy(access, answer);
    printAccess({ access, answer }, access.check?.(answer) ?? touched.map(unversioned).join(', '));
    const replayed = access.interaction === 'create' && created.has(touched[0] ?? '');
    for (const one of touched) created.add(one);
    const record = await checkRecord(muniment, checks, answer, { interaction: access.interaction, status: access.status, touched, activity: activityOf(access, replayed) });
    return { access, answer, touched, record };
  }

  function endStep(): void {
    if (steps > 0 && checks.count === checkedBefore) throw new Error(`Step ${steps} checked nothing`);
  }

  const performAll: Stage['performAll'] = async (accesses) => {
    const group: Performed[] = [];
    for (const access of accesses) group.push(await performOne(access));
    printRecord(group);
    await checkMirror(group);
    return group.map(({ answer }) => answer);
  };

  return {
    begin(title) {
      endStep();
      steps++;
      checkedBefore = checks.count;
      write(`\n${inks.green(String(steps).padStart(3))}   ${inks.bold(title)}`);
    },
    perform: async (access) => (await performAll([access]))[0] as Answer,
    performAll,
    note(text) { write(`${INDENT}${text}`); },
    finish() {
      endStep();
      return steps;
    },
  };
}

/** The data that an AuditEvent names: not the patient, nor the outcome that it contains. */
function entitiesOf({ entity }: AuditEvent): string[] {
  return (entity ?? []).flatMap(({ what }) => (what?.reference === undefined || /^(Patient\/[^/]+$|#)/.test(what.reference) ? [] : [what.reference]));
}

/** What the copy is, in words. */
function heldOf(resource: Mirrored | undefined): string {
  if (resource === undefined || resource.resourceType === 'Binary') return 'its stub';
  return `${resource.status}, equal`;
}

function isWrite({ activity }: Provenance): boolean {
  return activity?.coding?.some(({ code }) => code === 'CREATE' || code === 'UPDATE' || code === 'DELETE') ?? false;
}
