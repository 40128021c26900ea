// The end of a listener: who is still answered, and who is not waited for.
import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen, type Listener } from '../../src/http/listen.ts';
import { createLogger } from '../../src/logger.ts';

let listener: Listener | undefined;
afterEach(() => listener?.drain());

describe('a socket on which nothing moves', () => {
  const WISH = { port: 0, host: '127.0.0.1', baseUrl: 'http://localhost', silenceMs: 300 };
  const request = (head: string, body = ''): string => `${head} / HTTP/1.1\r\nHost: x\r\n${body === '' ? '' : 'Content-Length: 1000\r\n'}\r\n${body}`;
  /** What came back until the other side ended, and after how long. */
  async function talk(sent: string, read = true): Promise<{ text: string; ms: number }> {
    const socket = connect(listener!.port, '127.0.0.1');
    const begun = performance.now();
    let text = '';
    if (read) socket.on('data', (bytes: Buffer) => { text += bytes.toString('latin1'); if (text.includes('done')) socket.end(); });
    socket.on('error', () => { /* It was cut. */ });
    socket.write(sent);
    if (!read) await sleep(1_500).then(() => socket.resume());
    await once(socket, 'close');
    return { text, ms: performance.now() - begun };
  }

  it('stays open while we work on what was received, however long that takes', async () => {
    listener = await listen((incoming, response) => { incoming.resume(); void sleep(1_500).then(() => response.end('done')); }, WISH, createLogger('error'));
    const { text, ms } = await talk(request('GET'));
    expect(text).toContain('done');
    expect(ms).toBeGreaterThan(1_400);
  });

  it('is closed where the client owes the rest of its request, or nothing was asked', async () => {
    listener = await listen((incoming, response) => { incoming.on('error', () => { /* It was cut. */ }).resume().on('end', () => response.end('done')); }, WISH, createLogger('error'));
    for (const sent of [request('POST', 'the beginning'), '']) {
      const { text, ms } = await talk(sent);
      expect([text.includes('done'), ms < 1_400]).toEqual([false, true]);
    }
  });

  it('is closed where the client takes nothing of a long answer', async () => {
    let cut = 0;
    listener = await listen((incoming, response) => {
      incoming.resume();
      const begun = performance.now();
      response.on('close', () => { cut = performance.now() - begun; });
      response.end(Buffer.alloc(64 * 1024 * 1024));
    }, WISH, createLogger('error'));
    await talk(request('GET'), false);
    expect(cut).toBeGreaterThan(250);
    expect(cut).toBeLessThan(1_400);
  });
});

describe('a listener that drains', () => {
  it('answers what runs, and does not wait for a connection that never asked for anything', async () => {
    listener = await listen((_request, response) => { void sleep(1_500).then(() => response.end('done')); }, { port: 0, host: '127.0.0.1', baseUrl: 'http://localhost' }, createLogger('error'));
    const silent = connect(listener.port, '127.0.0.1');
    await once(silent, 'connect');
    const running = fetch(`http://127.0.0.1:${listener.port}/`);
    await sleep(100);
    const begun = performance.now();
    const ended = listener.drain();
    expect(await (await running).text()).toBe('done');
    await ended;
    expect(performance.now() - begun).toBeLessThan(10_000);
    await (silent.closed ? undefined : once(silent, 'close'));
  });
});
