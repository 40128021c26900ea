// The headers that every answer has, whichever way it was written, and which origins may call.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { addAlwaysHeaders } from '../../src/http/answer-headers.ts';
import { allowOrigins, crossOrigin } from '../../src/http/cross-origin.ts';

const OWN_POLICY = "default-src 'self'";

function application(baseUrl: string, origins?: readonly string[]): Express {
  const app = express();
  app.disable('x-powered-by');
  addAlwaysHeaders(app, baseUrl);
  allowOrigins(app, origins);
  app.use((request, response, next) => { if (!crossOrigin(request, response)) next(); });
  app.get('/object', (_request, response) => { response.writeHead(200, { 'Content-Length': '0', 'Vary': 'Accept' }).end(); });
  app.get('/list', (_request, response) => { response.writeHead(200, ['Content-Length', '0']).end(); });
  app.get('/reason', (_request, response) => { response.writeHead(200, 'Fine', { 'Content-Length': '0' }).end(); });
  app.get('/implicit', (_request, response) => { response.setHeader('Cache-Control', 'public'); response.json({}); });
  app.get('/page', (_request, response) => { response.setHeader('Content-Security-Policy', OWN_POLICY); response.end(); });
  app.get('/bytes', (_request, response) => { response.writeHead(200, { 'Content-Security-Policy': OWN_POLICY, 'Cross-Origin-Resource-Policy': 'cross-origin' }).end(); });
  return app;
}

const running: Server[] = [];

async function serve(app: Express): Promise<string> {
  const server = createServer(app);
  running.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let open: string;
let listed: string;

beforeAll(async () => {
  open = await serve(application('http://localhost:3000'));
  listed = await serve(application('https://documents.example', ['https://app.example']));
});
afterAll(() => { for (const server of running) server.close(); });

describe('every answer', () => {
  it.each(['/object', '/list', '/reason', '/implicit', '/nothing-here'])('%s says what it is not for', async (path) => {
    const { headers } = await fetch(`${open}${path}`);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-frame-options')).toBe(path === '/nothing-here' ? null : 'DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
    expect(headers.get('cache-control')).toBe(path === '/implicit' ? 'public' : 'no-store');
    expect([headers.get('strict-transport-security'), headers.get('x-powered-by')]).toEqual([null, null]);
  });

  it('keeps a policy of its own, and decides about frames by it', async () => {
    for (const path of ['/page', '/bytes']) {
      const { headers } = await fetch(`${open}${path}`);
      expect([headers.get('content-security-policy'), headers.get('x-frame-options')]).toEqual([OWN_POLICY, null]);
      expect(headers.get('cross-origin-resource-policy')).toBe(path === '/bytes' ? 'cross-origin' : 'same-origin');
    }
  });

  it('tells browsers to come back by https alone, where clients come by https', async () => {
    expect((await fetch(`${listed}/object`)).headers.get('strict-transport-security')).toBe('max-age=31536000');
  });
});

describe('pages of other origins', () => {
  const seen = async (base: string, origin: string, method = 'GET'): Promise<(string | null)[]> => {
    const { headers } = await fetch(`${base}/object`, { method, headers: { Origin: origin } });
    return ['access-control-allow-origin', 'access-control-allow-credentials', 'vary'].map((name) => headers.get(name));
  };

  it('may all call, unless the configuration names some', async () => {
    expect(await seen(open, 'https://any.example')).toEqual(['*', null, 'Accept']);
  });

  it('may call when they are named, and no cache mixes them up', async () => {
    expect(await seen(listed, 'https://app.example')).toEqual(['https://app.example', null, 'Accept, Origin']);
    for (const stranger of ['https://other.example', 'https://app.example.evil.example', 'http://app.example', 'null']) expect(await seen(listed, stranger)).toEqual([null, null, 'Accept, Origin']);
  });

  it('are told before they send anything what they may send', async () => {
    const preflight = async (origin: string): Promise<Headers> => (await fetch(`${listed}/object`, { method: 'OPTIONS', headers: { 'Origin': origin, 'Access-Control-Request-Method': 'PUT' } })).headers;
    const allowed = await preflight('https://app.example');
    expect(allowed.get('access-control-allow-methods')).toContain('PUT');
    expect(allowed.get('access-control-allow-headers')).toContain('Idempotency-Key');
    const refused = await preflight('https://other.example');
    expect([refused.get('access-control-allow-origin'), refused.get('access-control-allow-methods')]).toEqual([null, null]);
  });
});
