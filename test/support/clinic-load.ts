// A clinic at work on several servers at once: bytes of every size go in on every way, and what was taken is read again, whole and
// by range. Each answer is kept, and everything that was acknowledged is looked for afterwards.
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { documentReference } from './fhir-client.ts';

export interface ClinicServer {
  /** FHIR base. */
  base: string;
  token: string;
}

export interface ClinicAnswer {
  what: string;
  /** 0 where the connection broke before an answer. */
  status: number;
  retryAfter: boolean;
  ms: number;
  /** All bytes came that were announced. */
  whole: boolean;
  /** A byte came that is not the document's. */
  wrong: boolean;
}

export interface Clinic {
  /** Answers so far stand in the lists, all of them when `end` resolves. */
  begin(): { uploads: readonly ClinicAnswer[]; reads: readonly ClinicAnswer[]; end(): Promise<void> };
  /** What was acknowledged since the last look, and is not there byte for byte. */
  lost(): Promise<string[]>;
}

interface Kept { path: string; bytes: Buffer }
type Way = 'announced' | 'chunked' | 'inline';

const MIB = 1024 * 1024;
const BLOCK = randomBytes(16 * MIB);
const SIZES = [800, 300_000, 1_700_000, 9 * MIB] as const;
const WAYS: readonly Way[] = ['announced', 'chunked', 'announced', 'inline'];
const UPLOADERS = 4;
const READERS = 2;

function bodyOf(way: Way, bytes: Buffer): { body: Buffer | string | ReadableStream; type: string } {
  if (way === 'chunked') return { body: new Blob([bytes]).stream(), type: 'application/octet-stream' };
  if (way === 'announced') return { body: bytes, type: 'application/octet-stream' };
  return { body: JSON.stringify(documentReference({ content: [{ attachment: { contentType: 'application/octet-stream', data: bytes.toString('base64') } }] })), type: 'application/fhir+json' };
}

export function startClinic(servers: readonly ClinicServer[]): Clinic {
  const all: Kept[] = [];
  let fresh: Kept[] = [];
  let turns = 0;
  const serverOf = (turn: number): ClinicServer => servers[turn % servers.length] as ClinicServer;

  async function ask(what: string, url: string, init: RequestInit, expected: Buffer | undefined, onAnswer: (text: string) => void): Promise<ClinicAnswer> {
    const begun = performance.now();
    const answer: ClinicAnswer = { what, status: 0, retryAfter: false, ms: 0, whole: false, wrong: false };
    const pieces: Buffer[] = [];
    try {
      const response = await fetch(url, init);
      answer.status = response.status;
      answer.retryAfter = response.headers.has('retry-after');
      for await (const piece of response.body ?? []) pieces.push(Buffer.from(piece as Uint8Array));
      answer.whole = true;
    } catch { /* The connection was cut: what came counts. */ }
    answer.ms = performance.now() - begun;
    const came = Buffer.concat(pieces);
    if (answer.whole && answer.status === 201) onAnswer(came.toString('utf8'));
    if (expected !== undefined && answer.status < 300 && answer.status > 0) answer.wrong = answer.whole ? !came.equals(expected) : !came.equals(expected.subarray(0, came.length));
    return answer;
  }

  async function upload(): Promise<ClinicAnswer> {
    const turn = turns++;
    const { base, token } = serverOf(turn);
    const way = WAYS[Math.floor(turn / 3) % WAYS.length] as Way;
    // Base64 in a resource has its bound.
    const size = Math.min(SIZES[Math.floor(turn / 2) % SIZES.length] as number, way === 'inline' ? 2 * MIB : Infinity);
    const start = Math.floor(Math.random() * (BLOCK.length - size));
    const bytes = BLOCK.subarray(start, start + size);
    const { body, type } = bodyOf(way, bytes);
    const init = { method: 'POST', body, headers: { authorization: `Bearer ${token}`, 'content-type': type, accept: 'application/fhir+json', ...(way === 'inline' ? {} : { prefer: 'return=OperationOutcome' }) }, ...(way === 'chunked' ? { duplex: 'half' } : {}) } as RequestInit;
    let location = '';
    const answer = await ask(`${way} ${size}`, `${base}/${way === 'inline' ? 'DocumentReference' : 'Binary'}`, init, undefined, (text) => { location = /Binary\/[0-9a-f-]{36}/.exec(text)?.[0] ?? ''; });
    if (answer.status === 201 && location !== '') { const one = { path: location, bytes }; all.push(one); fresh.push(one); }
    return answer;
  }

  async function read(one: Kept, { base, token }: ClinicServer, ranged: boolean): Promise<ClinicAnswer> {
    const from = ranged ? Math.floor(Math.random() * one.bytes.length) : 0;
    const headers = { authorization: `Bearer ${token}`, accept: '*/*', ...(ranged ? { range: `bytes=${from}-` } : {}) };
    return ask(`read ${one.bytes.length}`, `${base}/${one.path}`, { headers }, one.bytes.subarray(from), () => undefined);
  }

  return {
    begin() {
      let working = true;
      const [uploads, reads]: [ClinicAnswer[], ClinicAnswer[]] = [[], []];
      const uploaders = Array.from({ length: UPLOADERS }, async () => { while (working) { uploads.push(await upload()); await sleep(20); } });
      const readers = Array.from({ length: READERS }, async () => {
        while (working) {
          const one = all[Math.floor(Math.random() * all.length)];
          if (one !== undefined) reads.push(await read(one, serverOf(turns), turns % 2 === 0));
          await sleep(20);
        }
      });
      return { uploads, reads, async end() { working = false; await Promise.all([...uploaders, ...readers]); } };
    },
    async lost() {
      const missing: string[] = [];
      for (const [at, one] of fresh.entries()) {
        const { status, whole, wrong } = await read(one, serverOf(at), false);
        if (status !== 200 || !whole || wrong) missing.push(`${one.path} (${createHash('sha256').update(one.bytes).digest('hex')}): ${status}`);
      }
      fresh = [];
      return missing;
    },
  };
}
