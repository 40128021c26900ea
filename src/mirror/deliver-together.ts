// Versions of one shard and the Provenances of their writes as one transaction of HAPI (http://hl7.org/fhir/R4/http.html#transaction):
// each names the version that it follows, so that a transaction that comes late changes nothing, like a single write.
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import type { HapiAnswer, HapiRequest } from './call-hapi.ts';
import type { LeasedVersion } from './claim.ts';
import { again, failureOf, type DeliveryResult } from './guarded-write.ts';
import { referenceOf } from './parcels.ts';

/** One PUT of the transaction. */
export interface TransactionEntry {
  /** Type/id */
  reference: string;
  /** Exact JSON text. */
  body: string;
  /** HAPI's version that it follows. */
  expected: string;
}

export interface TogetherParts {
  /** The version itself first, then what goes with it. */
  entriesOf(leased: LeasedVersion): TransactionEntry[];
  call(request: HapiRequest): Promise<HapiAnswer>;
  /** Delivers one by itself, where HAPI does not take them together. */
  alone(leased: LeasedVersion): Promise<DeliveryResult>;
  /** HAPI takes no transactions of ours at all. */
  onNever(): void;
}

export type Outcomes = Map<LeasedVersion, DeliveryResult>;
type Sent = { kind: 'done'; versions: string[] } | { kind: 'refused'; collided: boolean } | { kind: 'failed'; result: DeliveryResult };

/** All at once; where HAPI refuses that, in halves; what is in a refused half, one by one. Never rejects because of HAPI. */
export async function deliverTogether(members: readonly LeasedVersion[], parts: TogetherParts): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  let sent = await send(members, parts, false);
  // Another server makes the same placeholder: HAPI can wait for it. Where only a version was wrong, it waits in vain, for a second or two.
  if (sent.kind === 'refused' && sent.collided) sent = await send(members, parts, true);
  if (settled(members, sent, parts, outcomes)) return outcomes;
  const middle = Math.ceil(members.length / 2);
  for (const half of [members.slice(0, middle), members.slice(middle)]) {
    if (half.length > 1 && settled(half, await send(half, parts, false), parts, outcomes)) continue;
    await deliverInTurn(half, parts.alone, outcomes);
  }
  return outcomes;
}

/** One by one, each knowing what of the others is there by then. */
export async function deliverInTurn(members: readonly LeasedVersion[], alone: TogetherParts['alone'], outcomes: Outcomes = new Map()): Promise<Outcomes> {
  for (const leased of members) outcomes.set(leased, await alone({ ...leased, waitsFor: leased.waitsFor.filter((reference) => !isThere(reference, outcomes)) }));
  return outcomes;
}

function isThere(reference: string, outcomes: Outcomes): boolean {
  return [...outcomes].some(([leased, { kind }]) => kind === 'delivered' && referenceOf(leased) === reference);
}

/** False where they have to be sent otherwise. */
function settled(members: readonly LeasedVersion[], sent: Sent, { entriesOf }: TogetherParts, outcomes: Outcomes): boolean {
  if (sent.kind === 'refused') return false;
  let at = 0;
  for (const leased of members) {
    outcomes.set(leased, sent.kind === 'failed' ? sent.result : { kind: 'delivered', hapiVersion: sent.versions[at] ?? '' });
    at += entriesOf(leased).length;
  }
  return true;
}

const COLLISIONS = [409, 412];
/** Not let in with transactions alone, or none are known there: the single writes tell which. */
const NEVER = [403, 404, 405, 501];

async function send(members: readonly LeasedVersion[], { entriesOf, call, onNever }: TogetherParts, waitForOthers: boolean): Promise<Sent> {
  if (members.some(({ leaseUntil }) => performance.now() >= leaseUntil)) return { kind: 'failed', result: again('The lease ended before HAPI answered') };
  const entries = members.flatMap(entriesOf);
  const answer = await call({ method: 'POST', path: '', waitForOthers, body: `{"resourceType":"Bundle","type":"transaction","entry":[${entries.map(printEntry).join(',')}]}` });
  if (answer.status === 200 && answer.type === 'Bundle') return read(answer.resource, entries.length);
  if (NEVER.includes(answer.status)) onNever();
  const result = failureOf(answer, { type: 'Bundle', id: 'transaction', refusals: 0 });
  const collided = COLLISIONS.includes(answer.status);
  if (collided || NEVER.includes(answer.status) || (result.kind === 'again' && result.refused)) return { kind: 'refused', collided };
  return { kind: 'failed', result };
}

function printEntry({ reference, body, expected }: TransactionEntry): string {
  return `{"resource":${body},"request":{"method":"PUT","url":"${reference}","ifMatch":"W/\\"${expected}\\""}}`;
}

/** HAPI answers entry for entry, and names the version that each made. What it does not name may not be there. */
function read(bundle: JsonObject, count: number): Sent {
  const entries = Array.isArray(bundle['entry']) ? bundle['entry'] : [];
  const versions = entries.flatMap((entry) => (isJsonObject(entry) && isJsonObject(entry['response']) ? versionOf(entry['response']) ?? [] : []));
  if (versions.length === count && entries.length === count) return { kind: 'done', versions };
  return { kind: 'failed', result: again('HAPI does not say of each part of a transaction what became of it') };
}

function versionOf({ status, location }: JsonObject): string | undefined {
  if (typeof status !== 'string' || !/^20[01]\b/.test(status) || typeof location !== 'string') return undefined;
  return /\/_history\/([^/]+)$/.exec(location)?.[1];
}
