// HTTP as bytes on a socket: what a client library would correct or hide.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RawAnswer {
  status: number;
  /** In lower case; several lines of one name joined by a line feed. */
  headers: Record<string, string>;
  body: string;
  /** Everything that came, interim answers included. */
  text: string;
  /** Code of the socket's error when the connection was reset, else undefined. */
  failure: string | undefined;
}

/** Opens a connection to the server of `base` (http://host:port/…). */
export async function openSocket(base: string): Promise<Socket> {
  const { hostname, port } = new URL(base);
  const socket = connect({ host: hostname === 'localhost' ? '127.0.0.1' : hostname, port: Number(port) });
  socket.setNoDelay(true);
  await once(socket, 'connect');
  return socket;
}

/** Request line and headers as they leave; a header may stand several times. */
export function requestHead(method: string, target: string, headers: readonly (readonly [string, string])[]): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...headers.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
}

/** The last answer in `text`, past interim ones (1xx). */
function parseAnswer(text: string, failure: string | undefined): RawAnswer {
  let rest = text;
  for (let match = /^HTTP\/1\.1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*\r\n/.exec(rest); match !== null; match = /^HTTP\/1\.1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*\r\n/.exec(rest)) rest = rest.slice(match[0].length);
  const end = rest.indexOf('\r\n\r\n');
  const [line = '', ...lines] = rest.slice(0, Math.max(end, 0)).split('\r\n');
  const headers: Record<string, string> = {};
  for (const one of lines) {
    const colon = one.indexOf(':');
    const name = one.slice(0, colon).toLowerCase();
    const value = one.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}\n${value}`;
  }
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1] ?? 0), headers, body: end < 0 ? '' : rest.slice(end + 4), text, failure };
}

function isComplete(text: string): boolean {
  const { status, headers, body } = parseAnswer(text, undefined);
  return status >= 200 && Buffer.byteLength(body, 'latin1') >= Number(headers['content-length'] ?? 0);
}

/**
 * Sends all pieces, whatever comes back meanwhile, as a client does that looks at the answer only when it has sent its
 * body. Resolves when the answer is whole, or when the connection ends.
 */
export async function exchange(base: string, pieces: Iterable<Buffer | string> | AsyncIterable<Buffer | string>, timeoutMs = 10_000): Promise<RawAnswer> {
  const socket = await openSocket(base);
  let text = '';
  let failure: string | undefined;
  const ended = new Promise<void>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => { failure = error.code ?? error.message; });
    socket.on('close', () => resolve());
    socket.on('end', () => resolve());
    socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); if (isComplete(text)) resolve(); });
  });
  for await (const piece of pieces) {
    if (socket.destroyed) break;
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), once(socket, 'close'), sleep(timeoutMs, undefined, { ref: false })]).catch(() => { /* Told by `failure`. */ });
  }
  await Promise.race([ended, sleep(timeoutMs, undefined, { ref: false })]);
  socket.destroy();
  return parseAnswer(text, failure);
}
