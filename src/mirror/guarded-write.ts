// One write at HAPI that takes the place of what we expect there and of nothing else, so that a sender that comes back
// late sets nothing back. HAPI answers 409 where R4 asks for 412 (http://hl7.org/fhir/R4/http.html#concurrency);
// `If-Match: W/"0"` creates and never replaces; DELETE at the history address of a version that is not current is refused.
import type { HapiAnswer, HapiRequest } from './call-hapi.ts';
import { sourceVersion, type VersionName } from './mirrored-text.ts';
import { isLastRefusal } from './retry-schedule.ts';

export type DeliveryResult =
  /** `hapiVersion`: what the next write of this resource has to expect. `note`: what a person has to know about it. */
  | { kind: 'delivered'; hapiVersion: string; note?: string }
  /**
   * `transport`: HAPI was not reached or did not speak. `refused`: it spoke against this resource. `denied`: it does not let
   * us in, whatever we send. `retryAfterMs`: it said when to come back.
   */
  | { kind: 'again'; reason: string; transport: boolean; refused: boolean; denied?: boolean; retryAfterMs?: number }
  | { kind: 'parked'; reason: string };

export interface GuardedWrite extends VersionName {
  /** Exact JSON text; null deletes. */
  body: string | null;
  /** HAPI's version that it follows; ABSENT = none. */
  expected: string;
  /** How often HAPI refused it before. */
  refusals: number;
  /** Milliseconds of performance.now after which nothing may be sent any more. */
  leaseUntil: number;
}

export type Call = (request: HapiRequest) => Promise<HapiAnswer>;

/** HAPI's version of what it does not have. */
export const ABSENT = '0';

/** Other writers at HAPI may change a resource between our reading and writing it. */
const ROUNDS_MAX = 4;

/** Never rejects because of HAPI. */
export async function writeGuarded(write: GuardedWrite, call: Call): Promise<DeliveryResult> {
  let { expected } = write;
  let collided = false;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (performance.now() >= write.leaseUntil) return again('The lease ended before HAPI answered');
    const answer = await call(requestOf(write, expected, collided));
    if (isWritten(answer, write)) return { kind: 'delivered', hapiVersion: answer.version ?? ABSENT };
    if (answer.status !== 409 && answer.status !== 412) return failureOf(answer, write);
    const held = await call({ method: 'GET', path: `${write.type}/${write.id}` });
    const settled = settledBy(held, write);
    if (settled !== undefined) return settled;
    const current = held.version ?? ABSENT;
    // The version was right, so something else collides, such as two writes that make one placeholder. HAPI can wait
    // for it, but would wait in vain, and long, where only the version was wrong: hence not at the first try.
    if (current === expected && collided) return failureOf(answer, write);
    collided = current === expected;
    expected = current;
  }
  return again(`${write.type}/${write.id} is changed at HAPI by others again and again`);
}

function requestOf({ type, id, body }: GuardedWrite, expected: string, waitForOthers: boolean): HapiRequest {
  if (body === null) return { method: 'DELETE', path: `${type}/${id}/_history/${expected}`, waitForOthers };
  return { method: 'PUT', path: `${type}/${id}`, body, ifMatch: expected, waitForOthers };
}

/** HAPI names the version that it wrote. What answers 200 without one, such as a page to log in at, has written nothing. */
function isWritten({ status, version, outcome }: HapiAnswer, { body }: GuardedWrite): boolean {
  if (body === null) return status === 204 || ((status === 200 || status === 404 || status === 410) && (version !== undefined || outcome));
  return (status === 200 || status === 201) && version !== undefined;
}

/** What HAPI holds may end the delivery: it is this version or a newer one already, or it is not ours to overwrite. */
function settledBy(held: HapiAnswer, write: GuardedWrite): DeliveryResult | undefined {
  const hapiVersion = held.version ?? ABSENT;
  if ((held.status === 404 || held.status === 410) && held.outcome) return write.body === null ? { kind: 'delivered', hapiVersion } : undefined;
  if (held.status !== 200 || held.version === undefined) return failureOf(held, write);
  const version = sourceVersion(held.source, write);
  if (version === 'foreign') return { kind: 'parked', reason: `HAPI holds ${write.type}/${write.id} from elsewhere: ${held.source}` };
  return version !== undefined && version >= write.version ? { kind: 'delivered', hapiVersion } : undefined;
}

// About our credentials. No wait helps, and nothing else of ours is let in either.
const DENIED = [401, 403, 407];
// Not about the resource: a busy server, a conflict that another moment resolves.
const PASSING = [408, 409, 412, 423, 425, 429];
// From a server in front of HAPI, or from HAPI while it has no database.
const UNREACHED = [429, 502, 503, 504];

/** What an answer that is no success means for what was sent. The one place that tells a refusal from an outage. */
export function failureOf(answer: HapiAnswer, { type, id, refusals }: Pick<GuardedWrite, 'type' | 'id' | 'refusals'>): Exclude<DeliveryResult, { kind: 'delivered' }> {
  if (answer.status === 0) return { kind: 'again', reason: answer.reason, transport: true, refused: false };
  if (DENIED.includes(answer.status)) return { kind: 'again', reason: answer.denial ?? `HAPI does not let us in: HTTP ${answer.status}`, transport: false, refused: false, denied: true };
  const reason = `${type}/${id}: HTTP ${answer.status}: ${answer.reason}`;
  // Without an OperationOutcome it was not HAPI that answered, and it says nothing about the resource.
  const transport = !answer.outcome || UNREACHED.includes(answer.status);
  const refused = !transport && answer.status >= 400 && answer.status < 500 && !PASSING.includes(answer.status);
  if (refused && isLastRefusal(refusals)) return { kind: 'parked', reason };
  return { kind: 'again', reason, transport, refused, ...(answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }) };
}

export function again(reason: string): Exclude<DeliveryResult, { kind: 'delivered' | 'parked' }> {
  return { kind: 'again', reason, transport: false, refused: false };
}
