// Listeners: the server's own, which drains at the end, and the one of the metrics.
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Server as NetServer, Socket } from 'node:net';
import type { Registry } from 'prom-client';
import type { Logger } from '../logger.ts';
import { createTlsServer, type TlsFiles } from './tls-server.ts';
import { answerUnreadable } from './unreadable-request.ts';

const DRAIN_MS = 30_000;
const SILENT_MS = 1_000;
const SILENCE_MS = 120_000;
const HEADERS_TIMEOUT_MS = 30_000;
const HEADER_BYTES_MAX = 32 * 1024;

export interface Listener {
  port: number;
  draining: () => boolean;
  /** Refuses new connections, lets running answers finish (30 s), then closes what is left. */
  drain(): Promise<void>;
}

export interface ListenWish {
  port: number;
  host: string;
  /** As clients see it. */
  baseUrl: string;
  tls?: TlsFiles | undefined;
  /** Milliseconds in which neither side moves a byte, while the client has something to do; 120 s. */
  silenceMs?: number;
}

/** A long upload has no time limit of its own; silence on the socket has. */
const LIMITS = { requestTimeout: 0, headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: HEADER_BYTES_MAX, keepAliveTimeout: 65_000 };

/** Raises an Error that names the port when it is taken, or says what is wrong with the certificate. */
export async function listen(handler: RequestListener, { tls, baseUrl, silenceMs = SILENCE_MS, ...address }: ListenWish, logger: Logger): Promise<Listener> {
  const secure = tls === undefined ? undefined : createTlsServer(LIMITS, tls, handler, logger);
  const server = secure?.server ?? createServer(LIMITS, handler);
  endSilence(server, silenceMs);
  server.on('checkContinue', handler);
  answerUnreadable(server, logger, baseUrl);
  const sockets = trackSockets(server);
  let draining = false;
  server.on('request', (_request, response) => {
    if (draining && !response.headersSent) response.setHeader('Connection', 'close');
  });
  await opened(server, address).catch((error: unknown) => { secure?.unwatch(); throw error; });
  return {
    port: (server.address() as { port: number }).port,
    draining: () => draining,
    async drain() {
      draining = true;
      secure?.unwatch();
      const closed = new Promise<void>((resolve) => { server.close(() => resolve()); });
      server.closeIdleConnections();
      const idle = setInterval(() => server.closeIdleConnections(), 200);
      // Nobody waits on a connection that never asked for anything.
      const silent = setTimeout(() => { for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy(); }, SILENT_MS);
      const timer = setTimeout(() => { for (const socket of sockets) socket.destroy(); }, DRAIN_MS);
      await closed;
      clearInterval(idle);
      clearTimeout(silent);
      clearTimeout(timer);
    },
  };
}

/**
 * Closes a socket on which the client neither sends nor takes anything. While we work on what was received in full, such as a
 * large file that is put together, the silence is ours, and the client waits for its answer.
 */
function endSilence(server: Server, silenceMs: number): void {
  const under = new WeakMap<Socket, { request: IncomingMessage; response: ServerResponse }>();
  const remember = (request: IncomingMessage, response: ServerResponse): void => { under.set(request.socket, { request, response }); };
  server.timeout = silenceMs;
  server.on('request', remember);
  server.on('checkContinue', remember);
  server.on('timeout', (socket: Socket) => {
    const work = under.get(socket);
    if (work === undefined || !work.request.complete || work.response.writableFinished || socket.writableLength > 0) socket.destroy();
    else socket.setTimeout(silenceMs);
  });
}

function trackSockets(server: Pick<Server, 'on'>): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return sockets;
}

function opened(server: NetServer, { port, host }: { port: number; host: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new Error(`Port ${port} is taken; set PORT to another`) : error);
    });
    server.listen({ port, host }, resolve);
  });
}

export async function serveMetrics(registry: Registry, port: number): Promise<() => Promise<void>> {
  if (port === 0) return async () => {};
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') { response.statusCode = 404; response.end(); return; }
    registry.metrics().then(
      (text) => { response.setHeader('Content-Type', registry.contentType); response.end(text); },
      () => { response.statusCode = 500; response.end(); },
    );
  });
  await opened(server, { port, host: '127.0.0.1' });
  return () => new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
