// How fast bytes at rest are compared, and what the scrubber of a running server costs those who read meanwhile, at its default rate.
import { setTimeout as wait } from 'node:timers/promises';
import { loadConfig } from '../src/config/config.ts';
import { scrub } from '../src/content/scrub.ts';
import { createLogger } from '../src/logger.ts';
import { openConfiguredDatabase, openConfiguredStore } from '../src/open-parts.ts';
import { MIB, upload } from './byte-scenarios.ts';
import { median, quantile, runClosedLoop } from './closed-loop.ts';
import { expectReply } from './expected-reply.ts';
import { openConnections } from './keep-alive.ts';
import { openOwner } from './kill-rounds.ts';
import { startMuniment } from './servers.ts';

export interface ScrubResult {
  scenario: 'scrub';
  /** 10^6 bytes a second, of each round; all that is held, without a bound of rate. */
  ratesMBs: number[];
  rateMBs: number;
  /** Of reads of 64 KiB, by round: with the scrubber at rest, and at work. */
  restP99Ms: number[];
  workP99Ms: number[];
  /** Median over the rounds of the one over the other. */
  p99Ratio: number;
  /** Bytes a second that it compared meanwhile. */
  workBytesPerSecond: number;
}

const LARGE = 24;
const LARGE_BYTES = 64 * MIB;
const SMALL_BYTES = 64 * 1024;
const SMALL = 200;
const READERS = 4;

export async function runScrubScenario(rounds: number, seconds: number, tell: (line: string) => void): Promise<ScrubResult> {
  const peer = await startMuniment(['--import', 'tsx', '--import', './bench/look-often.ts']);
  const connections = openConnections(READERS);
  const target = { name: 'muniment' as const, peer, connections, inbox: `${peer.base}/Binary`, litter: [] };
  const opened = await openConfiguredDatabase(loadConfig({ DATA_DIR: peer.dataDir, METRICS_PORT: '0' }), createLogger('error'));
  const owner = await openOwner(peer.dataDir);
  try {
    const urls: string[] = [];
    for (let at = 0; at < SMALL; at += 1) urls.push(await upload(target, SMALL_BYTES));
    for (let at = 0; at < LARGE; at += 1) await upload(target, LARGE_BYTES);
    const store = await openConfiguredStore(loadConfig({ DATA_DIR: peer.dataDir, METRICS_PORT: '0' }), opened.database);
    const ratesMBs: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await owner.query('update content set scrubbed_at = null, scrub_until = null');
      const begun = performance.now();
      const { bytes, findings } = await scrub({ database: opened.database, stores: [store], replica: undefined, record: () => Promise.reject(new Error('Nothing is damaged')) }, { verifiedUntil: new Date(), triedUntil: new Date(), quarantined: false });
      if (findings.length > 0 || bytes < LARGE * LARGE_BYTES) throw new Error(`${bytes} bytes were scrubbed, ${findings.length} findings`);
      ratesMBs.push(bytes / 1e6 / ((performance.now() - begun) / 1_000));
      tell(`scrub          ${ratesMBs.at(-1)?.toFixed(0)} MB/s`);
    }
    const read = async (): Promise<number> => {
      const { latencies, errors } = await runClosedLoop({ clients: READERS, seconds, countMax: 100_000 }, async () => {
        await expectReply(connections, { method: 'GET', url: urls[Math.floor(Math.random() * urls.length)] ?? '', headers: { ...peer.headers, accept: '*/*' } }, 200);
      });
      if (Object.keys(errors).length > 0) throw new Error(JSON.stringify(errors));
      return quantile(latencies, 0.99);
    };
    await read();
    const [rest, work, compared]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round += 1) {
      await owner.query('update content set verified_at = now(), scrubbed_at = now()');
      await wait(3_000);
      rest.push(await read());
      await owner.query(`update content set verified_at = to_timestamp(0), scrubbed_at = null`);
      await wait(1_500);
      const begun = new Date();
      work.push(await read());
      const { rows } = await owner.query<{ bytes: number }>('select coalesce(sum(size), 0)::float8 as bytes from content where scrubbed_at > $1', [begun]);
      compared.push((rows[0]?.bytes ?? 0) / ((Date.now() - begun.getTime()) / 1_000));
      tell(`scrub          read p99 ${rest.at(-1)?.toFixed(2)} ms at rest, ${work.at(-1)?.toFixed(2)} ms at work on ${((compared.at(-1) ?? 0) / MIB).toFixed(0)} MiB/s`);
    }
    return { scenario: 'scrub', ratesMBs, rateMBs: median(ratesMBs), restP99Ms: rest, workP99Ms: work, p99Ratio: median(work.map((ms, at) => ms / (rest[at] ?? Number.NaN))), workBytesPerSecond: median(compared) };
  } finally {
    connections.close();
    await owner.end();
    await opened.stop();
    await peer.stop();
  }
}
