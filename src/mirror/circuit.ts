// The circuit breaker of one HAPI base: after enough failures of the transport nothing is sent but a probe, so that
// an outage costs neither us nor the server that comes back.
import { probeDelayMs } from './retry-schedule.ts';

const FAILURES_MAX = 10;

export interface Circuit {
  readonly open: boolean;
  /** Says how a delivery ended. Returns true when this one opened the circuit. */
  record(transportFailed: boolean): boolean;
  /** Opens it at once. Returns false when it was open. */
  openNow(): boolean;
  /** True when it is open and a probe is due at `now` (milliseconds); the next one is then due later. */
  probeDue(now: number): boolean;
  /** A probe was answered. Where the next delivery fails all the same, the next probe waits as if none had been. */
  close(): void;
}

/** `random` gives [0, 1). */
export function createCircuit(random: () => number): Circuit {
  let failures = 0;
  let open = false;
  let probes = 0;
  let probeAt = 0;
  return {
    get open() { return open; },
    record(transportFailed) {
      failures = transportFailed ? failures + 1 : 0;
      if (!transportFailed) [probes, probeAt] = [0, 0];
      if (open || failures < FAILURES_MAX) return false;
      open = true;
      return true;
    },
    openNow() {
      if (open) return false;
      open = true;
      return true;
    },
    probeDue(now) {
      if (!open || now < probeAt) return false;
      probes += 1;
      probeAt = now + probeDelayMs(probes, random);
      return true;
    },
    close() {
      [open, failures] = [false, 0];
    },
  };
}
