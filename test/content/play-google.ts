// A server that plays Google Cloud Storage for one test: it only answers, and tells what it was asked.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ContentStore } from '../../src/content/content-store.ts';
import { openGcsStore } from '../../src/content/stores/gcs.ts';

const servers: Server[] = [];

/** Ends all of them. */
export function stopPlaying(): void {
  for (const started of servers.splice(0)) {
    started.closeAllConnections();
    started.close();
  }
}

/** They listen no longer, and what is connected stays so. */
export function stopListening(): void {
  for (const started of servers) started.close();
}

export type Behaviour = (request: IncomingMessage, response: ServerResponse, body: Buffer, asked: readonly string[]) => void;

export async function listening(behaviour: Behaviour): Promise<{ endpoint: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece)).on('end', () => {
      asked.push(`${request.method} ${request.headers['content-range'] ?? new URL(request.url ?? '', 'http://x').pathname}`);
      behaviour(request, response, Buffer.concat(pieces), asked);
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** A store on a server that answers so; `asked` has the methods, with the paths or the ranges that were sent, in their order. */
export async function storeOn(behaviour: Behaviour, silenceMs = 400): Promise<{ store: ContentStore; asked: string[] }> {
  const { endpoint, asked } = await listening(behaviour);
  return { store: openGcsStore({ name: 'gcs', endpoint, bucket: 'b', silenceMs }), asked };
}

export const json = (response: ServerResponse, status: number, value: object): void => { response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value)); };
export const refuse = (response: ServerResponse, status: number, reason: string): void => json(response, status, { error: { code: status, errors: [{ reason }] } });
export const md5Of = (bytes: Buffer): string => createHash('md5').update(bytes).digest('base64');
