// Kills a server at a named step of an upload (`// failpoint: NAME` in the sources), starts it again on the same folder, and looks in
// the end whether everything that was answered is there, byte for byte and recorded, and whether anything else is left.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { loadConfig } from '../src/config/config.ts';
import { takeInventory } from '../src/content/inventory.ts';
import { sweepContent } from '../src/content/sweep.ts';
import { openDatabase } from '../src/database/database.ts';
import { openConfiguredStore } from '../src/open-parts.ts';
import { freePort } from './child-server.ts';
import { check, HALVES, start, type Kept, type Server } from './kill-rounds.ts';

/** In the order in which an upload passes them. */
export const STEPS = ['authorised', 'intent-committed', 'bytes-in-part', 'bytes-stored', 'bytes-verified', 'publishing', 'published', 'answered'] as const;

export interface StepKillPlan {
  rounds: number;
  dataDir: string;
  /** postgres:// of its owner; not killed. */
  databaseUrl: string;
  random: () => number;
  tell?: (line: string) => void;
}

export interface StepKillReport {
  rounds: number;
  /** Kills by step. */
  killedAt: Record<string, number>;
  /** Rounds in which the step was not reached in time. */
  unreached: number;
  answered: number;
  /** Answered 201, and missing, wrong or without its record; and keys whose repetition made a second document. */
  broken: string[];
  halves: Record<string, number>;
  /** What two sweeps, days later, and the comparison with the store find left over. */
  left: string[];
}

const UPLOADERS = 4;
const REACH_MS = 30_000;
const FAILPOINTS = new URL('../test/support/failpoints.mjs', import.meta.url).href;
const DAY_MS = 24 * 60 * 60 * 1_000;

interface Keyed { key: string; body: string; sha256: string; patient: string }

async function post(server: Server, type: string, contentType: string, body: Buffer | string, headers: Record<string, string> = {}): Promise<{ status: number; json: { id: string; content?: { attachment: { url: string } }[] } }> {
  const response = await fetch(`${server.base}/${type}`, { method: 'POST', headers: { 'authorization': `Bearer ${server.token}`, 'content-type': contentType, ...headers }, body });
  return { status: response.status, json: (await response.json()) as { id: string } };
}

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function keyedDocument(bytes: Buffer): Keyed {
  const patient = randomUUID();
  const body = JSON.stringify({ resourceType: 'DocumentReference', status: 'current', subject: { reference: `Patient/${patient}` }, content: [{ attachment: { contentType: 'application/octet-stream', data: bytes.toString('base64') } }] });
  return { key: randomUUID(), body, sha256: sha256Of(bytes), patient };
}

const sendKeyed = (server: Server, { key, body }: Keyed): ReturnType<typeof post> => post(server, 'DocumentReference', 'application/fhir+json', body, { 'idempotency-key': key });

/** Until the server is gone: bytes as they are, and documents with a key that is repeated afterwards. */
async function uploadUntilGone(server: Server, random: () => number, kept: Kept[], keyed: Keyed[]): Promise<void> {
  try {
    for (;;) {
      const bytes = randomBytes(1 + Math.floor(random() ** 2 * 4_000_000));
      if (random() < 0.5) {
        const { status, json } = await post(server, 'Binary', 'application/octet-stream', bytes);
        if (status === 201) kept.push({ path: `Binary/${json.id}`, sha256: sha256Of(bytes) });
      } else {
        const document = keyedDocument(bytes);
        keyed.push(document);
        const { status, json } = await sendKeyed(server, document);
        if (status === 201) kept.push({ path: `Binary/${json.content?.[0]?.attachment.url.split('/').at(-1) ?? ''}`, sha256: document.sha256 });
      }
    }
  } catch { /* The server was killed: nothing was answered, so nothing is promised. */ }
}

