// An HTTP proxy in front of a real object store that passes bytes on as they come, and fails on purpose.
import { once } from 'node:events';
import { Agent, createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The cuts come behind the first CUT_AFTER bytes of a body: what is smaller passes. */
export type StoreFault = 'answers 500' | 'cuts uploads' | 'cuts downloads' | 'cuts each third download';
export const CUT_AFTER = 300_000;

export interface FaultyStore {
  port: number;
  fault: StoreFault | undefined;
  /** How many requests met a fault. */
  struck: number;
  stop(): Promise<void>;
}

export async function startFaultyStore(port: number): Promise<FaultyStore> {
  const agent = new Agent({ keepAlive: true });
  let downloads = 0;

  function refuse(incoming: IncomingMessage, outgoing: ServerResponse): void {
    store.struck += 1;
    incoming.resume().on('error', () => undefined).on('end', () => { outgoing.writeHead(500, { 'content-type': 'application/xml' }).end('<Error><Code>InternalError</Code></Error>'); });
  }

  /** Passes `from` on; behind CUT_AFTER bytes the client's connection is reset. */
  function pass(from: IncomingMessage, to: NodeJS.WritableStream, cutting: boolean, cut: () => void): void {
    let passed = 0;
    from.on('data', (piece: Buffer) => {
      passed += piece.length;
      if (!cutting || passed <= CUT_AFTER) return;
      store.struck += 1;
      from.pause();
      cut();
    });
    from.on('error', cut).pipe(to).on('error', cut);
  }

  const http = createServer((incoming, outgoing) => {
    const { fault } = store;
    if (fault === 'answers 500') { refuse(incoming, outgoing); return; }
    const { connection: _, expect: __, ...headers } = incoming.headers;
    const upstream = ask({ host: '127.0.0.1', port, agent, method: incoming.method, path: incoming.url, headers });
    const cut = (): void => { upstream.destroy(); incoming.socket.resetAndDestroy(); };
    const cutsAnswer = incoming.method === 'GET' && (fault === 'cuts downloads' || (fault === 'cuts each third download' && headers.range !== undefined && ++downloads % 3 === 0));
    upstream.on('error', cut).on('response', (response) => {
      const { connection: ___, ...given } = response.headers;
      outgoing.writeHead(response.statusCode ?? 502, given);
      pass(response, outgoing, cutsAnswer, cut);
    });
    incoming.on('close', () => { if (!incoming.complete) upstream.destroy(); });
    pass(incoming, upstream, fault === 'cuts uploads', cut);
  });
  const store: FaultyStore = {
    port: 0, fault: undefined, struck: 0,
    async stop() {
      http.close();
      http.closeAllConnections();
      agent.destroy();
      if (http.listening) await once(http, 'close');
    },
  };
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  store.port = (http.address() as AddressInfo).port;
  return store;
}
