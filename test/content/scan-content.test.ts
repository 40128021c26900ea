// The conversation with a real clamd, and with one that is stopped, full, or no scanner at all: only `stream: OK` is clean.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { readScanAnswer, type ScanAnswer } from '../../src/content/clamd.ts';
import { startContentScan, type ScanResult } from '../../src/content/scan-content.ts';
import { createScanner, type Scanner } from '../../src/content/scanner.ts';
import { clamdCanBeHad, eicar, startClamd, type TestClamd } from '../support/start-clamd.ts';
import { collect, inPieces, manyPieces, MIB } from './byte-sources.ts';

const TIMES = { questionMs: 300, lookMs: 200, verdictMs: 5_000 };

describe('what clamd answers', () => {
  it.each<[string, ScanAnswer['verdict']]>([
    ['stream: OK\0', 'clean'],
    ['stream: Eicar-Test-Body.UNOFFICIAL FOUND\0', 'infected'],
    ['stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0', 'unscannable'],
    ['INSTREAM size limit exceeded. ERROR\0', 'unscannable'],
    ['stream: Can\'t allocate memory ERROR\0', 'failed'],
    ['stream: OK but not quite\0', 'failed'],
    ['UNKNOWN COMMAND\0', 'failed'],
    ['stream: O', 'failed'],
    ['', 'failed'],
  ])('%j is %s', (answer, verdict) => { expect(readScanAnswer(answer, undefined, false).verdict).toBe(verdict); });
});

(clamdCanBeHad ? describe : describe.skip)('a scan by clamd', () => {
  let clamd: TestClamd;
  let scanner: Scanner;

  beforeAll(async () => {
    clamd = await startClamd({ StreamMaxLength: '6M', MaxFileSize: '3M', MaxScanSize: '3M' });
    scanner = createScanner({ host: '127.0.0.1', port: clamd.port, bytesMax: 100 * MIB, connectionsMax: 4, times: TIMES });
  });
  afterAll(() => clamd.stop());
  afterEach(() => clamd.thaw());

  async function judged(bytes: Buffer, required = true, inMemory = false): Promise<ScanResult | undefined> {
    const scan = await startContentScan({ scanner, required }, bytes.length, inMemory);
    try {
      if (!inMemory) expect((await collect(scan.pass(inPieces(bytes)))).equals(bytes)).toBe(true);
      return await scan.result(bytes.length, async () => inPieces(bytes));
    } finally { scan.close(); }
  }

  it.each<[string, Buffer]>([['alone', eicar()], ['in gzip', gzipSync(eicar())], ['inside 1 MiB', Buffer.concat([Buffer.alloc(MIB / 2, 65), eicar(), Buffer.alloc(MIB / 2, 66)])]])('EICAR %s is found on the way through and in memory, and refused', async (_where, bytes) => {
    for (const inMemory of [false, true]) await expect(judged(bytes, true, inMemory)).rejects.toMatchObject({ status: 422, detail: 'infected', message: expect.stringContaining('Eicar-Test-Body') });
  });

  it('clean and empty bytes are clean, with the engine that says so', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('a quiet letter'), Buffer.alloc(2 * MIB, 1)]) expect(await judged(bytes)).toMatchObject({ verdict: 'clean', engine: expect.stringMatching(/^ClamAV \d/) });
  });

  it('a file over MaxFileSize is neither clean nor infected, though the scanner says FOUND', async () => {
    expect(await judged(Buffer.alloc(4 * MIB, 1))).toMatchObject({ verdict: 'unscannable', finding: 'Heuristics.Limits.Exceeded.MaxFileSize' });
  });

  it('a stream over StreamMaxLength is unscannable, also where the scanner only closes the connection', async () => {
    for (let round = 0; round < 5; round += 1) expect(await judged(Buffer.alloc(20 * MIB, 1))).toMatchObject({ verdict: 'unscannable' });
  });

  it('what is longer than the scanner is said to take is not sent to it', async () => {
    const small = createScanner({ host: '127.0.0.1', port: clamd.port, bytesMax: MIB, connectionsMax: 4, times: TIMES });
    const scan = await startContentScan({ scanner: small, required: true }, undefined, false);
    let size = 0;
    for await (const piece of scan.pass(manyPieces(5))) size += piece.length;
    expect(await scan.result(size, () => { throw new Error('read again'); })).toMatchObject({ verdict: 'unscannable', finding: expect.stringContaining(String(MIB)) });
    scan.close();
  });

  it('a stopped scanner takes connections and says nothing: 503 in time where a verdict is required, else unscanned', async () => {
    await new Promise((resolve) => { setTimeout(resolve, 5_100); });
    clamd.freeze();
    const start = Date.now();
    await expect(judged(Buffer.from('letter'))).rejects.toMatchObject({ status: 503, headers: { 'Retry-After': '30' } });
    expect(await judged(Buffer.from('letter'), false)).toMatchObject({ verdict: 'unscanned', finding: 'the scanner does not answer' });
    expect(Date.now() - start).toBeLessThan(2_000);
  });

  it('a scanner that stops in the middle holds the sender for moments only; what it did not see is scanned again from the store', async () => {
    const bytes = Buffer.alloc(2 * MIB, 1);
    const scan = await startContentScan({ scanner, required: true }, bytes.length, false);
    let seen = 0;
    for await (const piece of scan.pass(inPieces(bytes))) {
      seen += piece.length;
      if (seen === MIB) await clamd.restart();
    }
    expect(await scan.result(bytes.length, async () => inPieces(bytes))).toMatchObject({ verdict: 'clean' });
    scan.close();
    const frozen = await startContentScan({ scanner, required: true }, 40 * MIB, false);
    clamd.freeze();
    const start = Date.now();
    for await (const piece of frozen.pass(manyPieces(40))) void piece;
    clamd.thaw();
    frozen.close();
    expect(Date.now() - start).toBeLessThan(5_000);
  });

  it('slow senders have half of the connections; who comes then is scanned from the store', async () => {
    const taps = [scanner.tap(), scanner.tap()];
    expect(taps.every((tap) => tap !== undefined)).toBe(true);
    expect(scanner.tap()).toBeUndefined();
    await expect(judged(eicar())).rejects.toMatchObject({ detail: 'infected' });
    for (const tap of taps) tap?.close();
    const after = scanner.tap();
    expect(after).toBeDefined();
    after?.close();
  });

  it('many small contents at once are all judged, each with its own verdict', async () => {
    const found = await Promise.allSettled(Array.from({ length: 60 }, (_, at) => judged(at % 3 === 0 ? eicar() : Buffer.from(`letter ${at}`), true, true)));
    expect(found.map(({ status }) => status)).toEqual(Array.from({ length: 60 }, (_, at) => (at % 3 === 0 ? 'rejected' : 'fulfilled')));
  });
});

