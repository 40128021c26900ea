// What is no HTTP request that could be understood (RFC 9112 2.2, RFC 6585 5): answered on the socket and logged, for there is
// nothing in it that could be recorded as an access.
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { fhirError } from '../fhir/fhir-error.ts';
import type { Logger } from '../logger.ts';
import { alwaysHeaders } from './answer-headers.ts';
import { printOutcome } from './error-response.ts';

/** Codes of Node's parser and their status; any other fault of the parser is 400. */
const STATUS: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413, ERR_HTTP_REQUEST_TIMEOUT: 408 };
/** The client is gone: there is nobody to answer. */
const GONE: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);
/** Without a handshake there is no way to answer that the other side would understand. */
const NO_HANDSHAKE = /^ERR_(SSL|TLS)_/;

export function answerUnreadable(server: Server | TlsServer, logger: Logger, baseUrl: string): void {
  const always = Object.entries(alwaysHeaders(baseUrl)).map(([name, value]) => `${name}: ${value}`);
  const running = new WeakMap<Duplex, { request: IncomingMessage; response: ServerResponse }>();
  server.on('request', (request, response) => { running.set(request.socket, { request, response }); });
  // RFC 9110 10.1.1: an expectation that nobody can meet.
  server.on('checkExpectation', (_request, response: ServerResponse) => { response.writeHead(417, { ...alwaysHeaders(baseUrl), 'Content-Length': '0' }).end(); });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const code = error.code ?? '';
    const { request, response } = running.get(socket) ?? {};
    const isAnswering = response !== undefined && response.headersSent && !response.writableFinished;
    if (!GONE.has(code)) logger.info({ code, address: (socket as { remoteAddress?: string }).remoteAddress }, 'a request could not be read');
    // What follows a request that came whole is not its fault: it gets the answer that it is owed, and the connection ends.
    if (socket.writable && request?.complete === true && response?.writableFinished === false && !GONE.has(code)) endBehind(response, socket);
    else if (socket.writable && !isAnswering && !GONE.has(code) && !NO_HANDSHAKE.test(code)) socket.end(answerText(STATUS[code] ?? 400, always));
    else socket.destroy();
  });
}

function endBehind(response: ServerResponse, socket: Duplex): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
  response.once('finish', () => { socket.end(); });
}

function answerText(status: number, always: readonly string[]): string {
  const text = status === 431 ? 'The headers are over the limit' : status === 408 ? 'The headers did not come in time' : 'This is no HTTP request';
  const body = printOutcome(fhirError('malformed-request', text));
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'Connection: close', `Date: ${new Date().toUTCString()}`, 'Content-Type: application/fhir+json; charset=utf-8', `Content-Length: ${Buffer.byteLength(body)}`, ...always];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
