// A flood of refused logins must not fill the record: up to a bound each is a row of its own, past it the answers are
// 429 and are counted, one row a second for each address.
import type { AccessEvent } from '../audit/access-event.ts';
import type { FhirError } from '../fhir/fhir-error.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { createRefusalFlood } from '../access/refusal-flood.ts';
import type { Logger } from '../logger.ts';
import type { Organisations } from '../resources/organisation.ts';
import type { AccessRecorder } from './record-access.ts';

export interface RefusalRecord {
  /** True when this refusal gets a row of its own. Raises 429 `throttled` when its address is past the bound. */
  admits(error: FhirError, address: string | undefined, now: number): boolean;
  stop(): Promise<void>;
}

export interface RefusalRecordParts {
  recorder: AccessRecorder;
  organisations: Organisations;
  operatorOrg: string;
  observer: string;
  logger: Logger;
}

export function createRefusalRecord(parts: RefusalRecordParts): RefusalRecord {
  const flood = createRefusalFlood();
  let writing: Promise<void> = Promise.resolve();

  async function writeCounts(): Promise<void> {
    const now = Date.now();
    const counts = flood.takeCounts(now);
    if (counts.length === 0) return;
    const org = await parts.organisations.resolve(parts.operatorOrg);
    await parts.recorder.record(counts.map(({ address, count }) => ({ org, event: countedEvent(parts, address, count, now) })));
  }

  const timer = setInterval(() => {
    writing = writeCounts().catch((error: unknown) => parts.logger.error({ err: error }, 'counted refusals could not be recorded'));
  }, 1_000);
  timer.unref();

  return {
    admits(error, address, now) {
      if (error.status !== 401) return true;
      const verdict = flood.noteRefusal(address ?? 'unknown', now);
      if (verdict.state === 'record') return true;
      throw fhirError('throttled', 'Too many requests without a valid token from this address', { headers: { 'Retry-After': String(verdict.retryAfterSeconds) } });
    },
    async stop() {
      clearInterval(timer);
      await writing;
      await writeCounts();
    },
  };
}

function countedEvent(parts: RefusalRecordParts, address: string, count: number, now: number): AccessEvent {
  const id = newUuidV7(now);
  return {
    layout: 1, id, recorded: printInstant(now), org: parts.operatorOrg, requestId: id, interaction: 'read', action: 'R', outcome: 4, status: 429,
    outcomeDesc: 'Requests without a valid token, past the bound of their address', request: { method: '*', url: '*' }, agent: {}, address,
    observer: parts.observer, entities: [], count,
  };
}
