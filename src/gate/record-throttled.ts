// Requests past a rate limit: refused with 429, and recorded so that the record does not become the next flood. Up to a bound
// each is a row of its own, past it they are counted, one row a second for each client and user.
import { createRateLimiter, type Cost, type RateLimits } from '../access/rate-limits.ts';
import type { Principal } from '../access/principal.ts';
import { createRefusalFlood } from '../access/refusal-flood.ts';
import type { AccessEvent } from '../audit/access-event.ts';
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { Logger } from '../logger.ts';
import type { Organisations } from '../resources/organisation.ts';
import { agentOf } from './describe-access.ts';
import type { AccessRecorder } from './record-access.ts';

export interface Throttle {
  /** 429 `throttled` with Retry-After, when the organisation, the client or the user is past a limit. */
  refuses(principal: Principal, nowMs: number): FhirError | undefined;
  charge(principal: Principal, cost: Cost): void;
  /** True when this 429 gets a row of its own. */
  recordsAlone(principal: Principal, nowMs: number): boolean;
  stop(): Promise<void>;
}

export interface ThrottleParts {
  limits: RateLimits;
  recorder: AccessRecorder;
  organisations: Organisations;
  observer: string;
  logger: Logger;
}

/** Rows of their own in a minute, for each client and user. */
const ALONE_PER_MINUTE = 60;
const WORDS = { org: 'organisation', client: 'client', user: 'user', requests: 'requests', bytes: 'bytes', search: 'searches' } as const;

export function createThrottle(parts: ThrottleParts): Throttle {
  const limiter = createRateLimiter(parts.limits);
  const flood = createRefusalFlood(ALONE_PER_MINUTE);
  /** Whose counts wait for their row. */
  const counted = new Map<string, Principal>();
  let writing: Promise<void> = Promise.resolve();

  async function writeCounts(): Promise<void> {
    const now = Date.now();
    for (const { address: key, count } of flood.takeCounts(now)) {
      const principal = counted.get(key);
      counted.delete(key);
      if (principal === undefined) continue;
      const org = await parts.organisations.resolve(principal.org);
      await parts.recorder.record([{ org, event: countedEvent(principal, count, now, parts.observer) }]);
    }
  }

  const timer = setInterval(() => {
    writing = writing.then(writeCounts).catch((error: unknown) => parts.logger.error({ err: error }, 'counted refusals could not be recorded'));
  }, 1_000);
  timer.unref();

  return {
    refuses(principal, nowMs) {
      const verdict = limiter.admit(principal, nowMs);
      if (verdict === undefined) return undefined;
      return fhirError('throttled', `Too many ${WORDS[verdict.what]} of this ${WORDS[verdict.scope]}`, { headers: { 'Retry-After': String(verdict.retryAfterSeconds) } });
    },
    charge: (principal, cost) => limiter.charge(principal, cost),
    recordsAlone(principal, nowMs) {
      const key = JSON.stringify([principal.org, principal.issuer, principal.clientId, principal.subject]);
      if (flood.noteRefusal(key, nowMs).state === 'record') return true;
      counted.set(key, principal);
      return false;
    },
    async stop() {
      clearInterval(timer);
      await writing;
      await writeCounts();
    },
  };
}

function countedEvent(principal: Principal, count: number, now: number, observer: string): AccessEvent {
  const id = newUuidV7(now);
  return {
    layout: 1, id, recorded: printInstant(now), org: principal.org, requestId: id, interaction: 'read', action: 'R', outcome: 4, status: 429,
    outcomeDesc: 'Requests past a rate limit', request: { method: '*', url: '*' }, agent: agentOf({ principal }), observer, entities: [], count,
  };
}
