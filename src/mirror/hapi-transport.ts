// One request over HTTP or TLS, bounded in time and bytes: a bound for the connection, one for the whole with its headers
// and its body. Nothing is followed elsewhere.
import { setMaxListeners } from 'node:events';
import { Agent as HttpAgent, request as askPlain, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as askSecure } from 'node:https';
import type { HapiSecurity } from '../config/mirror-security.ts';
import { boundedText } from './bounded-text.ts';
import { freshFile } from './fresh-file.ts';

export interface Sending {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
  timeoutMs: number;
  bytesMax: number;
  /** Ends it. */
  stop?: AbortSignal | undefined;
}

export interface Received {
  status: number;
  headers: IncomingHttpHeaders;
  /** Undefined where there is more than `bytesMax`. */
  text: string | undefined;
}

/** Rejects with an Error whose message says why there was no answer, and quotes nothing that was sent. */
export type Transport = (sending: Sending) => Promise<Received>;

/** A server that keeps connections open says for how long; shorter than what most do. */
const IDLE_MS = 4_000;

export function createTransport(security: Pick<HapiSecurity, 'cert' | 'key' | 'ca' | 'connectMs'>, orgName: string): Transport {
  const plain = new HttpAgent({ keepAlive: true, timeout: IDLE_MS });
  const secure = secureAgents(security, orgName);
  return async (sending) => {
    const agent = sending.url.startsWith('https:') ? await secure() : plain;
    try {
      return await attempt(sending, agent, security.connectMs);
    } catch (error) {
      // The server had closed a connection at the moment at which we took it up again. What we write names the version that it follows, so twice is once.
      if (error instanceof StaleConnection) return attempt(sending, agent, security.connectMs);
      throw error;
    }
  };
}

class StaleConnection extends Error {}

/** A new agent when a file has changed: connections that were made with the one before end by themselves. */
function secureAgents({ cert, key, ca }: Pick<HapiSecurity, 'cert' | 'key' | 'ca'>, orgName: string): () => Promise<TlsAgent> {
  const named = { cert: [cert, 'MIRROR_TLS_CERT'], key: [key, 'MIRROR_TLS_KEY'], ca: [ca, 'MIRROR_TLS_CA'] } as const;
  const files = Object.entries(named).flatMap(([name, [path, variable]]) => (path === undefined ? [] : [{ name, read: freshFile(path.replaceAll('{org}', orgName), variable) }]));
  let known = '';
  let agent = new TlsAgent({ keepAlive: true, timeout: IDLE_MS });
  return async () => {
    if (files.length === 0) return agent;
    const read = await Promise.all(files.map(async (file) => [file.name, await file.read()] as const));
    const texts = JSON.stringify(read);
    if (texts !== known) agent = new TlsAgent({ keepAlive: true, timeout: IDLE_MS, ...Object.fromEntries(read) });
    known = texts;
    return agent;
  };
}

async function attempt(sending: Sending, agent: HttpAgent | TlsAgent, connectMs: number): Promise<Received> {
  const { url, method, headers, body, timeoutMs, bytesMax, stop } = sending;
  const ask = url.startsWith('https:') ? askSecure : askPlain;
  const request = ask(url, { method, agent, headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) } });
  let awaited = 'connection';
  let why: Error | undefined;
  const giveUp = (reason: string): void => {
    why = new Error(reason);
    request.destroy(why);
  };
  const connecting = setTimeout(() => giveUp(`No connection within ${connectMs} ms`), connectMs);
  const whole = setTimeout(() => giveUp(`No ${awaited} within ${timeoutMs} ms`), timeoutMs);
  const end = (): void => giveUp('The server stops');
  // Whatever is in flight listens to one signal; more than ten of them are no leak.
  if (stop !== undefined) setMaxListeners(0, stop);
  stop?.addEventListener('abort', end);
  if (stop?.aborted === true) end();
  onConnected(request, () => {
    clearTimeout(connecting);
    awaited = 'answer';
  });
  try {
    const response = await answerTo(request, body);
    awaited = 'end of the answer';
    const text = await boundedText(response, bytesMax);
    // Ends what is not read to its end.
    if (text === undefined) request.destroy();
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  } catch (error) {
    request.destroy();
    const { code } = error as { code?: string };
    if (why === undefined && request.reusedSocket && awaited === 'answer' && (code === 'ECONNRESET' || code === 'EPIPE')) throw new StaleConnection(code);
    throw why ?? error;
  } finally {
    clearTimeout(connecting);
    clearTimeout(whole);
    stop?.removeEventListener('abort', end);
  }
}

function onConnected(request: ClientRequest, connected: () => void): void {
  request.once('socket', (socket) => {
    if (request.reusedSocket) connected();
    else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', connected);
  });
}

/** A failure after the headers rejects whoever reads the body. */
function answerTo(request: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.once('response', resolve);
    request.end(body);
  });
}
