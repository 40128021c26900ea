// What is no HTTP request that could be understood (RFC 9112 2.2, RFC 6585 5): answered on the socket and logged, for there is
// nothing in it that could be recorded as an access.
import { STATUS_CODES, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { fhirError } from '../fhir/fhir-error.ts';
import type { Logger } from '../logger.ts';
import { printOutcome } from './error-response.ts';

/** Codes of Node's parser and their status; any other fault of the parser is 400. */
const STATUS: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413, ERR_HTTP_REQUEST_TIMEOUT: 408 };
/** The client is gone: there is nobody to answer. */
const GONE: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

export function answerUnreadable(server: Server, logger: Logger): void {
  const running = new WeakMap<Duplex, ServerResponse>();
  server.on('request', (request, response) => { running.set(request.socket, response); });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const code = error.code ?? '';
    const response = running.get(socket);
    const isAnswering = response !== undefined && response.headersSent && !response.writableFinished;
    if (!GONE.has(code)) logger.info({ code, address: (socket as { remoteAddress?: string }).remoteAddress }, 'a request could not be read');
    if (socket.writable && !isAnswering && !GONE.has(code)) socket.end(answerText(STATUS[code] ?? 400));
    else socket.destroy();
  });
}

function answerText(status: number): string {
  const text = status === 431 ? 'The headers are over the limit' : status === 408 ? 'The headers did not come in time' : 'This is no HTTP request';
  const body = printOutcome(fhirError('malformed-request', text));
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'Connection: close', `Date: ${new Date().toUTCString()}`, 'Content-Type: application/fhir+json; charset=utf-8', `Content-Length: ${Buffer.byteLength(body)}`];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
