// Kills a server with kill -9 in the middle of a bulk upload, starts it again on the same folder, and counts what is there of it:
// every file of the form, or none; of what was answered 201 all, byte for byte.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './child-server.ts';
import { countHalves, start, type Server } from './kill-rounds.ts';

export interface BulkKillReport {
  rounds: number;
  files: number;
  /** Rounds after which all of the files were there, and those after which none was. */
  all: number;
  none: number;
  /** How many were there where it was neither. */
  parts: number[];
  /** Answered 201, and not there as a whole or with other bytes. */
  broken: string[];
  halves: Record<string, number>;
}

const FILES = 50;
const FILE_BYTES = 200_000;

interface SentForm {
  patient: string;
  digests: Set<string>;
  status: number | undefined;
}

async function upload(server: Server): Promise<SentForm> {
  const patient = randomUUID();
  const form = new FormData();
  form.append('patient_id', patient);
  const digests = new Set<string>();
  for (let index = 0; index < FILES; index += 1) {
    const bytes = randomBytes(FILE_BYTES);
    digests.add(createHash('sha256').update(bytes).digest('hex'));
    form.append('files', new Blob([new Uint8Array(bytes)], { type: 'application/octet-stream' }), `${index}.bin`);
  }
  const status = await fetch(`${server.base.replace(/\/fhir$/, '')}/documents/bulk`, { method: 'POST', headers: { authorization: `Bearer ${server.token}` }, body: form })
    .then(async (response) => { await response.arrayBuffer(); return response.status; }, () => undefined);
  return { patient, digests, status };
}

/** SHA-256 of each document of the patient. */
async function keptOf(server: Server, patient: string): Promise<string[]> {
  const headers = { authorization: `Bearer ${server.token}` };
  const root = `${server.base.replace(/\/fhir$/, '')}/documents`;
  const documents = (await (await fetch(`${root}?patient_id=${patient}&_count=1000`, { headers })).json()) as { id: string }[];
  const digests: string[] = [];
  for (const { id } of documents) digests.push(createHash('sha256').update(Buffer.from(await (await fetch(`${root}/${id}/download`, { headers })).arrayBuffer())).digest('hex'));
  return digests;
}

/** The kill falls anywhere between the first byte and the answer: `random` in [0, 1) of the time that a whole upload takes, and a little more. */
export async function runBulkKills({ rounds, dataDir, random }: { rounds: number; dataDir: string; random: () => number }): Promise<BulkKillReport> {
  const port = await freePort();
  let { server } = await start(dataDir, port);
  await upload(server);
  const began = performance.now();
  await upload(server);
  const wholeMs = performance.now() - began;
  const report: BulkKillReport = { rounds, files: FILES, all: 0, none: 0, parts: [], broken: [], halves: {} };
  for (let round = 0; round < rounds; round += 1) {
    const running = upload(server);
    await sleep(wholeMs * (0.2 + random()));
    const ended = once(server.child, 'exit');
    server.child.kill('SIGKILL');
    const [{ patient, digests, status }] = await Promise.all([running, ended]);
    ({ server } = await start(dataDir, port));
    const kept = await keptOf(server, patient);
    if (kept.length === FILES) report.all += 1; else if (kept.length === 0) report.none += 1; else report.parts.push(kept.length);
    if (kept.some((digest) => !digests.has(digest)) || (status === 201 && new Set(kept).size !== FILES)) report.broken.push(`round ${round}: ${kept.length} files, answered ${status ?? 'nothing'}`);
  }
  report.halves = await countHalves(dataDir);
  const ended = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  await ended;
  return report;
}
