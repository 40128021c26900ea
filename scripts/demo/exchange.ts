// One HTTP exchange, as a plain client makes it: bytes leave and arrive in pieces and are hashed on the way.
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface Ask {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  headers?: Record<string, string>;
  /** Bytes to send, with their number. */
  body?: { bytes: Iterable<Buffer>; size: number };
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** X-Request-Id under which the access is found again. */
  requestId: string;
  size: number;
  sha256: Buffer;
  /** The first bytes, as many as FHIR JSON and a range of 1 MiB have. */
  head: Buffer;
  /** From the first byte sent to the last one received. */
  ms: number;
}

const HEAD_BYTES = 8 * 1024 * 1024;
const SILENCE_MS = 120_000;
const plain = new Agent({ keepAlive: true });
const secure = new TlsAgent({ keepAlive: true });

async function receive(response: IncomingMessage): Promise<Pick<Answer, 'size' | 'sha256' | 'head'>> {
  const hash = createHash('sha256');
  const kept: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    hash.update(piece);
    if (size < HEAD_BYTES) kept.push(piece);
    size += piece.length;
  }
  return { size, sha256: hash.digest(), head: Buffer.concat(kept).subarray(0, HEAD_BYTES) };
}

export async function exchange(ask: Ask): Promise<Answer> {
  const requestId = randomUUID();
  const length = ask.body === undefined ? {} : { 'content-length': String(ask.body.size) };
  const headers = { ...ask.headers, ...length, 'x-request-id': requestId };
  const started = performance.now();
  const tls = ask.url.startsWith('https:');
  const request = (tls ? httpsRequest : httpRequest)(ask.url, { method: ask.method, headers, agent: tls ? secure : plain, timeout: SILENCE_MS });
  request.on('timeout', () => request.destroy(new Error(`No answer for ${SILENCE_MS / 1_000} s`)));
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  // A server may refuse before it has everything: its answer is what counts then, and not that the rest was not taken.
  const sent = pipeline(Readable.from(ask.body?.bytes ?? []), request).catch(() => answered);
  const [[response]] = await Promise.all([answered, Promise.race([sent, answered])]);
  const received = await receive(response);
  return { status: response.statusCode ?? 0, headers: response.headers, requestId, ...received, ms: performance.now() - started };
}

/** The body as JSON; undefined when it is none. */
export function jsonOf<Resource>(answer: Pick<Answer, 'head'>): Resource | undefined {
  try {
    return JSON.parse(answer.head.toString('utf8')) as Resource;
  } catch {
    return undefined;
  }
}

/** Kept connections would keep the process until the server closes them. */
export function closeConnections(): void {
  plain.destroy();
  secure.destroy();
}
