// Bytes that are no HTTP request: answered, logged, and the connection is closed.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { answerUnreadable } from '../../src/http/unreadable-request.ts';

const logged: { code: string }[] = [];
const note = (fields: { code: string }): void => { logged.push(fields); };
const logger = { debug: note, info: note, warn: note, error: note };

let server: Server;

beforeAll(async () => {
  server = createServer({ maxHeaderSize: 8 * 1024 }, (request, response) => { setTimeout(() => response.end('fine'), request.url === '/slow' ? 100 : 0); });
  answerUnreadable(server, logger, 'http://localhost');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }));

async function send(bytes: string): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => { text += chunk.toString('utf8'); }).on('error', () => { /* The answer came before. */ });
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

describe('what is no HTTP request', () => {
  it.each([
    ['a bad request line', 'GET nothing\r\n\r\n', 400],
    ['a bad header', 'GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['headers over the limit', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`, 431],
    ['TLS', '\u0016\u0003\u0001', 400],
  ])('%s is answered by an OperationOutcome and logged', async (_what, bytes, status) => {
    const before = logged.length;
    const answer = await send(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/\r\nX-Content-Type-Options: nosniff\r\n/);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).issue[0].details.coding[0].code).toBe('malformed-request');
    expect(logged.slice(before).map((one) => one.code)).toEqual([expect.stringMatching(/^HPE_/)]);
  });

  it('behind a request that came whole leaves that its answer, and ends the connection: more bytes than were announced, too', async () => {
    for (const rest of ['def', 'nonsense\r\n\r\n']) {
      const answer = await send(`POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc${rest}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*\r\nConnection: close\r\n[^]*fine$/);
    }
  });

  it('does not spoil the answer before it on the same connection', async () => {
    expect(await send('GET / HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 [^]*fine/);
  });
});
