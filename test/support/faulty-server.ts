// A real HTTP server that does its work, and fails on purpose as a network or a busy server does. For fault injection
// only: what a real engine answers is proved by the real engine.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ReceivedRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string | undefined>;
  body: string;
}

export interface GivenAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

export type Fault =
  /** Works at once, answers after `ms`. */
  | { kind: 'slow'; ms: number }
  /** Works after `ms`, whether or not anybody still waits for the answer. */
  | { kind: 'late'; ms: number }
  /** Closes the connection without working. */
  | { kind: 'refuse' }
  /** Works, and closes the connection without an answer. */
  | { kind: 'forget' }
  /** Answers so without working. */
  | { kind: 'answer'; answer: GivenAnswer };

export interface FaultyServer {
  /** Without a trailing slash. */
  url: string;
  /** Decides for each request how it goes wrong; undefined = it does not. */
  fault: (request: ReceivedRequest) => Fault | undefined;
  /** Everything that was asked, in the order of arrival. */
  requests: ReceivedRequest[];
  /** Paths of writes that were in flight twice at one moment. */
  overlaps: string[];
  stop(): Promise<void>;
}

/** `work` gives the answer of a server that has no faults; `written` names what a request writes, its own path unless told. */
export async function startFaultyServer(work: (request: ReceivedRequest) => GivenAnswer, written = ({ method, path }: ReceivedRequest): string[] => (method === 'GET' ? [] : [path])): Promise<FaultyServer> {
  const writing = new Set<string>();
  const http = createServer((incoming, outgoing) => {
    void serve(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = await received(incoming);
    server.requests.push(request);
    const paths = written(request);
    server.overlaps.push(...paths.filter((path) => writing.has(path)));
    for (const path of paths) writing.add(path);
    outgoing.on('close', () => { for (const path of paths) writing.delete(path); });
    await answer(request, outgoing, server.fault(request));
  }

  async function answer(request: ReceivedRequest, outgoing: ServerResponse, fault: Fault | undefined): Promise<void> {
    if (fault?.kind === 'refuse') return void outgoing.destroy();
    if (fault?.kind === 'answer') return send(outgoing, fault.answer);
    if (fault?.kind === 'late') await sleep(fault.ms);
    const given = work(request);
    if (fault?.kind === 'forget') return void outgoing.destroy();
    if (fault?.kind === 'slow') await sleep(fault.ms);
    send(outgoing, given);
  }

  const server: FaultyServer = {
    url: '',
    fault: () => undefined,
    requests: [],
    overlaps: [],
    async stop() {
      http.close();
      http.closeAllConnections();
      if (http.listening) await once(http, 'close');
    },
  };
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  server.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return server;
}

async function received(incoming: IncomingMessage): Promise<ReceivedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers as Record<string, string | undefined>, body: Buffer.concat(chunks).toString('utf8') };
}

function send(outgoing: ServerResponse, { status, headers, body }: GivenAnswer): void {
  outgoing.writeHead(status, headers);
  outgoing.end(body);
}
