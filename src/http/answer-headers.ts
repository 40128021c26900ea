// The headers that every answer has, whoever wrote it (Fetch, CSP 3, RFC 6797): what an answer says itself stands.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Express } from 'express';

/** No page is made of what this server answers, and no other site embeds it, unless the answer says so. */
const ALWAYS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Permitted-Cross-Domain-Policies': 'none',
  'Cache-Control': 'no-store',
};
const YEAR_SECONDS = 31_536_000;

/** With HSTS where clients reach this server by https. */
export function alwaysHeaders(baseUrl: string): Readonly<Record<string, string>> {
  return baseUrl.startsWith('https:') ? { ...ALWAYS, 'Strict-Transport-Security': `max-age=${YEAR_SECONDS}` } : ALWAYS;
}

/**
 * Every answer of `app`, implicit ones included, passes writeHead once: there they are added. An answer with a policy of its own
 * decides about frames as well.
 */
export function addAlwaysHeaders(app: Express, baseUrl: string): void {
  const always = alwaysHeaders(baseUrl);
  const withOwnPolicy = Object.fromEntries(Object.entries(always).filter(([name]) => name !== 'X-Frame-Options'));
  const writeHead = (app.response as ServerResponse).writeHead as (this: ServerResponse, status: number, ...rest: unknown[]) => ServerResponse<IncomingMessage>;

  function complete(this: ServerResponse, status: number, ...rest: unknown[]): ServerResponse<IncomingMessage> {
    const last = rest.at(-1);
    const given = typeof last === 'object' && last !== null && !Array.isArray(last) ? (last as OutgoingHttpHeaders) : undefined;
    const ownPolicy = this.hasHeader('Content-Security-Policy') || given?.['Content-Security-Policy'] !== undefined;
    const missing = this.getHeaderNames().length === 0 ? { ...(ownPolicy ? withOwnPolicy : always) } : notYetSet(this, ownPolicy ? withOwnPolicy : always);
    if (given === undefined && rest.length > (typeof rest[0] === 'string' ? 1 : 0)) {
      // Headers as a list: what is set beforehand is joined with them.
      for (const [name, value] of Object.entries(missing)) this.setHeader(name, value);
      return writeHead.call(this, status, ...rest);
    }
    const vary = this.getHeader('Vary');
    const headers = { ...missing, ...given, ...(vary !== undefined && given?.['Vary'] !== undefined ? { Vary: `${String(given['Vary'])}, ${String(vary)}` } : {}) };
    return typeof rest[0] === 'string' ? writeHead.call(this, status, rest[0], headers) : writeHead.call(this, status, headers);
  }
  app.response.writeHead = complete as Express['response']['writeHead'];
}

function notYetSet(response: ServerResponse, headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !response.hasHeader(name)));
}
