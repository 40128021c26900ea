// What is readable without a token and is not recorded: metadata, $versions, SMART discovery. Like everything below
// /fhir it answers 503 while the database is gone.
import { createHash } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import { FhirError, fhirError } from '../fhir/fhir-error.ts';
import { parseTags } from '../fhir/etag.ts';
import { parseJson, printJson, type JsonObject } from '../fhir/json.ts';
import { parseSummaryForm, summarise } from '../fhir/summary.ts';
import type { FhirResponse } from '../interactions/interaction.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';
import { errorResponse } from './error-response.ts';
import { sendAnswer } from './exchange.ts';
import { presentAnswer } from './present.ts';
import { headerOf, requestIdOf } from './request-headers.ts';
import { NOT_ACCEPTABLE, wishOf, type Wish } from './wish.ts';

export interface PublicParts {
  /** Text of the CapabilityStatement. */
  capabilities: string;
  smartConfiguration: object;
  databaseAnswers: () => Promise<boolean>;
}

const FHIR_TYPES = ['application/fhir+json', 'application/fhir+xml'];

/** Below the FHIR base, with the media types that they answer. */
export const PUBLIC_ROWS = [
  { path: '/metadata', title: 'Say what the server offers (CapabilityStatement)', types: FHIR_TYPES },
  { path: '/$versions', title: 'Say which versions of FHIR are served', types: ['application/json', ...FHIR_TYPES] },
  { path: '/.well-known/smart-configuration', title: 'Say how applications sign in (SMART App Launch)', types: ['application/json'] },
] as const satisfies readonly { path: string; title: string; types: readonly string[] }[];

export const PUBLIC_PATHS: ReadonlySet<string> = new Set(PUBLIC_ROWS.map(({ path }) => path));

const MODES = new Set(['full', 'normative', 'terminology']);

export function publicRoutes(parts: PublicParts): Router {
  const router = Router({ caseSensitive: true, strict: false });
  const statement = parseJson(parts.capabilities) as JsonObject;
  const tag = `W/"${createHash('sha256').update(parts.capabilities).digest('hex').slice(0, 16)}"`;

  router.use(async (request, response, next) => {
    if (await parts.databaseAnswers()) { next(); return; }
    await send(request, response, errorResponse(fhirError('unavailable', 'The database cannot be reached', { headers: { 'Retry-After': '2' } })));
  });

  router.get('/metadata', async (request: Request, response: Response) => {
    await send(request, response, answerOrError(() => metadata(request)));
  });

  router.get('/$versions', async (request: Request, response: Response) => {
    await send(request, response, versions(request));
  });

  router.get('/.well-known/smart-configuration', async (request: Request, response: Response) => {
    await send(request, response, { status: 200, headers: { 'Content-Type': 'application/json', 'Cache-Control': 'public, max-age=60' }, body: JSON.stringify(parts.smartConfiguration) });
  });
  return router;

  function metadata(request: Request): FhirResponse {
    if (wish(request).format === undefined) throw fhirError('not-acceptable', NOT_ACCEPTABLE);
    const query = queryOf(request);
    const mode = query.get('mode');
    if (mode !== null && !MODES.has(mode)) throw fhirError('invalid-parameter', 'mode must be full, normative or terminology');
    const form = parseSummaryForm(query);
    const known = request.headers['if-none-match'];
    const headers = { 'ETag': tag, 'Content-Type': FHIR_JSON_TYPE, 'Cache-Control': 'public, max-age=60' };
    if (known !== undefined && parseTags(known).some((one) => one === '*' || one === tag.slice(3, -1))) return { status: 304, headers };
    return { status: 200, headers, body: form === undefined ? parts.capabilities : printJson(summarise(statement, form)) };
  }
}

/** R4's $versions (capabilitystatement-operation-versions.html): Parameters to who asks for FHIR, else plain JSON. */
function versions(request: Request): FhirResponse {
  if (!/fhir\+|\+fhir|xml/.test(`${request.headers.accept ?? ''} ${queryOf(request).get('_format') ?? ''}`)) {
    return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ versions: ['4.0'], default: '4.0' }) };
  }
  const parameters = { resourceType: 'Parameters', parameter: [{ name: 'version', valueString: '4.0' }, { name: 'default', valueString: '4.0' }] };
  return wish(request).format === undefined ? errorResponse(fhirError('not-acceptable', NOT_ACCEPTABLE)) : { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: JSON.stringify(parameters) };
}

function answerOrError(answer: () => FhirResponse): FhirResponse {
  try {
    return answer();
  } catch (error) {
    if (error instanceof FhirError) return errorResponse(error);
    throw error;
  }
}

function queryOf(request: Request): URLSearchParams {
  const mark = request.url.indexOf('?');
  return new URLSearchParams(mark < 0 ? '' : request.url.slice(mark + 1));
}

function wish(request: Request): Wish {
  return wishOf({ url: request.url, header: (name) => headerOf(request, name) });
}

async function send(request: Request, response: Response, answer: FhirResponse): Promise<void> {
  const shown = await presentAnswer(answer, wish(request));
  await sendAnswer(response, request.method, { ...shown, headers: { 'X-Request-Id': requestIdOf(request), 'Vary': 'Accept, Accept-Encoding', ...shown.headers } });
}
