// Kills servers with kill -9 in the middle of parallel reads and starts them again on the same database: of whatever an answer
// began to come, the event must be there. The log over all rounds is verified at the end.
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './child-server.ts';
import { openOwner, start, type Server } from './kill-rounds.ts';

export interface ReadKillPlan {
  rounds: number;
  readersAtOnce: number;
  dataDir: string;
  /** [0, 1): what is read, and when in a round the kill comes. */
  random: () => number;
  tell?: (line: string) => void;
}

export interface ReadKillReport {
  rounds: number;
  /** Answers of which at least the first line came, by status. */
  answered: Record<string, number>;
  /** Requests that were under way when the server was killed, and of them those that were recorded and never answered. */
  cut: number;
  recordedUnanswered: number;
  /** X-Request-Id of each answer without its events; empty when the promise holds. */
  lost: string[];
  /** Events of requests that nobody made. */
  strange: number;
  events: number;
}

interface Asked {
  requestId: string;
  status: number | undefined;
}

interface Shelf { document: string; deleted: string; bytes: string }

async function post(server: Server, type: string, contentType: string, body: Buffer | string): Promise<string> {
  const response = await fetch(`${server.base}/${type}`, { method: 'POST', headers: { 'authorization': `Bearer ${server.token}`, 'content-type': contentType }, body });
  if (response.status !== 201) throw new Error(`${type} was answered ${response.status}`);
  return ((await response.json()) as { id: string }).id;
}

async function fill(server: Server): Promise<Shelf> {
  const document = (): Promise<string> => post(server, 'DocumentReference', 'application/fhir+json', JSON.stringify({
    resourceType: 'DocumentReference', status: 'current', subject: { reference: 'Patient/soak' }, content: [{ attachment: { contentType: 'text/plain', data: 'QQ==' } }],
  }));
  const shelf = { document: await document(), deleted: await document(), bytes: await post(server, 'Binary', 'application/octet-stream', randomBytes(3_000_000)) };
  await (await fetch(`${server.base}/DocumentReference/${shelf.deleted}`, { method: 'DELETE', headers: { authorization: `Bearer ${server.token}` } })).arrayBuffer();
  return shelf;
}

const READS: readonly ((shelf: Shelf) => { path: string; method?: string; headers?: Record<string, string> })[] = [
  ({ document }) => ({ path: `DocumentReference/${document}` }),
  ({ document }) => ({ path: `DocumentReference/${document}`, method: 'HEAD' }),
  ({ document }) => ({ path: `DocumentReference/${document}/_history/1`, headers: { 'if-none-match': 'W/"1"' } }),
  ({ document }) => ({ path: `DocumentReference/${document}/_history` }),
  ({ deleted }) => ({ path: `DocumentReference/${deleted}` }),
  () => ({ path: 'DocumentReference/of-nobody' }),
  () => ({ path: 'DocumentReference?patient=Patient/soak&_count=5' }),
  ({ bytes }) => ({ path: `Binary/${bytes}` }),
  ({ bytes }) => ({ path: `Binary/${bytes}`, headers: { range: 'bytes=100-200' } }),
  () => ({ path: 'DocumentReference?date=yesterday' }),
];

/** What counts as answered is the first line of the answer, whatever comes of the rest. */
function ask(server: Server, agent: Agent, shelf: Shelf, random: () => number): Promise<Asked> {
  const requestId = randomUUID();
  const { path, method = 'GET', headers = {} } = (READS[Math.floor(random() * READS.length)] as (typeof READS)[number])(shelf);
  return new Promise((resolve) => {
    let status: number | undefined;
    const done = (): void => { resolve({ requestId, status }); };
    const asked = httpRequest(`${server.base}/${path}`, { agent, method, headers: { 'authorization': `Bearer ${server.token}`, 'x-request-id': requestId, ...headers } }, (response) => {
      status = response.statusCode;
      response.on('error', done).on('close', done).resume();
    });
    asked.on('error', done).end();
  });
}

async function readUntilGone(server: Server, shelf: Shelf, random: () => number, asked: Asked[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (server.child.exitCode === null && server.child.signalCode === null) asked.push(await ask(server, agent, shelf, random));
  agent.destroy();
}

async function lookUp(dataDir: string, asked: readonly Asked[], report: ReadKillReport): Promise<void> {
  const owner = await openOwner(dataDir);
  try {
    const { rows } = await owner.query<{ request_id: string }>('select distinct request_id from access_event where request_id = any($1)', [asked.map(({ requestId }) => requestId)]);
    const recorded = new Set(rows.map((row) => row.request_id));
    for (const { requestId, status } of asked) {
      if (status === undefined) report.cut += 1; else report.answered[status] = (report.answered[status] ?? 0) + 1;
      if (status !== undefined && !recorded.has(requestId)) report.lost.push(requestId);
      if (status === undefined && recorded.has(requestId)) report.recordedUnanswered += 1;
    }
  } finally { await owner.end(); }
}

async function count(dataDir: string, query: string): Promise<number> {
  const owner = await openOwner(dataDir);
  try {
    return ((await owner.query<{ n: number }>(query)).rows[0] as { n: number }).n;
  } finally { await owner.end(); }
}

/** Answers when the last server has ended, its log sealed: `muniment verify` can be asked then. */
export async function runReadKills({ rounds, readersAtOnce, dataDir, random, tell }: ReadKillPlan): Promise<ReadKillReport> {
  const port = await freePort();
  let { server } = await start(dataDir, port);
  const shelf = await fill(server);
  const report: ReadKillReport = { rounds, answered: {}, cut: 0, recordedUnanswered: 0, lost: [], strange: 0, events: 0 };
  const before = await count(dataDir, 'select count(distinct request_id)::int as n from access_event');
  for (let round = 0; round < rounds; round += 1) {
    const asked: Asked[] = [];
    const readers = Array.from({ length: readersAtOnce }, () => readUntilGone(server, shelf, random, asked));
    await sleep(100 + random() * 700);
    const ended = once(server.child, 'exit');
    server.child.kill('SIGKILL');
    await Promise.all([ended, ...readers]);
    ({ server } = await start(dataDir, port));
    await lookUp(dataDir, asked, report);
    tell?.(`round ${round + 1}: ${asked.length} asked, ${report.lost.length} lost so far`);
  }
  const requests = await count(dataDir, 'select count(distinct request_id)::int as n from access_event');
  report.events = await count(dataDir, 'select count(*)::int as n from access_event');
  const known = Object.values(report.answered).reduce((sum, one) => sum + one, 0) - report.lost.length + report.recordedUnanswered;
  report.strange = requests - before - known;
  const ended = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  await ended;
  return report;
}
