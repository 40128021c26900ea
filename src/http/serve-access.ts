// One access from the wire to the gate and back: the request becomes a FhirRequest, what the gate answers leaves in the form
// of its doorway, and how a transfer ended is told to the record.
import type { BlockList, Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';
import type { Request, Response } from 'express';
import { FhirError, fhirError } from '../fhir/fhir-error.ts';
import type { Perform } from '../gate/perform.ts';
import type { FhirRequest, FhirResponse, Passage } from '../interactions/interaction.ts';
import type { Logger } from '../logger.ts';
import { cameInClear, clientAddress } from './client-address.ts';
import type { BodyRooms } from './body-room.ts';
import { openBody, sendAnswer } from './exchange.ts';
import { openEventStream } from './event-stream.ts';
import type { WireAnswer } from './present.ts';
import { headerOf } from './request-headers.ts';

const HEADERS = { 'Cache-Control': 'private, no-cache', 'Vary': 'Accept, Accept-Encoding, Authorization' };

export interface AccessParts {
  perform: Perform;
  logger: Logger;
  rooms: BodyRooms;
  /** Proxies whose word on the client's address counts. */
  proxies: BlockList;
  /** Clients reach this server by TLS alone. */
  requiresTls: boolean;
}

/** What was asked for, and the form that the answers of this doorway have. */
export interface AskedAccess {
  passage: Passage;
  asked: Pick<FhirRequest, 'requestId' | 'url' | 'query' | 'type' | 'id' | 'version' | 'compartment' | 'parameters'>;
  /** Headers of every answer, besides those that all have. */
  headers?: Record<string, string>;
  /** The client follows the progress by server-sent events. */
  events?: boolean;
  present(answer: FhirResponse, request: FhirRequest): Promise<WireAnswer>;
  refused(error: FhirError): Promise<WireAnswer>;
}

export async function serveAccess(parts: AccessParts, request: Request, response: Response, access: AskedAccess): Promise<void> {
  const headers = { ...HEADERS, ...access.headers, 'X-Request-Id': access.asked.requestId };
  const header = (name: string): string | undefined => headerOf(request, name);
  const room = parts.rooms.open();
  let waits = request.headers.expect !== undefined;
  const fhirRequest: FhirRequest = {
    ...access.asked, method: request.method, address: clientAddress(request.socket.remoteAddress, header, parts.proxies), header,
    target: request.originalUrl, certificate: () => shownCertificate(request.socket),
    body: openBody(request, () => {
      if (waits && !response.headersSent) response.writeContinue();
      waits = false;
    }, room),
  };
  const events = access.events === true ? openEventStream(response, headers) : undefined;
  if (events !== undefined) fhirRequest.progress = events.tell;
  try {
    const passage = parts.requiresTls && cameInClear(request.socket.remoteAddress, header, parts.proxies) ? inClear(access.passage) : access.passage;
    const performed = await parts.perform(passage, fhirRequest).finally(() => { room.leave(); });
    const shown = await access.present(performed.response, fhirRequest);
    if (events !== undefined) { events.end('result', shown.body); return; }
    const end = await sendAnswer(response, request.method, { ...shown, headers: { ...headers, ...shown.headers } });
    // failpoint: answered
    if (end !== undefined) await performed.transferEnded(end).catch((error: unknown) => parts.logger.error({ requestId: fhirRequest.requestId, err: error }, 'the end of a transfer could not be recorded'));
  } catch (error) {
    if (!(error instanceof FhirError)) throw error;
    const refused = await access.refused(error);
    if (events?.began() === true) { events.end('error', refused.body); return; }
    // A client that waits for 100 Continue has sent nothing that would be lost; any other is listened to until it has done.
    await sendAnswer(response, request.method, { ...refused, headers: { ...headers, ...refused.headers, ...(waits ? { Connection: 'close' } : {}) } });
    if (!request.complete && !request.destroyed && !waits) throwAwayRest(request);
  }
}

/** A refusal that is recorded like any other. The token was sent in clear, so it is not looked at; there is no redirect, which would send it once more. */
const inClear = (passage: Passage): Passage => ({ ...passage, identify: () => Promise.reject(fhirError('insecure-transport', 'Use https: this request came without TLS')) });

/** DER of what the client showed in the handshake, where it was asked and did. */
function shownCertificate(socket: Socket): Buffer | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  return (socket.getPeerCertificate() as Partial<PeerCertificate>).raw;
}

const LINGER_BYTES = 64 * 1024 * 1024;
const LINGER_MS = 5_000;

/**
 * After an early refusal the client may still be sending. Closing at once would reset the connection and take the
 * answer with it, so what comes is thrown away, bounded in bytes and in time.
 */
function throwAwayRest(request: Request): void {
  let left = LINGER_BYTES;
  const timer = setTimeout(() => request.destroy(), LINGER_MS);
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.on('end', () => clearTimeout(timer)).on('close', () => clearTimeout(timer));
  request.resume();
}
