// The driver's own ceiling: answers like a FHIR server from memory, keeps nothing durable and checks nothing.
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const PAGE = 20;
const bodies = new Map<string, Buffer>();
let page = Buffer.from('{"resourceType":"Bundle","type":"searchset","entry":[]}');

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

/** The page is made once, of the first document: a search then costs the stub one write. */
function keep(body: Buffer): string {
  const id = String(bodies.size + 1);
  bodies.set(id, body);
  if (bodies.size === 1) {
    const entries = Array.from({ length: PAGE }, () => `{"resource":${body.toString('utf8')},"search":{"mode":"match"}}`);
    page = Buffer.from(`{"resourceType":"Bundle","type":"searchset","total":${PAGE},"entry":[${entries.join(',')}]}`);
  }
  return id;
}

function send(response: ServerResponse, status: number, body: Buffer, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/fhir+json', 'content-length': body.length, ...headers }).end(body);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const [, id] = /^\/fhir\/[A-Za-z]+\/([^?/]+)/.exec(request.url ?? '') ?? [];
  if (request.method === 'POST' && /^\/fhir\/?$/.test(request.url ?? '')) send(response, 200, body);
  else if (request.method === 'POST') {
    const created = keep(body);
    send(response, 201, body, { location: `/fhir/DocumentReference/${created}/_history/1`, etag: 'W/"1"' });
  } else if (id === undefined) send(response, 200, page);
  else send(response, bodies.has(id) ? 200 : 404, bodies.get(id) ?? Buffer.alloc(0));
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
