// One HTTP exchange with an object store. A streamed body gets a connection of its own, because a store may close it
// after an early refusal without saying so; a body in memory is sent once more when a kept connection turns out dead.
import http from 'node:http';
import https from 'node:https';

export interface S3Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** Text of the body, at most 64 KiB of it. */
  text: string;
  /** <Code> of an error. */
  code: string | undefined;
}

export interface S3Exchange {
  method: string;
  /** Encoded path with the query. */
  target: string;
  headers: Record<string, string>;
  body?: Buffer | AsyncIterable<Buffer>;
}

export interface S3Transport {
  exchange(request: S3Exchange): Promise<S3Answer>;
  close(): void;
}

/** How long the store may be silent while we wait for it. */
export const SILENCE_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;

class SilentStoreError extends Error {
  readonly code = 'ETIMEDOUT';
}

/** `work`, or an error after the store was silent for too long; `request` is cut then. */
async function heard<T>(work: Promise<T>, request: http.ClientRequest): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new SilentStoreError('The store is silent');
      request.destroy(error);
      reject(error);
    }, SILENCE_MS);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
}

async function sendStream(request: http.ClientRequest, body: AsyncIterable<Buffer>, answered: Promise<unknown>): Promise<void> {
  let over = false;
  answered.then(() => { over = true; }, () => { over = true; });
  try {
    for await (const part of body) {
      if (over) return;
      if (request.write(part)) continue;
      const drained = new Promise<void>((resolve) => { request.once('drain', resolve).once('close', resolve); });
      await heard(Promise.race([drained, answered.then(() => undefined, () => undefined)]), request);
    }
    if (!over) request.end();
  } catch (error) {
    request.destroy(error as Error);
    throw error;
  }
}

async function readAnswer(response: http.IncomingMessage, request: http.ClientRequest): Promise<S3Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const reading = (async () => {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= ANSWER_BYTES_MAX) chunks.push(chunk);
    }
  })();
  await heard(reading, request);
  const text = Buffer.concat(chunks).toString('utf8');
  return { status: response.statusCode ?? 0, headers: response.headers, text, code: /<Code>([^<]+)/.exec(text)?.[1] };
}

export function openTransport(endpoint: URL): S3Transport {
  const client = endpoint.protocol === 'https:' ? https : http;
  const agent = new client.Agent({ keepAlive: true, maxSockets: 64 });

  async function attempt(wish: S3Exchange): Promise<S3Answer> {
    const { body } = wish;
    const streamed = body !== undefined && !Buffer.isBuffer(body);
    const request = client.request({ hostname: endpoint.hostname, port: endpoint.port, method: wish.method, path: wish.target, headers: wish.headers, agent: streamed ? false : agent });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => { request.once('response', resolve).once('error', reject); });
    try {
      if (streamed) await sendStream(request, body, answered);
      else request.end(body);
      return await readAnswer(await heard(answered, request), request);
    } catch (error) {
      // A stream's own failure came first; what the socket said of it afterwards is heard and dropped.
      answered.catch(() => { /* Told by the error that is thrown. */ });
      throw Object.assign(error as Error, { reusedSocket: request.reusedSocket });
    }
  }

  return {
    async exchange(wish) {
      try {
        return await attempt(wish);
      } catch (error) {
        const { code, reusedSocket } = error as { code?: string; reusedSocket?: boolean };
        const mayRepeat = wish.body === undefined || Buffer.isBuffer(wish.body);
        if (mayRepeat && reusedSocket === true && /^(ECONNRESET|EPIPE)$/.test(code ?? '')) return attempt(wish);
        throw error;
      }
    },
    close: () => agent.destroy(),
  };
}
