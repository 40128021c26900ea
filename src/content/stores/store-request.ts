// One HTTP exchange with an object store. A streamed body gets a connection of its own, because a store may close it
// after an early refusal without saying so; a body in memory is sent once more when its connection broke.
import http from 'node:http';
import https from 'node:https';
import { StoreConnectionError, watchSilence, type SilenceWatch } from './store-silence.ts';

export interface StoreAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** Text of the body, at most 64 KiB of it. */
  text: string;
  /** <Code> of an error. */
  code: string | undefined;
  /** It was sent twice: the first time may have taken effect, without an answer. */
  repeated: boolean;
}

export interface StoreExchange {
  method: string;
  /** Encoded path with the query. */
  target: string;
  headers: Record<string, string>;
  /** Pieces in memory, or a stream that can be sent once. */
  body?: readonly Buffer[] | AsyncIterable<Buffer>;
  /** False for what must not be done twice; true by default where the body allows. */
  mayRepeat?: boolean;
  /** On a connection of its own: one that was kept may be closed already, which what may not be repeated would only find out by failing. */
  own?: boolean;
}

export interface StoreTransport {
  /** Raises StoreConnectionError, and what the stream of the body raised as it is. */
  exchange(request: StoreExchange): Promise<StoreAnswer>;
  /** A request without a body, whose answer of 200 or 206 is taken as it comes; any other is read. Raises StoreConnectionError, also while the bytes are taken. */
  download(request: Pick<StoreExchange, 'target' | 'headers'>): Promise<StoreAnswer & { bytes?: AsyncIterable<Buffer> }>;
  agent: http.Agent;
  close(): void;
}

const ANSWER_BYTES_MAX = 64 * 1024;
/** Written at once at most, so that a slow connection is seen to move. */
const SLICE_BYTES = 256 * 1024;

/** Closes the connections that wait for use: where one of them was broken, others are likely to be. */
export function dropIdle(agent: http.Agent): void {
  for (const idle of Object.values(agent.freeSockets)) for (const socket of idle ?? []) socket.destroy();
}

function isBroken(error: unknown): boolean {
  return /^(ECONNRESET|EPIPE|ECONNABORTED)$/.test((error as { code?: string }).code ?? '');
}

/** The answer of a request; `early` is set once the store answered or broke off, whatever is still to be sent. */
interface Pending {
  request: http.ClientRequest;
  answered: Promise<http.IncomingMessage>;
  early: boolean;
  /** Called when `early` is set; one at a time waits for it. */
  wake: () => void;
}

function begin(request: http.ClientRequest): Pending {
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', (error: NodeJS.ErrnoException) => reject(error instanceof StoreConnectionError ? error : new StoreConnectionError(error.code ?? error.message, error)));
  });
  const pending: Pending = { request, answered, early: false, wake: () => undefined };
  const stop = (): void => {
    pending.early = true;
    pending.wake();
  };
  answered.then(stop, stop);
  return pending;
}

/** `work`, or undefined once the store answers early. A race would leave one more listener at the answer each time. */
function orEarly<T>(pending: Pending, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    pending.wake = () => resolve(undefined);
    work.then(resolve, reject);
  });
}

async function write(pending: Pending, bytes: Buffer): Promise<void> {
  if (pending.early || bytes.length === 0 || pending.request.write(bytes)) return;
  await orEarly(pending, new Promise<void>((resolve) => { pending.request.once('drain', resolve); }));
}

async function sendPieces(pending: Pending, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length && !pending.early; at += SLICE_BYTES) await write(pending, piece.subarray(at, at + SLICE_BYTES));
  }
  if (!pending.early) pending.request.end();
}

/** An early answer stops the reading of the source, even while the source is waited for. */
async function sendStream(pending: Pending, body: AsyncIterable<Buffer>, watch: SilenceWatch): Promise<void> {
  const iterator = body[Symbol.asyncIterator]();
  // A refusal can come before the first byte of the source.
  pending.request.flushHeaders();
  try {
    while (!pending.early) {
      watch.pause();
      const next = await orEarly(pending, iterator.next());
      watch.resume();
      if (next === undefined) break;
      if (next.done === true) return void pending.request.end();
      await write(pending, next.value);
    }
    // Not awaited: a source that is waiting hears of it when it goes on.
    iterator.return?.().catch(() => { /* Nobody reads it any more. */ });
  } catch (error) {
    pending.request.destroy();
    throw error;
  }
}

