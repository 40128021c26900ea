// The record handed to an audit repository over TLS: all of it arrives whatever the repository does meanwhile, and no answer waits.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const folder = mkdtempSync(join(tmpdir(), 'muniment-syslog-'));
let port: number;
let muniment: TestMuniment;
let client: FhirClient;

function makeCertificate(name: string): void {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', join(folder, `${name}-key.pem`), '-out', join(folder, `${name}.pem`)], { stdio: 'ignore' });
}

interface Repository { server: Server; messages: string[]; connections: number; close(): Promise<void> }

/** All that was opened so far: what one has, the next is not told again. */
const opened: Repository[] = [];

/** `cutAfter`: how many bytes of a connection are read before it is destroyed; messages count once they are whole. */
async function openRepository(certificate: string, cutAfter = (_connection: number): number => Infinity): Promise<Repository> {
  const sockets = new Set<TLSSocket>();
  const repository: Omit<Repository, 'close'> = { messages: [], connections: 0, server: createServer({ cert: readFileSync(join(folder, `${certificate}.pem`)), key: readFileSync(join(folder, `${certificate}-key.pem`)) }) };
  repository.server.on('secureConnection', (socket) => {
    repository.connections += 1;
    const bound = cutAfter(repository.connections);
    sockets.add(socket);
    let [held, read] = [Buffer.alloc(0), 0];
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      read += bytes.length;
      if (read > bound) socket.destroy();
      held = Buffer.concat([held, bytes]);
      for (;;) {
        const space = held.indexOf(' ');
        const length = Number(held.toString('latin1', 0, Math.max(space, 0)));
        if (space < 0 || held.length < space + 1 + length) return;
        repository.messages.push(held.toString('utf8', space + 1, space + 1 + length));
        held = held.subarray(space + 1 + length);
      }
    });
  });
  repository.server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => { repository.server.listen(port, '127.0.0.1', resolve); });
  const whole = Object.assign(repository, { close: async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => { repository.server.close(() => { resolve(); }); });
  } });
  opened.push(whole);
  return whole;
}

const idsOf = ({ messages }: Repository): string[] => messages.map((message) => /AuditEvent\/([0-9a-f-]{36})"/.exec(message)?.[1] ?? '');
const leaves = async (): Promise<string[]> => (await muniment.sql<{ event: string }>('select event from log_leaf where version is null order by index')).map(({ event }) => event);

beforeAll(async () => {
  makeCertificate('known');
  makeCertificate('unknown');
  port = await freePort();
  muniment = await startMuniment({ SYSLOG_ADDRESS: `localhost:${port}`, SYSLOG_TLS_CA: join(folder, 'known.pem') });
  client = fhirClient(muniment.fhirBase, await muniment.token());
}, 60_000);

afterAll(async () => {
  await muniment.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(async () => { await Promise.all(opened.map((repository) => repository.close())); });

async function access(times: number): Promise<void> {
  const { id } = (await client.post('DocumentReference', documentReference())).json;
  for (let round = 0; round < times; round += 1) await client.get(`DocumentReference/${id}`);
}

/** Once all that was recorded has its leaf, so that a batch holds more than a broken connection takes. */
async function sequenced(): Promise<void> {
  await eventually(() => muniment.sql<{ done: boolean }>('select (select count(*) from access_event) = (select count(*) from log_leaf where version is null) as done'), ([row]) => row?.done === true, 60_000);
}

async function allArrived(): Promise<void> {
  await eventually(async () => {
    const [wanted, arrived] = [await leaves(), new Set(opened.flatMap(idsOf))];
    const [count] = await muniment.sql<{ n: number }>('select count(*)::int as n from access_event');
    return wanted.length === count?.n && wanted.every((id) => arrived.has(id));
  }, (whole) => whole, 90_000);
}

describe('the record at an audit repository', () => {
  it('is answered from all the same while the repository is not there, and arrives when it is: each event, in the order of the log', async () => {
    await access(20);
    await sequenced();
    expect((await client.get('DocumentReference/nobody')).status).toBe(404);
    const repository = await openRepository('known');
    await allArrived();
    const first = [...new Set(idsOf(repository))];
    expect(first).toEqual((await leaves()).slice(0, first.length));
    expect(repository.messages[0]).toMatch(/^<8[345]>1 .* DICOM\+RFC3881 - \ufeff<AuditMessage>/);
  }, 120_000);

  it('is sent again where the repository broke off in the middle: nothing is lost, and what was read whole may come twice', async () => {
    await access(40);
    await sequenced();
    const repository = await openRepository('known', (connection) => (connection <= 2 ? 9_000 : Infinity));
    await allArrived();
    expect(repository.connections).toBeGreaterThan(2);
    const ids = idsOf(repository);
    expect(ids.length).toBeGreaterThan(new Set(ids).size);
  }, 120_000);

  it('is shown to nobody whose certificate nobody vouches for', async () => {
    await access(3);
    const stranger = await openRepository('unknown');
    let refused = 0;
    stranger.server.on('tlsClientError', () => { refused += 1; });
    await eventually(() => Promise.resolve(refused), (count) => count > 0, 30_000);
    const before = await muniment.sql<{ position: string }>('select position from record_forward');
    await eventually(() => muniment.sql<{ waiting: string }>('select s.size - f.position as waiting from log_state s, record_forward f'), ([row]) => Number(row?.waiting) > 0, 20_000);
    expect([stranger.messages, await muniment.sql('select position from record_forward')]).toEqual([[], before]);
    await stranger.close();
    await openRepository('known');
    await eventually(async () => Number((await muniment.sql<{ waiting: string }>('select s.size - f.position as waiting from log_state s, record_forward f'))[0]?.waiting), (waiting) => waiting === 0, 90_000);
  }, 150_000);
});
