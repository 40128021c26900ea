// What rests is scanned again by itself once the scanner has other signatures. The scanner here speaks clamd's protocol and has the
// signatures that it is given: a real one tells none of its own making.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import { startRescanning } from '../../src/content/rescan-worker.ts';
import { createScanner } from '../../src/content/scanner.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { createScrubRecord } from '../../src/gate/record-scrub.ts';
import { createLogger } from '../../src/logger.ts';
import { eventually } from '../support/eventually.ts';
import { fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let signatures = '1';
let virus = 'nothing has this';
let scans = 0;
let clamd: Server;
let server: TestMuniment;
let client: FhirClient;
let database: Database;

beforeAll(async () => {
  clamd = createServer((socket) => {
    let heard = Buffer.alloc(0);
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes]);
      const text = heard.toString('latin1');
      if (text.startsWith('zVERSION')) socket.end(`ClamAV 1.4.6/${signatures}/today\0`);
      else if (text.startsWith('zPING')) socket.end('PONG\0');
      else if (text.endsWith('\0\0\0\0')) { scans += 1; socket.end(text.includes(virus) ? 'stream: New-Virus FOUND\0' : 'stream: OK\0'); }
    });
  }).listen(0, '127.0.0.1');
  await once(clamd, 'listening');
  const { port } = clamd.address() as AddressInfo;
  server = await startMuniment({ CLAMAV_HOST: '127.0.0.1', CLAMAV_PORT: String(port), SCAN: 'required' });
  client = fhirClient(server.fhirBase, await server.token());
  database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true });
});
afterAll(async () => {
  await database.close();
  await server.stop();
  clamd.close();
});

it('scans everything once with new signatures, takes out of service what they find, on record, and rests until the next', async () => {
  const ids: string[] = [];
  for (const text of ['sound', 'bad in hindsight', 'sound as well']) ids.push((await client.post('Binary', Buffer.from(text), { 'content-type': 'application/octet-stream' })).json.id);
  const scanner = createScanner({ host: '127.0.0.1', port: (clamd.address() as AddressInfo).port, bytesMax: 1_000_000, connectionsMax: 4 });
  const stop = startRescanning({
    database, stores: [openFilesystemStore({ directory: `${server.dataDir}/content` })], replica: undefined, scanner, bytesPerSecond: 1e9, logger: createLogger('error', { write: () => undefined }),
    record: createScrubRecord({ database, observer: 'urn:test', by: 'server' }), lookMs: 50,
  });
  const reads = async (): Promise<number[]> => await Promise.all(ids.map(async (id) => (await client.get(`Binary/${id}`, { accept: 'application/octet-stream' })).status));
  try {
    const before = scans;
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    // They have the verdict of these signatures already.
    expect([scans - before, await reads()]).toEqual([0, [200, 200, 200]]);
    [signatures, virus] = ['2', 'in hindsight'];
    await eventually(reads, (found) => found[1] === 503, 20_000);
    await eventually(async () => scans - before, (count) => count === 3, 5_000);
    expect(await reads()).toEqual([200, 503, 200]);
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    expect(scans - before).toBe(3);
    expect(await server.sql(`select count(*)::int from access_event a where a::text like '%New-Virus%'`)).toEqual([{ count: 1 }]);
  } finally { await stop(); }
});
