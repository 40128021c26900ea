// Bytes at rest are scanned again by themselves when the scanner has other signatures.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logger.ts';
import { createPace } from './pace.ts';
import { rescan, type RescanParts } from './rescan.ts';
import type { ScannerVersion } from './scanner.ts';

export interface RescanWorkerParts extends Omit<RescanParts, 'pace' | 'signal'> {
  bytesPerSecond: number;
  logger: Logger;
  /** For tests; how often the scanner is asked what it has, in milliseconds: 10 minutes. */
  lookMs?: number;
}

const LOOK_MS = 10 * 60 * 1_000;

/** Asks now and then for the signatures, and scans everything once with each new set. Servers share the work. Answers the stop. */
export function startRescanning({ bytesPerSecond, logger, lookMs = LOOK_MS, ...parts }: RescanWorkerParts): () => Promise<void> {
  const end = new AbortController();
  const pace = createPace(bytesPerSecond, end.signal);
  let done: ScannerVersion | undefined;

  /** A pass that the scanner did not last out is begun again. */
  async function look(): Promise<void> {
    const version = await parts.scanner.version();
    if (done !== undefined && done.engine === version.engine && done.signatures === version.signatures) return;
    const { checked, findings } = await rescan({ ...parts, pace, signal: end.signal }, new Date());
    for (const finding of findings) logger.error(finding, 'a content at rest is not clean, or could not be scanned again');
    if (checked > 0) logger.info({ checked, ...version }, 'contents were scanned with new signatures');
    if (!findings.some(({ kind }) => kind === 'unreachable')) done = version;
  }

  const loop = (async () => {
    while (!end.signal.aborted) {
      try {
        await sleep(lookMs, undefined, { signal: end.signal, ref: false });
        await look();
      } catch (error) {
        if (!end.signal.aborted) logger.warn({ err: error }, 'the virus scanner did not say which signatures it has');
      }
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}
