// The end of a listener: who is still answered, and who is not waited for.
import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen, type Listener } from '../../src/http/listen.ts';
import { createLogger } from '../../src/logger.ts';

let listener: Listener | undefined;
afterEach(() => listener?.drain());

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
