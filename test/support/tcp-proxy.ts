// A wire between a server and its database that can be cut, and mended.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  port: number;
  /** Ends every connection and refuses new ones. */
  cut(): void;
  /** Keeps connections and takes new ones, and passes nothing on in either direction. */
  freeze(): void;
  /** Passes everything on again. */
  mend(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let state: 'open' | 'cut' | 'frozen' = 'open';
  const server = createServer((client) => {
    if (state === 'cut') { client.destroy(); return; }
    const upstream = connect(target);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on('error', () => to.destroy());
      from.on('close', () => { to.destroy(); pairs.delete(pair); });
      from.pipe(to);
      if (state === 'frozen') from.unpipe(to).pause();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      state = 'cut';
      for (const [client, upstream] of pairs) { client.destroy(); upstream.destroy(); }
    },
    freeze() {
      state = 'frozen';
      for (const [client, upstream] of pairs) { client.unpipe(upstream).pause(); upstream.unpipe(client).pause(); }
    },
    mend() {
      if (state === 'frozen') for (const [client, upstream] of pairs) { client.pipe(upstream); upstream.pipe(client); }
      state = 'open';
    },
    async stop() {
      for (const [client, upstream] of pairs) { client.destroy(); upstream.destroy(); }
      server.close();
      await once(server, 'close');
    },
  };
}
