// Prometheus figures of this process.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface Metrics {
  registry: Registry;
  answered: (interaction: string, status: number, seconds: number) => void;
  /** Figures that one reading gives, read once each time that they are asked for: by name without the prefix, with their help. NaN where the reading fails. */
  gauges: <Name extends string>(helps: Record<Name, string>, read: () => Record<Name, number> | Promise<Record<Name, number>>) => void;
  /** A delivery to HAPI ended, so many seconds after its version was published. */
  delivered: (outcome: string, seconds: number) => void;
  /** What others changed at HAPI was put back. */
  putBack: () => void;
  /** A chunk was wrong in its store and came from another copy. */
  rescued: (from: string) => void;
  /** A content was found damaged and taken out of service. */
  quarantined: () => void;
  /** A purge is done: its bytes are gone, and its certificate is there. */
  purged: () => void;
  /** The scanner came to a verdict on a content, or to none. */
  scanned: (verdict: string) => void;
  /** A small picture was made, failed, or waits again. */
  pictured: (outcome: string) => void;
  /** Verified bytes of a content begin to leave. */
  accessed: () => void;
  /** Events of files, as `read` answers them: each call those since the call before. */
  countFileEvents: (names: readonly string[], read: () => Promise<Record<string, number>>) => void;
  bytesReceived: Counter;
  bytesSent: Counter;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({ name: 'muniment_requests_total', help: 'Answers by method and status', labelNames: ['method', 'status'], registers: [registry] });
  const duration = new Histogram({ name: 'muniment_request_seconds', help: 'Time to the end of the answer', labelNames: ['method'], buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30], registers: [registry] });
  const deliveries = new Counter({ name: 'muniment_mirror_deliveries_total', help: 'Deliveries to HAPI that ended, by outcome', labelNames: ['outcome'], registers: [registry] });
  const deliveryAge = new Histogram({ name: 'muniment_mirror_delivery_seconds', help: 'From publication to the end of a delivery', labelNames: ['outcome'], buckets: [0.05, 0.1, 0.25, 1, 5, 30, 300, 3_600], registers: [registry] });
  const rescues = new Counter({ name: 'muniment_content_rescued_chunks_total', help: 'Chunks that were wrong in their store and came from another copy', labelNames: ['from'], registers: [registry] });
  const quarantines = new Counter({ name: 'muniment_content_quarantined_total', help: 'Contents that were found damaged and taken out of service', registers: [registry] });
  const purges = new Counter({ name: 'muniment_purges_total', help: 'Purges that were brought to their end by this server', registers: [registry] });
  const putBacks = new Counter({ name: 'muniment_mirror_put_back_total', help: 'Resources that others changed at HAPI and that were put back', registers: [registry] });
  const scans = new Counter({ name: 'muniment_content_scans_total', help: 'Contents by what the virus scanner said of them', labelNames: ['verdict'], registers: [registry] });
  const pictures = new Counter({ name: 'muniment_renditions_total', help: 'Small pictures of images by what came of them', labelNames: ['outcome'], registers: [registry] });
  const accesses = new Counter({ name: 'muniment_content_reads_total', help: 'Reads of bytes, the event accessed of a file', registers: [registry] });
  return {
    registry,
    accessed: () => accesses.inc(),
    countFileEvents(names, read) {
      const counter = new Counter({
        name: 'muniment_file_events_total', help: 'Events of files in this database, by name: each of its servers counts all of them', labelNames: ['event'], registers: [registry],
        // Where they cannot be read now they are counted the next time.
        async collect() { for (const [event, count] of Object.entries(await read().catch(() => ({})))) this.inc({ event }, count); },
      });
      for (const event of names) counter.inc({ event }, 0);
    },
    pictured: (outcome) => pictures.inc({ outcome }),
    scanned: (verdict) => scans.inc({ verdict }),
    putBack: () => putBacks.inc(),
    rescued: (from) => rescues.inc({ from }),
    quarantined: () => quarantines.inc(),
    purged: () => purges.inc(),
    answered(method, status, seconds) {
      requests.inc({ method, status: String(status) });
      duration.observe({ method }, seconds);
    },
    gauges(helps, read) {
      let reading: Promise<Record<string, number>> | undefined;
      // All figures of one answer are collected in the same turn: the first reads for the others as well.
      const shared = (): Promise<Record<string, number>> => {
        reading ??= Promise.resolve().then(read).catch((): Record<string, number> => ({})).finally(() => { reading = undefined; });
        return reading;
      };
      for (const [name, help] of Object.entries<string>(helps)) {
        new Gauge({ name: `muniment_${name}`, help, registers: [registry], async collect() { this.set((await shared())[name] ?? Number.NaN); } });
      }
    },
    delivered(outcome, seconds) {
      deliveries.inc({ outcome });
      deliveryAge.observe({ outcome }, seconds);
    },
    bytesReceived: new Counter({ name: 'muniment_content_received_bytes_total', help: 'Bytes stored and verified', registers: [registry] }),
    bytesSent: new Counter({ name: 'muniment_content_sent_bytes_total', help: 'Verified bytes sent', registers: [registry] }),
  };
}
