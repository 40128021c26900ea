// The order of middleware, top to bottom, as it runs.
import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response, type Router } from 'express';
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { toFhirError } from '../gate/perform.ts';
import type { Logger } from '../logger.ts';
import { addAlwaysHeaders } from './answer-headers.ts';
import { allowOrigins, crossOrigin } from './cross-origin.ts';
import { errorResponse } from './error-response.ts';
import { sendAnswer } from './exchange.ts';
import { presentAnswer } from './present.ts';
import { PUBLIC_PATHS } from './public-routes.ts';
import { headerOf, requestIdOf } from './request-headers.ts';
import { wishOf } from './wish.ts';

export interface PipelineParts {
  health: Router;
  publicFhir: Router;
  /** The first page and the document of the API. */
  pages: Router;
  fhir: RequestHandler;
  /** The ways in beside FHIR, each below its prefix. */
  adapters: readonly { prefix: string; entry: RequestHandler }[];
  /** The development authorization server, where there is one. */
  authorization?: { mount: string; answer: RequestHandler };
  baseUrl: string;
  /** Whose pages may call; undefined = everybody's. */
  corsOrigins: readonly string[] | undefined;
  observe: (request: Request, response: Response) => void;
  logger: Logger;
}

export function buildPipeline(parts: PipelineParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.set('query parser', 'simple');
  addAlwaysHeaders(app, parts.baseUrl);
  allowOrigins(app, parts.corsOrigins);

  // One layer for the path that most requests take: each layer costs as much as a look-up by key.
  app.use('/fhir', (request, response, next) => {
    parts.observe(request, response);
    if (crossOrigin(request, response)) return;
    const open = PUBLIC_PATHS.has(request.path) && (request.method === 'GET' || request.method === 'HEAD');
    (open ? parts.publicFhir : parts.fhir)(request, response, next);
  });
  for (const { prefix, entry } of parts.adapters) {
    app.use(`/${prefix}`, (request, response, next) => {
      parts.observe(request, response);
      entry(request, response, next);
    });
  }
  app.use('/health', parts.health);
  app.use(parts.pages);
  if (parts.authorization !== undefined) app.use(parts.authorization.mount, parts.authorization.answer);
  app.use(nothingHere);
  app.use(unexpected(parts.logger));
  return app;
}

async function nothingHere(request: Request, response: Response): Promise<void> {
  await sendError(request, response, fhirError('unknown-type', 'There is nothing here; the FHIR base is /fhir'));
}

async function sendError(request: Request, response: Response, error: FhirError): Promise<void> {
  const wish = wishOf({ url: request.url, header: (name) => headerOf(request, name) });
  const shown = await presentAnswer(errorResponse(error), wish);
  await sendAnswer(response, request.method, { ...shown, headers: { 'X-Request-Id': requestIdOf(request), ...shown.headers } });
}

/** The last resort: what nobody expected becomes 500 with an incident id. */
function unexpected(logger: Logger): (error: unknown, request: Request, response: Response, next: NextFunction) => Promise<void> {
  return async (error, request, response, _next) => {
    const failure = toFhirError(error, logger, requestIdOf(request));
    if (response.headersSent) { response.destroy(); return; }
    await sendError(request, response, failure);
  };
}