/** Whoever got no answer asks again with the same key: there is one document then, with these bytes. */
async function repeat(server: Server, document: Keyed): Promise<string | undefined> {
  for (let tries = 0; ; tries += 1) {
    const { status, json } = await sendKeyed(server, document);
    // The lease of the one that was killed has to end first.
    if (status === 409 && tries < 60) { await sleep(1_000); continue; }
    if (status !== 201) return `the repetition of ${document.key} is ${status}`;
    const fault = await check(server, { path: `Binary/${json.content?.[0]?.attachment.url.split('/').at(-1) ?? ''}`, sha256: document.sha256 });
    const found = (await (await fetch(`${server.base}/DocumentReference?patient=${document.patient}`, { headers: { authorization: `Bearer ${server.token}` } })).json()) as { total?: number; entry?: unknown[] };
    return fault ?? (found.entry?.length === 1 ? undefined : `${document.key} made ${found.entry?.length ?? 0} documents`);
  }
}

async function countHalves(databaseUrl: string): Promise<Record<string, number>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const counts: Record<string, number> = {};
    for (const [what, query] of Object.entries(HALVES)) counts[what] = ((await client.query(query)).rows[0] as { n: number }).n;
    return counts;
  } finally { await client.end(); }
}

/** Days later, by the clock that is given: what was never published is gone, and store and table agree. */
async function leftBehind(databaseUrl: string, environment: Record<string, string>): Promise<string[]> {
  const database = openDatabase({ appUrl: databaseUrl, auditUrl: databaseUrl, workerUrl: databaseUrl, setRoles: true });
  try {
    const store = await openConfiguredStore(loadConfig(environment), database);
    for (const days of [3, 6]) await sweepContent({ database, stores: [store], now: Date.now() + days * DAY_MS, limit: 100_000 });
    const report = await takeInventory({ database, store, now: Date.now() + 30 * DAY_MS });
    const { rows } = await database.workerTransaction((tx) => tx.query<{ id: string; state: string }>(`select id, state from content where state not in ('live', 'gone')`));
    return [...(report?.complete === true ? [] : ['store and table were not compared']), ...(report?.findings ?? []).map(({ kind, key }) => `${kind} ${key}`), ...rows.map(({ id, state }) => `${id} ${state}`)];
  } finally { await database.close(); }
}

export async function runStepKills({ rounds, dataDir, databaseUrl, random, tell }: StepKillPlan): Promise<StepKillReport> {
  const port = await freePort();
  const kept: Kept[] = [];
  const keyed: Keyed[] = [];
  const report: StepKillReport = { rounds, killedAt: {}, unreached: 0, answered: 0, broken: [], halves: {}, left: [] };
  for (let round = 0; round < rounds; round += 1) {
    const step = STEPS[round % STEPS.length] as string;
    const { server } = await start(dataDir, port, { DATABASE_URL: databaseUrl, FAILPOINT: `${step}:${1 + Math.floor(random() * 12)}`, NODE_OPTIONS: `--import ${FAILPOINTS}` });
    const ended = once(server.child, 'exit') as Promise<[number | null, string | null]>;
    const late = setTimeout(() => { report.unreached += 1; server.child.kill('SIGKILL'); }, REACH_MS);
    await Promise.all([ended, ...Array.from({ length: UPLOADERS }, () => uploadUntilGone(server, random, kept, keyed))]);
    clearTimeout(late);
    report.killedAt[step] = (report.killedAt[step] ?? 0) + 1;
    for (const [what, count] of Object.entries(await countHalves(databaseUrl))) report.halves[what] = Math.max(report.halves[what] ?? 0, count);
    tell?.(`round ${round + 1}: killed at ${step}, ${kept.length} answered so far`);
  }
  const { server } = await start(dataDir, port, { DATABASE_URL: databaseUrl });
  for (const one of kept) report.broken.push(...[await check(server, one)].filter((fault) => fault !== undefined));
  for (const one of keyed) report.broken.push(...[await repeat(server, one)].filter((fault) => fault !== undefined));
  report.answered = kept.length;
  const ended = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  await ended;
  report.halves = { ...report.halves, ...Object.fromEntries(Object.entries(await countHalves(databaseUrl)).filter(([, count]) => count > 0)) };
  report.left = await leftBehind(databaseUrl, { DATA_DIR: dataDir, DATABASE_URL: databaseUrl });
  return report;
}
