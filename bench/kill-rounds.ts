// Kills a server with kill -9 in the middle of parallel uploads, starts it again on the same folder, and looks whether
// everything that was answered 201 is there, byte for byte, with its AuditEvent, and whether anything half-kept shows.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { mintToken } from '../src/access/development-issuer.ts';
import { freePort, PROJECT } from './child-server.ts';

export interface KillPlan {
  rounds: number;
  uploadsAtOnce: number;
  dataDir: string;
  /** [0, 1): when in a round the kill comes. */
  random: () => number;
}

export interface KillReport {
  rounds: number;
  /** Answers of 201, Binaries and documents. */
  answered: number;
  /** What of them is missing, wrong or without its AuditEvent; empty when the promise holds. */
  broken: string[];
  /** Rows that must not be: a visible half of something. */
  halves: Record<string, number>;
  startMs: number[];
}

export interface Kept {
  path: string;
  sha256: string;
}

export interface Server {
  base: string;
  child: ChildProcess;
  token: string;
}

export async function start(dataDir: string, port: number, more: Record<string, string> = {}): Promise<{ server: Server; ms: number }> {
  const began = performance.now();
  const environment = { ...process.env, DATA_DIR: dataDir, PORT: String(port), METRICS_PORT: '0', LOG_LEVEL: 'error', ...more };
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', 'serve'], { cwd: PROJECT, env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    text += piece.toString();
    if (text.includes('Muniment is ready')) break;
  }
  if (!text.includes('Muniment is ready')) throw new Error(`The server did not start: ${text}`);
  const base = `http://localhost:${port}/fhir`;
  const token = await mintToken({ dataDir, audience: base, scope: 'user/*.cruds', org: 'demo', user: 'Practitioner/soak', roles: ['admin'], client: 'soak', ttlSeconds: 36_000 });
  return { server: { base, child, token }, ms: Math.round(performance.now() - began) };
}

async function send(server: Server, type: string, contentType: string, body: Buffer | string): Promise<{ id: string; url: string | undefined } | undefined> {
  const response = await fetch(`${server.base}/${type}`, { method: 'POST', headers: { 'authorization': `Bearer ${server.token}`, 'content-type': contentType }, body });
  const resource = (await response.json()) as { id: string; content?: { attachment: { url: string } }[] };
  return response.status === 201 ? { id: resource.id, url: resource.content?.[1]?.attachment.url } : undefined;
}

/** One client: a Binary, then a document over it with a small inline part, until the server is gone. */
async function uploadUntilGone(server: Server, kept: Kept[]): Promise<void> {
  try {
    for (;;) {
      const bytes = randomBytes(100_000 + Math.floor(Math.random() * 2_000_000));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const binary = await send(server, 'Binary', 'application/octet-stream', bytes);
      if (binary === undefined) continue;
      kept.push({ path: `Binary/${binary.id}`, sha256 });
      const inline = Buffer.from(sha256);
      const document = await send(server, 'DocumentReference', 'application/fhir+json', JSON.stringify({
        resourceType: 'DocumentReference', status: 'current', subject: { reference: 'Patient/soak' },
        content: [{ attachment: { contentType: 'application/octet-stream', url: `Binary/${binary.id}` } }, { attachment: { contentType: 'text/plain', data: inline.toString('base64') } }],
      }));
      if (document?.url !== undefined) kept.push({ path: `Binary/${document.url.split('/').at(-1)}`, sha256: createHash('sha256').update(inline).digest('hex') });
    }
  } catch {
    // The server was killed in the middle of this request: nothing was answered, so nothing is expected.
  }
}

export async function check(server: Server, { path, sha256 }: Kept): Promise<string | undefined> {
  const headers = { authorization: `Bearer ${server.token}` };
  const bytes = Buffer.from(await (await fetch(`${server.base}/${path}`, { headers })).arrayBuffer());
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) return `${path} does not have its bytes`;
  const events = (await (await fetch(`${server.base}/AuditEvent?entity=${path}&action=C`, { headers })).json()) as { entry?: unknown[] };
  return (events.entry?.length ?? 0) > 0 ? undefined : `${path} has no AuditEvent`;
}

export const HALVES = {
  'Binaries without live content': `select count(*)::int as n from resource r left join content c on c.org = r.org and c.id = r.content where r.type = 1 and c.state is distinct from 'live'`,
  'live contents without a Binary': `select count(*)::int as n from content c where state = 'live' and not exists (select from resource r where r.org = c.org and r.content = c.id)`,
  'uses of a Binary that is not there': `select count(*)::int as n from attachment_use u where not exists (select from resource r where r.org = u.org and r.type = 1 and r.id = u."binary")`,
  'versions without an access event': `select count(*)::int as n from outbox o where not exists (select from access_event e where e.org = o.org and e.id = o.event)`,
};

/** A connection as the owner of the embedded database of a server that runs on this folder. */
export async function openOwner(dataDir: string): Promise<pg.Client> {
  const password = (await readFile(join(dataDir, 'postgres', 'password'), 'utf8')).trim();
  const port = Number((await readFile(join(dataDir, 'postgres', 'pgdata', 'postmaster.pid'), 'utf8')).split('\n')[3]);
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'muniment' });
  await client.connect();
  return client;
}

export async function countHalves(dataDir: string): Promise<Record<string, number>> {
  const client = await openOwner(dataDir);
  try {
    const counts: Record<string, number> = {};
    for (const [what, query] of Object.entries(HALVES)) counts[what] = ((await client.query(query)).rows[0] as { n: number }).n;
    return counts;
  } finally { await client.end(); }
}

export async function runKillRounds(plan: KillPlan): Promise<KillReport> {
  const port = await freePort();
  const kept: Kept[] = [];
  let { server, ms } = await start(plan.dataDir, port);
  const startMs = [ms];
  for (let round = 0; round < plan.rounds; round += 1) {
    const clients = Array.from({ length: plan.uploadsAtOnce }, () => uploadUntilGone(server, kept));
    await sleep(300 + plan.random() * 1_200);
    server.child.kill('SIGKILL');
    await Promise.all(clients);
    ({ server, ms } = await start(plan.dataDir, port));
    startMs.push(ms);
  }
  const broken: string[] = [];
  for (const one of kept) {
    const fault = await check(server, one);
    if (fault !== undefined) broken.push(fault);
  }
  const halves = await countHalves(plan.dataDir);
  const ended = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  await ended;
  return { rounds: plan.rounds, answered: kept.length, broken, halves, startMs };
}
