// An HTTP proxy in front of a real server that fails on purpose, each request by chance from a seed.
import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export const PROXY_FAULTS = [
  'latency', 'reset-before', 'reset-after', 'cut-answer', 'too-many', 'broken', 'wrong-json', 'strange-page', 'half-open', 'slow-drip', 'refused',
] as const;
export type ProxyFault = (typeof PROXY_FAULTS)[number];

export interface FaultyProxy {
  /** Without a trailing slash. */
  url: string;
  /** What goes wrong; undefined = nothing. */
  fault: ProxyFault | undefined;
  /** How many requests met a fault. */
  struck: number;
  stop(): Promise<void>;
}

/** `random` gives [0, 1); about every other request is struck. `target` is an origin. */
export async function startFaultyProxy(target: string, random: () => number): Promise<FaultyProxy> {
  const http = createServer((incoming, outgoing) => {
    void serve(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await whole(incoming);
    const fault = random() < 0.5 ? proxy.fault : undefined;
    if (fault !== undefined) proxy.struck += 1;
    if (fault === 'reset-before') return void reset(incoming.socket);
    if (fault === 'too-many') return void outgoing.writeHead(429, { 'retry-after': '1', 'content-type': 'text/plain' }).end('too many');
    if (fault === 'broken') return void outgoing.writeHead(500, { 'content-type': 'text/html' }).end('<html>broken</html>');
    // A page of something else that stands in the way, which has never heard of FHIR.
    if (fault === 'strange-page') return void outgoing.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please log in</html>');
    if (fault === 'half-open') return;
    if (fault === 'latency') await sleep(random() * 600);
    const { status, headers, answer } = await forward(incoming, body);
    if (fault === 'reset-after') return void reset(incoming.socket);
    if (fault === 'wrong-json') return void outgoing.writeHead(status, { ...headers, 'content-length': '9' }).end('{"resour');
    if (fault === 'cut-answer') {
      outgoing.writeHead(status, { ...headers, 'content-length': String(answer.length + 10) });
      outgoing.write(answer.subarray(0, answer.length / 2));
      await sleep(10);
      return void reset(incoming.socket);
    }
    if (fault === 'slow-drip') {
      outgoing.writeHead(status, { ...headers, 'content-length': String(answer.length + 100) });
      for (let count = 0; count < 40 && !outgoing.destroyed; count++, await sleep(50)) outgoing.write(' ');
      return void outgoing.destroy();
    }
    outgoing.writeHead(status, headers).end(answer);
  }

  function forward(incoming: IncomingMessage, body: Buffer): Promise<{ status: number; headers: Record<string, string | string[]>; answer: Buffer }> {
    return new Promise((resolve, reject) => {
      const { 'transfer-encoding': _, connection: __, ...headers } = incoming.headers;
      const upstream = ask(`${target}${incoming.url}`, { method: incoming.method, headers: { ...headers, host: new URL(target).host, 'content-length': body.length } }, (response) => {
        whole(response).then((answer) => {
          const { 'transfer-encoding': ___, connection: ____, ...given } = response.headers;
          resolve({ status: response.statusCode ?? 502, headers: { ...given as Record<string, string>, 'content-length': String(answer.length) }, answer });
        }, reject);
      });
      upstream.on('error', reject);
      upstream.end(body);
    });
  }

  // Refused: connections are ended before a byte is read.
  http.on('connection', (socket: Socket) => { if (proxy.fault === 'refused') socket.destroy(); });
  const proxy: FaultyProxy = {
    url: '', fault: undefined, struck: 0,
    async stop() {
      http.close();
      http.closeAllConnections();
      if (http.listening) await once(http, 'close');
    },
  };
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  proxy.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return proxy;
}

function reset(socket: Socket): void {
  socket.resetAndDestroy();
}

async function whole(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Numbers from [0, 1), the same ones for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
