// Deliveries to HAPI that wait for a person, for administrators of the organisation: listed, shown, tried again, given up.
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { defineInteraction, type FhirRequest, type Interaction, type Outcome } from '../interactions/interaction.ts';
import { describeHead, readHeadReference, readParked, replayDeliveries, skipDelivery, type HeadDescription, type HeadKey, type ParkedDelivery } from '../mirror/parked-deliveries.ts';
import { jsonAnswer, pageCount, readAdminBody, readText } from './admin-body.ts';

const REASON_CHARACTERS_MAX = 500;
const NAMED_MAX = 50;

const instant = (date: Date | null): string | null => (date === null ? null : printInstant(date.getTime()));
const touched = (references: readonly string[]): Outcome['entities'] => references.slice(0, NAMED_MAX).map((reference) => ({ reference, role: 'data' as const }));

function shownParked({ reference, attempts, parkedAt, reason }: ParkedDelivery): object {
  return { reference, attempts, parked: instant(parkedAt), reason };
}

function shownHead({ nextAt, parkedAt, skipped, ...head }: HeadDescription): object {
  return { ...head, next: instant(nextAt), parked: instant(parkedAt), skipped: skipped.map(({ version, reason, at }) => ({ version, reason, at: instant(at) })) };
}

/** Raises 404 for what is no resource of this server. */
function keyOf(request: FhirRequest, org: number): HeadKey {
  const { type, id } = request.parameters ?? {};
  const named = readHeadReference(`${type}/${id}`);
  if (named === undefined) throw fhirError('not-found', 'The mirror knows nothing of it');
  return { org, ...named };
}

/** In the order of their references; `after` is the last one that was seen. */
export function listDeliveries(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const count = pageCount(request);
      const after = request.query.find(([name]) => name === 'after')?.[1] ?? '';
      if (after !== '' && readHeadReference(after) === undefined) throw fhirError('invalid-parameter', 'after is a reference such as DocumentReference/1');
      const found = await readParked(tx, org.id, after, count + 1);
      const page = found.slice(0, count);
      const last = page.at(-1)?.reference.split('/_history/')[0] ?? '';
      const next = found.length > count ? { next: `/admin/deliveries?after=${encodeURIComponent(last)}&_count=${count}` } : {};
      return { response: jsonAnswer(200, { parked: page.map(shownParked), ...next }), entities: touched(page.map(({ reference }) => reference)) };
    },
  });
}

export function showDelivery(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const head = await describeHead(tx, keyOf(request, org.id));
      if (head === undefined) throw fhirError('not-found', 'The mirror knows nothing of it');
      return { response: jsonAnswer(200, shownHead(head)), entities: touched([head.reference]) };
    },
  });
}

const readReason = async ({ request }: { request: FhirRequest }): Promise<string> => readText((await readAdminBody(request, ['reason']))['reason'], 'reason', REASON_CHARACTERS_MAX);

/** One of them, or without a resource in the path all of the organisation. */
export function replayDelivery(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: readReason,
    run: async (tx, { org, request, note }, reason) => {
      const one = request.parameters?.['type'] !== undefined;
      const replayed = await replayDeliveries(tx, one ? keyOf(request, org.id) : { org: org.id });
      if (one && replayed.length === 0) throw fhirError('not-found', 'Nothing of it is parked');
      note?.(`Deliveries tried again: ${reason}`);
      return { response: jsonAnswer(200, { replayed: replayed.length, references: replayed.slice(0, NAMED_MAX) }), entities: touched(replayed) };
    },
  });
}

export function giveUpDelivery(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: readReason,
    run: async (tx, { org, request, note }, reason) => {
      const skipped = await skipDelivery(tx, keyOf(request, org.id), reason);
      if (skipped === undefined) throw fhirError('not-found', 'Nothing of it is parked');
      note?.(`Delivery given up: ${reason}`);
      return { response: jsonAnswer(200, { skipped }), entities: touched([skipped]) };
    },
  });
}
