// What is readable without a token and is not recorded: metadata, $versions, SMART discovery. Like everything below
// /fhir it answers 503 while the database is gone.
import { createHash } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import { fhirError } from '../fhir/fhir-error.ts';
import { parseTags } from '../fhir/etag.ts';
import { errorResponse } from './error-response.ts';
import { sendAnswer } from './exchange.ts';
import { acceptsFhirJson } from './media-type.ts';

export interface PublicParts {
  /** Text of the CapabilityStatement. */
  capabilities: string;
  smartConfiguration: object;
  databaseAnswers: () => Promise<boolean>;
}

/** Below the FHIR base. */
export const PUBLIC_PATHS: ReadonlySet<string> = new Set(['/metadata', '/$versions', '/.well-known/smart-configuration']);

const MODES = new Set(['full', 'normative', 'terminology']);

export function publicRoutes(parts: PublicParts): Router {
  const router = Router({ caseSensitive: true, strict: false });
  const tag = `W/"${createHash('sha256').update(parts.capabilities).digest('hex').slice(0, 16)}"`;

  router.use(async (_request, response, next) => {
    if (await parts.databaseAnswers()) { next(); return; }
    await sendAnswer(response, 'GET', errorResponse(fhirError('unavailable', 'The database cannot be reached', { headers: { 'Retry-After': '2' } })));
  });

  router.get('/metadata', async (request: Request, response: Response) => {
    const { _format: format, mode } = request.query;
    if (!acceptsFhirJson(typeof format === 'string' ? format : undefined, request.headers.accept)) {
      await sendAnswer(response, request.method, errorResponse(fhirError('not-acceptable', 'This server answers in application/fhir+json')));
      return;
    }
    if (mode !== undefined && (typeof mode !== 'string' || !MODES.has(mode))) {
      await sendAnswer(response, request.method, errorResponse(fhirError('invalid-parameter', 'mode must be full, normative or terminology')));
      return;
    }
    const known = request.headers['if-none-match'];
    const same = known !== undefined && parseTags(known).includes(tag.slice(3, -1));
    await sendAnswer(response, request.method, {
      status: same ? 304 : 200,
      headers: { 'ETag': tag, 'Content-Type': 'application/fhir+json; charset=utf-8', 'Cache-Control': 'public, max-age=60' },
      body: parts.capabilities,
    });
  });

  router.get('/$versions', async (request: Request, response: Response) => {
    const asJson = request.headers.accept?.includes('fhir+json') === true;
    const body = asJson
      ? { resourceType: 'Parameters', parameter: [{ name: 'version', valueString: '4.0' }, { name: 'default', valueString: '4.0' }] }
      : { versions: ['4.0'], default: '4.0' };
    await sendAnswer(response, request.method, { status: 200, headers: { 'Content-Type': asJson ? 'application/fhir+json; charset=utf-8' : 'application/json' }, body: JSON.stringify(body) });
  });

  router.get('/.well-known/smart-configuration', async (request: Request, response: Response) => {
    await sendAnswer(response, request.method, { status: 200, headers: { 'Content-Type': 'application/json', 'Cache-Control': 'public, max-age=60' }, body: JSON.stringify(parts.smartConfiguration) });
  });
  return router;
}
