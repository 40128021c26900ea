// The scanner as this process uses it: how many connections at once, and which engine with which signatures answers.
import { askClamd, openScan, SCAN_TIMES, type ClamdAddress, type ScanAnswer, type ScanSession, type ScanTimes } from './clamd.ts';

/** Who scans: ClamAV 1.4.6, and 27100/Thu Oct 24 … where the engine tells its signatures. */
export interface ScannerVersion {
  engine: string;
  signatures: string | undefined;
}

export interface Scanner {
  /** Content beyond this is not scanned. Bytes. */
  readonly bytesMax: number;
  /** Asked anew after a few seconds. Rejects when the scanner does not answer. */
  version(): Promise<ScannerVersion>;
  /** A scan at the pace of a sender, who may be slow; undefined when as many as may be are under way. */
  tap(): ScanSession | undefined;
  /** Scans bytes that are at hand. Waits for its turn. Rejects with what `bytes` rejects with, never for the scanner. */
  scan(bytes: AsyncIterable<Buffer>): Promise<ScanAnswer>;
}

export interface ScannerOptions extends ClamdAddress {
  bytesMax: number;
  /** Two at least: slow senders have one half, bytes at hand the other. */
  connectionsMax: number;
  times?: Partial<ScanTimes>;
}

const VERSION_MS = 5_000;
const WAITING_MAX = 1_000;

function readVersion(answer: string): ScannerVersion {
  const [engine = '', ...signatures] = answer.split('/');
  if (!/^ClamAV /.test(engine)) throw new Error('the scanner gives no version');
  return { engine, signatures: signatures.length === 0 ? undefined : signatures.join('/') };
}

/** At most `max` at once, the others in the order of their coming. */
function createTurns(max: number): { take(): Promise<() => void>; } {
  let busy = 0;
  const waiting: (() => void)[] = [];
  const release = (): void => {
    const next = waiting.shift();
    if (next === undefined) busy -= 1; else next();
  };
  return {
    async take() {
      if (busy < max) busy += 1;
      else if (waiting.length >= WAITING_MAX) throw new Error('too many wait for the scanner');
      else await new Promise<void>((resolve) => { waiting.push(resolve); });
      return release;
    },
  };
}

export function createScanner({ bytesMax, connectionsMax, times: given = {}, ...address }: ScannerOptions): Scanner {
  const times = { ...SCAN_TIMES, ...given };
  const tapsMax = Math.floor(connectionsMax / 2);
  const turns = createTurns(connectionsMax - tapsMax);
  let taps = 0;
  let known: { until: number; version: Promise<ScannerVersion> } | undefined;
  const alive = (): Promise<string> => askClamd(address, 'PING', times);

  async function through(bytes: AsyncIterable<Buffer>): Promise<ScanAnswer> {
    const session = openScan(address, alive, times);
    try {
      for await (const piece of bytes) await session.write(piece);
      return await session.finish();
    } finally { session.close(); }
  }

  return {
    bytesMax,
    version() {
      if (known === undefined || performance.now() > known.until) {
        const version = askClamd(address, 'VERSION', times).then(readVersion);
        known = { until: performance.now() + VERSION_MS, version };
        // A failure is not remembered: the next one asks again.
        version.catch(() => { known = undefined; });
      }
      return known.version;
    },
    tap() {
      if (taps >= tapsMax) return undefined;
      taps += 1;
      const session = openScan(address, alive, times);
      let open = true;
      return {
        ...session,
        close() {
          if (open) taps -= 1;
          open = false;
          session.close();
        },
      };
    },
    async scan(bytes) {
      let release: () => void;
      try {
        release = await turns.take();
      } catch (error) { return { verdict: 'failed', reason: (error as Error).message, cut: false }; }
      try { return await through(bytes); } finally { release(); }
    },
  };
}
