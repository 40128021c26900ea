// After a day's worth of accesses, one of each row there is and what is refused of them, nothing that the record or the log holds
// is content of a document, a token, a signed address or a secret: not as it is, not as base64, and not inside a base64 of ours.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '../../src/logger.ts';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { withoutTables } from '../support/withheld-tables.ts';
import { adapterBook, CONTENT } from './adapter-recipes.ts';
import { recipeBook } from './route-recipes.ts';

let server: TestMuniment;
let client: FhirClient;
let token: string;
let log = '';
/** What was lent in answers: whoever knows one of these reads a file without a token. */
const lent = new Set<string>();

beforeAll(async () => {
  server = await startMuniment({ LOG_LEVEL: 'debug' }, createLogger('debug', { write: (line: string) => { log += line; } }));
  token = await server.token();
  const plain = fhirClient(server.fhirBase, token);
  const noted = (answer: Answer): Answer => {
    for (const [, secret] of answer.text.matchAll(/\/files\/([\w-]{40,})/g)) lent.add(secret ?? '');
    return answer;
  };
  client = { ...plain, call: async (path, call) => noted(await plain.call(path, call)), post: async (path, body, headers) => noted(await plain.post(path, body, headers)) };
  await aDay();
}, 240_000);
afterAll(() => server.stop());

const inline = (): Record<string, unknown> => documentReference({ description: CONTENT, content: [{ attachment: { contentType: 'text/plain', title: CONTENT, data: Buffer.from(`x${CONTENT}`).toString('base64') } }] });

async function aDay(): Promise<void> {
  const root = server.fhirBase.replace(/\/fhir$/, '');
  const rows = server.adapters.flatMap(({ prefix, routes }) => routes.map(({ method, path }) => ({ method, path: [prefix, path].filter((part) => part !== '').join('/') })));
  const book = await adapterBook(server, client);
  const failing: [string, Call][] = [];
  for (const row of rows) {
    const { path, call = {} } = await book(row);
    if (path.startsWith('files/')) lent.add(path.slice('files/'.length));
    await client.call(`${root}/${path}`, { method: row.method, ...call });
    await client.call(`${root}/${path}?access_token=${token}`, { method: row.method, ...call, token: `${token}x` });
    const again = await book(row);
    failing.push([`${root}/${again.path}`, { method: row.method, ...again.call }]);
  }
  const { success } = recipeBook(client, server.routes);
  for (const row of server.routes) {
    const { path, call } = await success(row);
    await client.call(path, call);
    await client.call(path, { ...call, token: `${token}x` });
    failing.push([path, call]);
  }
  // What fails is told to the log alone.
  await withoutTables(server, async () => { for (const [path, call] of failing) await client.call(path, call); });
  const { json } = await client.post('DocumentReference', inline());
  await client.get(`DocumentReference/${json.id}`);
  await client.get(json.content[0].attachment.url);
  await client.post('DocumentReference', { ...inline(), status: CONTENT });
  await client.post('DocumentReference', `{"status":"${CONTENT}`, { 'content-type': 'application/fhir+json' });
  await client.post('', { resourceType: 'Bundle', type: 'transaction', entry: [{ resource: { ...inline(), status: CONTENT }, request: { method: 'POST', url: 'DocumentReference' } }] });
}

/** All pages. */
async function everyPage(path: string): Promise<string[]> {
  const pages: string[] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const answer = await client.get(next);
    expect(answer.status).toBe(200);
    pages.push(answer.text);
    next = (answer.json.link as { relation: string; url: string }[]).find(({ relation }) => relation === 'next')?.url;
  }
  return pages;
}

/** With what stands in it as base64, such as the query of a search. */
const opened = (text: string): string => `${text}\n${[...text.matchAll(/"([A-Za-z0-9+/]{16,}={0,2})"/g)].map(([, encoded]) => Buffer.from(encoded ?? '', 'base64').toString('latin1')).join('\n')}`;

/** As it is, escaped, and as base64 wherever in a text it begins. */
function formsOf(secret: string): string[] {
  const encoded = [0, 1, 2].map((shift) => Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]).toString('base64').slice(shift === 0 ? 0 : 4, -4));
  return [secret, encodeURIComponent(secret), ...encoded, ...encoded.map((one) => one.replaceAll('+', '-').replaceAll('/', '_'))];
}

it('neither events, rows nor the log hold content, tokens, signed addresses or secrets of this server', async () => {
  const events = [...await everyPage('AuditEvent?date=ge2020-01-01&_count=1000'), ...await everyPage('Provenance?recorded=ge2020-01-01&_count=1000')].join('\n');
  const rows = (await server.sql<{ line: string }>('select row_to_json(e)::text as line from access_event e union all select e.body from access_event e union all select row_to_json(x)::text from access_entity x union all select row_to_json(s)::text from access_shape s')).map(({ line }) => line).join('\n');
  expect((await server.sql<{ n: number }>('select count(*)::int as n from access_event'))[0]?.n).toBeGreaterThan(400);
  const keys = await server.sql<{ value: string }>(`select encode(value, 'base64') as value from server_secret union all select encode(value, 'hex') from server_secret`);
  const pem = await readFile(join(server.dataDir, 'audit-key.pem'), 'utf8');
  const secrets: [string, string][] = [
    ['content', CONTENT], ...token.split('.').map((part, at): [string, string] => [`part ${at} of the token`, part]).slice(1), ...[...lent].map((one): [string, string] => ['a signed address', one]),
    ...keys.map(({ value }): [string, string] => ['a secret of the server', value]), ['the key of the log', pem.split('\n')[1] ?? ''], ['the password of the database', new URL(server.ownerUrl).password],
  ];
  expect(lent.size).toBeGreaterThan(5);
  expect(log).toContain('"level":50');
  const places = { events: opened(events), rows: opened(rows), log };
  const found = secrets.filter(([, secret]) => secret.length >= 8).flatMap(([name, secret]) => Object.entries(places).flatMap(([place, text]) => formsOf(secret).filter((form) => text.includes(form)).map((form) => `${name} in ${place}: …${text.slice(Math.max(0, text.indexOf(form) - 120), text.indexOf(form) + 20)}`)));
  expect(found).toEqual([]);
});
