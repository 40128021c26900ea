// What the record and the log never hold: tokens, secrets in a query or a form, content of documents.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { mintToken } from '../../src/access/development-issuer.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/logger.ts';
import { startServer, type RunningServer } from '../../src/server.ts';
import { documentReference, fhirClient } from '../support/fhir-client.ts';
import { createDatabase, freePort } from '../support/start-muniment.ts';

let server: RunningServer;
let dataDir: string;
let databaseUrl: string;
let token: string;
let log = '';

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'muniment-data-'));
  databaseUrl = await createDatabase();
  const config = loadConfig({ PORT: String(await freePort()), DATA_DIR: dataDir, DATABASE_URL: databaseUrl, METRICS_PORT: '0', LOG_LEVEL: 'debug' });
  server = await startServer(config, createLogger('debug', { write: (line: string) => { log += line; } }), (reason) => { throw new Error(reason); });
  token = await mintToken({ dataDir, audience: config.fhirBase, scope: 'user/*.cruds', org: 'demo', user: 'Practitioner/demo', roles: ['admin'], client: 'muniment-cli', ttlSeconds: 600 });
});
afterAll(async () => {
  await server.stop();
  await rm(dataDir, { recursive: true, force: true });
});

it('no token, no secret of a query or a form, no signed address and no content stands in an event or in the log', async () => {
  const client = fhirClient(server.fhirBase, token);
  const secrets = { query: `q${randomUUID()}`, form: `f${randomUUID()}`, content: `c${randomUUID()}`, title: `t${randomUUID()}`, signed: `s${randomUUID()}`, header: `h${randomUUID()}` };
  const note = { contentType: 'text/plain', data: Buffer.from(secrets.content).toString('base64'), title: secrets.title };
  const { json } = await client.post('DocumentReference', documentReference({ description: secrets.title, content: [{ attachment: note }] }), {
    'x-provenance': JSON.stringify({ resourceType: 'Provenance', recorded: '2026-01-02T03:04:05Z', agent: [{ who: { display: `Bearer ${secrets.header}` } }], policy: [`urn:x:${token}`] }),
  });
  await client.get(json.content[0].attachment.url);
  await client.get(`DocumentReference/${json.id}`);
  await client.get(`DocumentReference?access_token=${secrets.query}&_count=1`);
  await client.post('DocumentReference/_search', `_count=1&access_token=${secrets.form}&client_secret=${secrets.form}`, { 'content-type': 'application/x-www-form-urlencoded' });
  await client.get(`files/${secrets.signed}`);
  await client.call('DocumentReference', { token: `${token}broken` });
  await client.call('DocumentReference', { token: null, headers: { authorization: `Basic ${Buffer.from(`u:${secrets.header}`).toString('base64')}` } });
  await client.post('DocumentReference', `{"resourceType":"DocumentReference","status":"${secrets.content}"}`, { 'content-type': 'application/fhir+json' });
  await client.post('Binary', secrets.content, { 'content-type': 'image/png' });
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  const { rows } = await database.query<{ body: string }>('select e.body from access_event e');
  await database.end();
  expect(rows.length).toBeGreaterThanOrEqual(10);
  const forms = (secret: string): string[] => [secret, Buffer.from(secret).toString('base64').slice(0, 40), encodeURIComponent(secret)];
  const told = rows.map(({ body }) => body).join('\n');
  const parts = token.split('.').slice(1);
  for (const [name, secret] of [...Object.entries(secrets), ...parts.map((part): [string, string] => ['token', part])]) {
    for (const form of forms(secret)) expect([name, told.includes(form), log.includes(form)]).toEqual([name, false, false]);
  }
});
