// The driver's side of HTTP: keep-alive connections, as little work as possible for each exchange, loopback only.
import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

export interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  /** Absolute, on loopback. */
  url: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
  /** Sent instead of `body`: this many bytes, the block over and over, between what stands before and behind them. */
  stream?: { size: number; block: Buffer; before?: Buffer; behind?: Buffer };
}

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  /** Length of the body. */
  bytes: number;
  /** The first kilobyte of a body that tells a failure. */
  text?: string;
}

export interface Connections {
  /** Resolves when the whole answer has come, whatever its status; rejects when the connection broke. */
  call(call: Call): Promise<Reply>;
  close(): void;
}

const CALL_TIMEOUT_MS = 300_000;

export function openConnections(count: number): Connections {
  const agent = new Agent({ keepAlive: true, maxSockets: count, maxFreeSockets: count });
  return {
    call: (call) => exchange(agent, call),
    close: () => agent.destroy(),
  };
}

function exchange(agent: Agent, call: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const length = call.stream === undefined ? (call.body === undefined ? undefined : Buffer.byteLength(call.body)) : call.stream.size + (call.stream.before?.length ?? 0) + (call.stream.behind?.length ?? 0);
    const headers = { ...call.headers, ...(length !== undefined && { 'content-length': String(length) }) };
    const outgoing = request(call.url, { agent, method: call.method, headers, timeout: CALL_TIMEOUT_MS });
    outgoing.on('response', (incoming) => void collect(incoming).then(resolve, reject));
    outgoing.on('timeout', () => outgoing.destroy(new Error(`No answer within ${CALL_TIMEOUT_MS} ms: ${call.method} ${call.url}`)));
    outgoing.on('error', reject);
    if (call.stream === undefined) outgoing.end(call.body);
    else pour(outgoing, call.stream);
  });
}

async function collect(incoming: IncomingMessage): Promise<Reply> {
  const status = incoming.statusCode ?? 0;
  let bytes = 0;
  let text = '';
  for await (const part of incoming as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (status >= 400 && text.length < 1_024) text += part.toString('utf8');
  }
  const head = { status, headers: incoming.headers, bytes };
  return text === '' ? head : { ...head, text };
}

/** Writes the block again and again, as fast as the other side takes it. */
function pour(outgoing: ReturnType<typeof request>, { size, block, before, behind }: NonNullable<Call['stream']>): void {
  let left = size;
  if (before !== undefined) outgoing.write(before);
  const more = (): void => {
    while (left > 0 && !outgoing.destroyed) {
      const part = left >= block.length ? block : block.subarray(0, left);
      left -= part.length;
      if (!outgoing.write(part) && left > 0) { outgoing.once('drain', more); return; }
    }
    outgoing.end(behind);
  };
  more();
}