function connectionError(error: unknown): StoreConnectionError {
  return error instanceof StoreConnectionError ? error : new StoreConnectionError((error as NodeJS.ErrnoException).code ?? 'ABORTED', error);
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size <= ANSWER_BYTES_MAX) pieces.push(piece);
    }
  } catch (error) { throw connectionError(error); }
  return Buffer.concat(pieces).toString('utf8');
}

/** While the taker does not ask, the store may be silent. */
async function* taken(response: http.IncomingMessage, watch: SilenceWatch): AsyncGenerator<Buffer> {
  try {
    watch.resume();
    for await (const piece of response as AsyncIterable<Buffer>) {
      watch.pause();
      yield piece;
      watch.resume();
    }
  } catch (error) {
    throw connectionError(error);
  } finally {
    watch.stop();
    response.destroy();
  }
}

function answerOf(response: http.IncomingMessage, text: string, repeated: boolean): StoreAnswer {
  return { status: response.statusCode ?? 0, headers: response.headers, text, code: /<Code>([^<]+)/.exec(text)?.[1], repeated };
}

export function openTransport(endpoint: URL, silenceMs: number): StoreTransport {
  const client = endpoint.protocol === 'https:' ? https : http;
  const agent = new client.Agent({ keepAlive: true, maxSockets: 64 });

  const ask = ({ method, target, headers }: Pick<StoreExchange, 'method' | 'target' | 'headers'>, kept: boolean): http.ClientRequest => client.request({
    hostname: endpoint.hostname.replace(/^\[|\]$/g, ''), port: endpoint.port, method, path: target, headers, agent: kept ? agent : false,
  });

  async function attempt(wish: StoreExchange, pieces: readonly Buffer[] | undefined, repeated: boolean): Promise<StoreAnswer> {
    const request = ask(wish, pieces !== undefined && wish.own !== true);
    const pending = begin(request);
    const watch = watchSilence(request, silenceMs);
    try {
      if (pieces !== undefined) await sendPieces(pending, pieces);
      else await sendStream(pending, wish.body as AsyncIterable<Buffer>, watch);
      const response = await pending.answered;
      return answerOf(response, await readText(response), repeated);
    } finally {
      watch.stop();
      // A body that was not sent to its end leaves a connection that nobody can use again.
      if (!request.writableEnded) request.destroy();
    }
  }

  async function begun(wish: Pick<StoreExchange, 'target' | 'headers'>, repeated: boolean): Promise<StoreAnswer & { bytes?: AsyncIterable<Buffer> }> {
    const request = ask({ ...wish, method: 'GET' }, true);
    const watch = watchSilence(request, silenceMs);
    // An answer that nobody takes to its end, or at all, is not watched for ever.
    request.once('close', watch.stop).end();
    const response = await begin(request).answered;
    if (response.statusCode !== 200 && response.statusCode !== 206) return answerOf(response, await readText(response), repeated);
    return { ...answerOf(response, '', repeated), bytes: taken(response, watch) };
  }

  return {
    async download(wish) {
      try {
        return await begun(wish, false);
      } catch (error) {
        if (!isBroken(error)) throw error;
        dropIdle(agent);
        return begun(wish, true);
      }
    },
    async exchange(wish) {
      const pieces = wish.body === undefined ? [] : Array.isArray(wish.body) ? wish.body as readonly Buffer[] : undefined;
      try {
        return await attempt(wish, pieces, false);
      } catch (error) {
        if (pieces === undefined || wish.mayRepeat === false || !isBroken(error)) throw error;
        dropIdle(agent);
        return attempt(wish, pieces, true);
      }
    },
    agent,
    close: () => agent.destroy(),
  };
}
