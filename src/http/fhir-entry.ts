// Everything below /fhir: from path to row of the table, through the gate, to the answer. What is not in the table
// passes the gate as well, because a refusal is an answer and is recorded.
import type { BlockList } from 'node:net';
import type { NextFunction, Request, Response } from 'express';
import { FhirError } from '../fhir/fhir-error.ts';
import type { Perform } from '../gate/perform.ts';
import type { FhirRequest } from '../interactions/interaction.ts';
import type { Logger } from '../logger.ts';
import { aim } from './aim.ts';
import { clientAddress } from './client-address.ts';
import { errorResponse } from './error-response.ts';
import { openBody, sendAnswer } from './exchange.ts';
import type { Route } from './match-route.ts';
import { presentAnswer } from './present.ts';
import { headerOf, requestIdOf } from './request-headers.ts';
import { wishOf, wishOfForm } from './wish.ts';

export interface FhirEntryParts {
  routes: readonly Route[];
  perform: Perform;
  logger: Logger;
  /** Proxies whose word on the client's address counts. */
  proxies: BlockList;
}

const HEADERS = { 'Cache-Control': 'private, no-cache', 'Vary': 'Accept, Accept-Encoding, Authorization', 'X-Content-Type-Options': 'nosniff' };

export function fhirEntry(parts: FhirEntryParts): (request: Request, response: Response, next: NextFunction) => void {
  return (request, response, next) => {
    answer(parts, request, response).catch(next);
  };
}

async function answer(parts: FhirEntryParts, request: Request, response: Response): Promise<void> {
  const requestId = requestIdOf(request);
  const shared = { ...HEADERS, 'X-Request-Id': requestId };
  const header = (name: string): string | undefined => headerOf(request, name);
  const asked = { method: request.method, url: request.url, header };
  const wish = wishOf(asked);
  const aimed = aim(parts.routes, asked);
  let waits = request.headers.expect !== undefined;
  const fhirRequest: FhirRequest = {
    requestId, method: request.method, url: request.url.replace(/^\//, ''), query: aimed.query, type: aimed.type, id: aimed.id, version: aimed.version,
    ...(aimed.compartment === undefined ? {} : { compartment: aimed.compartment }),
    address: clientAddress(request.socket.remoteAddress, header, parts.proxies), header,
    body: openBody(request, () => {
      if (waits && !response.headersSent) response.writeContinue();
      waits = false;
    }),
  };
  try {
    const access = await parts.perform(aimed.passage, fhirRequest);
    const shown = await presentAnswer(access.response, fhirRequest.form === undefined ? wish : wishOfForm(wish, fhirRequest.form));
    const end = await sendAnswer(response, request.method, { ...shown, headers: { ...shared, ...shown.headers } });
    if (end !== undefined) await access.transferEnded(end).catch((error: unknown) => parts.logger.error({ requestId, err: error }, 'the end of a transfer could not be recorded'));
  } catch (error) {
    if (!(error instanceof FhirError)) throw error;
    const refused = await presentAnswer(errorResponse(error), wish);
    // A client that waits for 100 Continue has sent nothing that would be lost; any other is listened to until it has done.
    await sendAnswer(response, request.method, { ...refused, headers: { ...shared, ...refused.headers, ...(waits ? { Connection: 'close' } : {}) } });
    if (!request.complete && !request.destroyed && !waits) throwAwayRest(request);
  }
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
