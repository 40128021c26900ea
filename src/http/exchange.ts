// Express request ↔ FHIR request and response. The body is read once, with a bound in bytes; bytes leave with
// backpressure, and a transfer that ends otherwise than recorded is told to the gate.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ContentIntegrityError } from '../content/read-content.ts';
import { FhirError, fhirError } from '../fhir/fhir-error.ts';
import type { FhirResponse, RequestBody } from '../interactions/interaction.ts';
import { bodyDigest, type BodyDigest } from './body-digest.ts';
import type { BodyRoom } from './body-room.ts';
import type { WireAnswer } from './present.ts';

export interface TransferEnd {
  sent: number;
  /** True when the bytes were found wrong on the way. */
  integrity: boolean;
}

const aborted = (cause?: unknown): Error => fhirError('client-aborted', 'The client ended the transfer before the body was complete', cause === undefined ? {} : { cause });

/** What a stream holds of its body at once, at most. */
const STREAMED_BYTES = 8 * 1024 * 1024;
/** Where no length is announced it counts as so much at first, then as what came. */
const UNKNOWN_BYTES = 64 * 1024;
/** What gzip makes of text, about. */
const CODED_FACTOR = 8;

/** The body of a request. `room` is asked before its first byte; `sendContinue` answers Expect: 100-continue at the moment the body is wanted. */
export function openBody(request: IncomingMessage, sendContinue: () => void, room: BodyRoom): RequestBody {
  const { headers } = request;
  const declared = headers['content-length'];
  let hash: BodyDigest | undefined = headers['idempotency-key'] === undefined ? undefined : bodyDigest(headers['content-type']);
  let digest: Buffer | undefined;
  let received = 0;

  async function* stream(bytesMax: number, heldMax = STREAMED_BYTES): AsyncGenerator<Buffer> {
    if (declared !== undefined && Number(declared) > bytesMax) throw tooLong(bytesMax);
    const isCoded = codingOf(headers['content-encoding']) !== undefined;
    room.take(Math.min(declared === undefined ? UNKNOWN_BYTES : Number(declared) * (isCoded ? CODED_FACTOR : 1), heldMax));
    sendContinue();
    let seen = 0;
    try {
      // Whoever stops reading has still to answer: leaving the loop must not take the connection along.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        seen += chunk.length;
        received += chunk.length;
        if (seen > bytesMax) throw tooLong(bytesMax);
        if (declared === undefined) room.take(Math.min(seen, heldMax));
        hash?.update(chunk);
        yield chunk;
      }
    } catch (error) {
      if (error instanceof FhirError) throw error;
      if ((error as { code?: string }).code === 'ECONNRESET' || request.destroyed && !request.complete) throw aborted(error);
      throw error;
    }
    if (!request.complete) throw aborted();
  }

  return {
    contentType: headers['content-type'],
    contentEncoding: codingOf(headers['content-encoding']),
    length: declared === undefined ? undefined : Number(declared),
    stream,
    received: () => received,
    text: (bytesMax) => readText((most) => stream(most, bytesMax), codingOf(headers['content-encoding']), bytesMax),
    digest() {
      digest ??= (hash ?? createHash('sha256')).digest();
      hash = undefined;
      return digest;
    },
  };
}

function tooLong(bytesMax: number): Error {
  return fhirError('too-long', `The body may have ${bytesMax} bytes at most`);
}

function codingOf(header: string | undefined): string | undefined {
  const coding = header?.trim().toLowerCase();
  if (coding === undefined || coding === '' || coding === 'identity') return undefined;
  // RFC 9110 8.4.1.3: the older name of the same coding.
  return coding === 'x-gzip' ? 'gzip' : coding;
}

async function readText(stream: (bytesMax: number) => AsyncGenerator<Buffer>, coding: string | undefined, bytesMax: number): Promise<string> {
  if (coding !== undefined && coding !== 'gzip') throw fhirError('media-type', 'The body may be coded as gzip alone');
  const chunks: Buffer[] = [];
  let size = 0;
  const source = coding === undefined ? stream(bytesMax) : gunzip(stream(bytesMax));
  for await (const chunk of source) {
    size += chunk.length;
    if (size > bytesMax) throw tooLong(bytesMax);
    chunks.push(chunk);
  }
  return decodeUtf8(chunks.length === 1 ? chunks[0] as Buffer : Buffer.concat(chunks));
}

/** Decompresses while it passes: a small body that grows without end meets the bound, not the memory. */
async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const unzip = createGunzip();
  const feeding = (async () => {
    for await (const chunk of source) if (!unzip.write(chunk)) await once(unzip, 'drain');
    unzip.end();
  })().catch((error: unknown) => { unzip.destroy(error as Error); });
  try {
    yield* unzip as AsyncIterable<Buffer>;
  } catch (error) {
    if (/^Z_/.test((error as { code?: string }).code ?? '')) throw fhirError('malformed-json', 'The body is not valid gzip', { cause: error });
    throw error;
  } finally {
    unzip.destroy();
    await feeding;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw fhirError('malformed-json', 'The body is not valid UTF-8', { cause: error });
  }
}

/** One call with all headers: each setHeader of its own would be kept, checked and looked up again. */
function writeHead(response: ServerResponse, answer: FhirResponse, length: number | undefined): void {
  response.writeHead(answer.status, length === undefined ? answer.headers : { ...answer.headers, 'Content-Length': String(length) });
}

/** Sends the answer. Resolves to undefined when all of it left, else to how the transfer ended. */
export async function sendAnswer(response: ServerResponse, method: string, answer: WireAnswer): Promise<TransferEnd | undefined> {
  if (answer.stream !== undefined) return sendStream(response, method, answer);
  const bodyless = answer.status === 204 || answer.status === 304;
  // As a string the body leaves in one write with the head; as a buffer it would be a second one.
  const body = bodyless ? undefined : answer.compressed ?? answer.body ?? '';
  writeHead(response, answer, body === undefined ? undefined : Buffer.byteLength(body));
  response.end(method === 'HEAD' ? undefined : body);
  return undefined;
}

async function sendStream(response: ServerResponse, method: string, answer: FhirResponse): Promise<TransferEnd | undefined> {
  const { length, bytes } = answer.stream as NonNullable<FhirResponse['stream']>;
  writeHead(response, answer, length);
  if (method === 'HEAD') { response.end(); return undefined; }
  // What was handed to the network, not what waits in our own buffers.
  let sent = 0;
  try {
    for await (const chunk of bytes) {
      if (response.destroyed) return { sent, integrity: false };
      const isTaken = response.write(chunk, (error) => { if (error == null) sent += chunk.length; });
      if (!isTaken) await drained(response);
    }
    response.end();
    await finished(response);
    return undefined;
  } catch (error) {
    // A cut connection is the only way to say that what follows would be wrong.
    response.destroy();
    return { sent, integrity: error instanceof ContentIntegrityError };
  }
}

async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error): void => {
      response.off('drain', onDrain).off('close', onClose);
      if (error === undefined) resolve(); else reject(error);
    };
    const onDrain = (): void => settle();
    const onClose = (): void => settle(new Error('The client closed the connection'));
    response.on('drain', onDrain).on('close', onClose);
  });
}
