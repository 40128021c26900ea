// The lane of accesses: every event of the record goes to HAPI as an AuditEvent, in portions, one at a time in a server, so
// that it takes nothing from the lanes of documents (http://hl7.org/fhir/R4/http.html#transaction).
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccessEvent } from '../audit/access-event.ts';
import { renderAuditEvent } from '../audit/render-audit-event.ts';
import type { Database } from '../database/database.ts';
import { parseJson, type JsonObject } from '../fhir/json.ts';
import type { Logger } from '../logger.ts';
import { claimAccesses, settleAccesses, type AccessPortion, type AccessSettlement } from './access-cursor.ts';
import type { HapiAnswer, HapiRequest } from './call-hapi.ts';
import type { OrgRange } from './claim.ts';
import { failureOf } from './guarded-write.ts';
import { sourcedText } from './mirrored-text.ts';
import { isLastRefusal, retryDelayMs } from './retry-schedule.ts';

export interface AccessLaneOptions {
  database: Pick<Database, 'workerTransaction'>;
  /** Never rejects. */
  call: (orgName: string, request: HapiRequest, stop: AbortSignal) => Promise<HapiAnswer>;
  /** Organisations that are mirrored and let in; undefined = none. */
  orgs: () => Promise<OrgRange | undefined>;
  log: Logger;
  random: () => number;
  pollMs: number;
}

export const PORTION = 50;

/** Answers the stop, which waits for the portion under way. */
export function startAccessLane(options: AccessLaneOptions): () => Promise<void> {
  const end = new AbortController();
  const loop = (async () => {
    while (!end.signal.aborted) {
      const full = await tellPortion(options, end.signal).catch((error: unknown) => {
        options.log.warn({ err: error }, 'Accesses cannot be told to HAPI, which is tried again');
        return false;
      });
      if (!full) await sleep(options.pollMs, undefined, { signal: end.signal }).catch(() => undefined);
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}

/** Whether there may be more at once. */
async function tellPortion({ database, call, orgs, random, pollMs }: AccessLaneOptions, stop: AbortSignal): Promise<boolean> {
  const range = await orgs();
  if (range === undefined) return false;
  const portion = await database.workerTransaction((tx) => claimAccesses(tx, range, PORTION));
  if (portion === undefined) return false;
  const settlement = portion.events.length === 0
    ? { delayMs: pollMs, refused: false, passedOver: [] }
    : await tell(portion, (events) => send(portion, events, (request) => call(portion.orgName, request, stop)), random);
  await database.workerTransaction((tx) => settleAccesses(tx, portion, settlement));
  return settlement.delayMs === 0;
}

type Events = AccessPortion['events'];
type Told = { kind: 'told' } | { kind: 'refused'; reason: string } | { kind: 'again'; reason: string; retryAfterMs?: number };

/** All at once; where HAPI refuses them, in halves; what is in a refused half, one by one. */
async function tell({ events, attempts, refusals }: AccessPortion, sendThese: (events: Events) => Promise<Told>, random: () => number): Promise<AccessSettlement> {
  const middle = Math.ceil(events.length / 2);
  const whole = await sendThese(events);
  if (whole.kind === 'told') return { last: events.at(-1), delayMs: events.length < PORTION ? 1 : 0, refused: false, passedOver: [] };
  const passedOver: AccessSettlement['passedOver'] = [];
  let last: Events[number] | undefined;
  const later = (reason: string, refused: boolean, retryAfterMs = 0): AccessSettlement =>
    ({ last, delayMs: Math.max(retryDelayMs(attempts + 1, random), retryAfterMs), error: reason.slice(0, 2_000), refused, passedOver: [] });
  if (whole.kind === 'again') return later(whole.reason, false, whole.retryAfterMs);
  for (const half of [events.slice(0, middle), events.slice(middle)].filter((part) => part.length > 0)) {
    const told = half.length === events.length ? whole : await sendThese(half);
    if (told.kind === 'again') return later(told.reason, false, told.retryAfterMs);
    for (const event of told.kind === 'refused' ? half : []) {
      const one = await sendThese([event]);
      if (one.kind === 'again') return later(one.reason, false, one.retryAfterMs);
      if (one.kind === 'refused') {
        if (!isLastRefusal(refusals)) return later(one.reason, true);
        passedOver.push({ id: event.id, reason: one.reason.slice(0, 2_000) });
      }
      last = event;
    }
    last = half.at(-1);
  }
  return { last, delayMs: 0, refused: false, passedOver };
}

/** Events never change, so the same ones once more change nothing at HAPI. */
async function send({ orgName, leaseUntil }: AccessPortion, events: Events, call: (request: HapiRequest) => Promise<HapiAnswer>): Promise<Told> {
  if (performance.now() >= leaseUntil) return { kind: 'again', reason: 'The lease ended before HAPI answered' };
  const entries = events.map(({ id, text }) => {
    const rendered = renderAuditEvent(parseJson(text) as unknown as AccessEvent) as unknown as JsonObject;
    return `{"resource":${sourcedText({ orgName, type: 'AuditEvent', id, version: 1 }, rendered)},"request":{"method":"PUT","url":"AuditEvent/${id}"}}`;
  });
  const answer = await call({ method: 'POST', path: '', body: `{"resourceType":"Bundle","type":"transaction","entry":[${entries.join(',')}]}` });
  if (answer.status === 200 && answer.type === 'Bundle') return { kind: 'told' };
  const failed = failureOf(answer, { type: 'Bundle', id: 'transaction', refusals: 0 });
  if (failed.kind === 'again' && failed.refused) return { kind: 'refused', reason: failed.reason };
  return { kind: 'again', reason: failed.kind === 'again' || failed.kind === 'parked' ? failed.reason : '', ...(failed.kind === 'again' && failed.retryAfterMs !== undefined ? { retryAfterMs: failed.retryAfterMs } : {}) };
}
