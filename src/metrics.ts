// Prometheus figures of this process.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface Metrics {
  registry: Registry;
  answered: (interaction: string, status: number, seconds: number) => void;
  /** Figures read when they are asked for. */
  gauge: (name: string, help: string, read: () => number | Promise<number>) => void;
  bytesReceived: Counter;
  bytesSent: Counter;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({ name: 'muniment_requests_total', help: 'Answers by method and status', labelNames: ['method', 'status'], registers: [registry] });
  const duration = new Histogram({ name: 'muniment_request_seconds', help: 'Time to the end of the answer', labelNames: ['method'], buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30], registers: [registry] });
  return {
    registry,
    answered(method, status, seconds) {
      requests.inc({ method, status: String(status) });
      duration.observe({ method }, seconds);
    },
    gauge(name, help, read) {
      new Gauge({ name, help, registers: [registry], async collect() { this.set(await read()); } });
    },
    bytesReceived: new Counter({ name: 'muniment_content_received_bytes_total', help: 'Bytes stored and verified', registers: [registry] }),
    bytesSent: new Counter({ name: 'muniment_content_sent_bytes_total', help: 'Verified bytes sent', registers: [registry] }),
  };
}