describe('something at the port that is no scanner', () => {
  let server: Server;
  const sockets = new Set<Socket>();

  async function listening(answer: (socket: Socket) => void): Promise<Scanner> {
    server = createServer((socket) => { sockets.add(socket.on('error', () => undefined)); answer(socket); });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return createScanner({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, bytesMax: MIB, connectionsMax: 4, times: TIMES });
  }
  afterEach(() => { for (const socket of sockets) socket.destroy(); server.close(); });

  const version = (socket: Socket): void => { socket.once('data', (bytes: Buffer) => { if (bytes.toString().startsWith('zVERSION')) socket.end('ClamAV 1.4.6/27000/today\0'); else if (bytes.toString().startsWith('zPING')) socket.end('PONG\0'); }); };

  it.each<[string, (socket: Socket) => void]>([
    ['is silent', () => undefined],
    ['closes at once', (socket) => socket.destroy()],
    ['half closes', (socket) => socket.end()],
    ['speaks HTTP', (socket) => { socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'); }],
  ])('one that %s is a scanner out of reach', async (_what, answer) => {
    const scanner = await listening(answer);
    await expect(startContentScan({ scanner, required: true }, 10, false)).rejects.toMatchObject({ status: 503 });
    const scan = await startContentScan({ scanner, required: false }, 10, false);
    expect(await scan.result(10, async () => inPieces(Buffer.alloc(10)))).toMatchObject({ verdict: 'unscanned' });
  });

  it('one that answers questions and gives half an answer to the bytes, or none in time, has given no verdict', async () => {
    for (const half of ['stream: O', '']) {
      const scanner = await listening((socket) => { version(socket); socket.on('data', () => { if (half !== '' && socket.writable) socket.write(half); }); });
      const quick = { ...scanner, scan: (bytes: AsyncIterable<Buffer>) => scanner.scan(bytes) };
      const scan = await startContentScan({ scanner: quick, required: true }, 10, true);
      await expect(scan.result(10, async () => inPieces(Buffer.alloc(10)))).rejects.toMatchObject({ status: 503 });
      server.close();
    }
  }, 30_000);
});
