// What everybody may read beside FHIR: the first page, the document of the API, and that document as a page. Nothing of a patient
// stands there, and nothing of it is recorded.
import { createHash } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import { parseTags } from '../fhir/etag.ts';
import { apiPage, PAGE_HEADERS, startPage } from './api-page.ts';
import { crossOrigin } from './cross-origin.ts';
import { sendAnswer } from './exchange.ts';
import { openapiDocument, type OpenapiParts } from './openapi.ts';
import { presentAnswer } from './present.ts';
import { headerOf } from './request-headers.ts';
import { wishOf } from './wish.ts';

interface OpenPage {
  headers: Readonly<Record<string, string>>;
  body: string;
  etag: string;
}

const METHODS = 'GET, HEAD, OPTIONS';

function openPage(headers: Readonly<Record<string, string>>, body: string): OpenPage {
  return { headers, body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` };
}

async function send(request: Request, response: Response, { headers, body, etag }: OpenPage): Promise<void> {
  const known = headerOf(request, 'if-none-match');
  const own = { ...headers, 'ETag': etag, 'Vary': 'Accept-Encoding' };
  const { gzip } = wishOf({ url: '', header: (name) => headerOf(request, name) });
  const isKnown = known !== undefined && (known.trim() === '*' || parseTags(known).some((tag) => `"${tag}"` === etag));
  const shown = await presentAnswer(isKnown ? { status: 304, headers: own } : { status: 200, headers: own, body }, { format: undefined, pretty: false, gzip });
  await sendAnswer(response, request.method, shown);
}

/** Printed once: the rows do not change while the server runs. */
export function openPages(parts: OpenapiParts): Router {
  const document = openapiDocument(parts);
  const pages: Readonly<Record<string, OpenPage>> = {
    '/': openPage(PAGE_HEADERS, startPage(document)),
    '/openapi': openPage(PAGE_HEADERS, apiPage(document)),
    '/openapi.json': openPage({ 'Content-Type': 'application/json', 'Cache-Control': 'no-cache', 'Cross-Origin-Resource-Policy': 'cross-origin' }, JSON.stringify(document, undefined, 1)),
  };
  const router = Router({ caseSensitive: true });
  for (const [path, page] of Object.entries(pages)) {
    router.all(path, async (request, response) => {
      if (crossOrigin(request, response)) return;
      if (request.method === 'GET' || request.method === 'HEAD') return send(request, response, page);
      response.writeHead(405, { 'Allow': METHODS, 'Content-Length': '0' });
      response.end();
    });
  }
  return router;
}
