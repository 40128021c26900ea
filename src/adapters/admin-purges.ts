// What is due for review, and purges: asked for by one administrator and approved by another, after the retention and never
// under a legal hold.
import { mayPurge } from '../access/category-policy.ts';
import { creatorOf, type Principal } from '../access/principal.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { RESOURCE_TYPES, typeName, typeNumber } from '../fhir/resource-type.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { patientEntity } from '../interactions/write-outcome.ts';
import { defineInteraction, type FhirRequest, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { requireNoHold } from '../resources/legal-holds.ts';
import { readAllVersions } from '../log/read-versions.ts';
import { purgeResource } from '../resources/purge-resource.ts';
import { decidePurge, insertPurge, listPurges, readPurge, type Purge, type PurgeState } from '../resources/purges.ts';
import { lockNewest } from '../resources/read-version.ts';
import { listDue, readRetention, RETAINED_TYPES, START_OF_LIST, type DueDocument, type Retention, type RetentionCursor } from '../resources/retention.ts';
import { RETENTION_PROFILES, type RetentionProfile } from '../resources/retention-profiles.ts';
import { jsonAnswer, pageCount, readAdminBody, readText } from './admin-body.ts';
import { REASON_CHARACTERS_MAX } from './admin-holds.ts';
import { isSamePerson, personOf } from './admin-person.ts';

export interface PurgeAdminParts {
  fhirBase: string;
  /** Removes the bytes and issues the certificate; rejects where that has to be tried again. */
  finishPurge(org: { id: number; name: string }, id: string): Promise<void>;
}

const profileOf = ({ org }: InteractionContext): RetentionProfile => org.limits?.retention ?? 'uk';
const idOf = ({ parameters }: FhirRequest): string => parameters?.['id'] ?? '';

function shownDue({ reference, version, class: name, lastActivity, until, deleted, patient, hold }: DueDocument): object {
  return {
    reference, version, class: name, lastActivity: printInstant(lastActivity), ...(until === undefined ? {} : { until: printInstant(until) }), deleted, ...(patient === null ? {} : { patient: patient.includes('/') ? patient : `Patient/${patient}` }),
    ...(hold === undefined ? {} : { hold: { id: hold.id, target: hold.target, reason: hold.reason } }),
  };
}

/** Raises 400 `invalid-parameter`. */
function cursorOf({ query }: FhirRequest): RetentionCursor {
  const after = query.find(([name]) => name === 'after')?.[1];
  if (after === undefined) return START_OF_LIST;
  const [, instant = '', name, id = ''] = /^([^,]{1,40}),([A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})$/.exec(after) ?? [];
  const type = RETAINED_TYPES.find((known) => known === name);
  const lastActivity = Date.parse(instant);
  if (type === undefined || Number.isNaN(lastActivity)) throw fhirError('invalid-parameter', 'after is what a `next` of this list named');
  return { lastActivity, type: typeNumber(type), id };
}

/** The documents and bytes whose retention is over: for review. Held ones are named with their hold. */
export function listRetention(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, context) => {
      const { org, request, now } = context;
      const count = pageCount(request);
      const profile = profileOf(context);
      const { due, next } = await listDue(tx, org.id, profile, { now, after: cursorOf(request), limit: count });
      const more = next === undefined ? {} : { next: `/admin/retention?after=${new Date(next.lastActivity).toISOString()},${typeName(next.type)}/${next.id}&_count=${count}` };
      const classes = RETENTION_PROFILES[profile].map(({ code, period, text }) => ({ code, ...(period === undefined ? {} : { period }), text }));
      return { response: jsonAnswer(200, { profile, classes, due: due.map(shownDue), ...more }), entities: due.map(({ reference, version }) => ({ reference: `${reference}/_history/${version}`, role: 'data' as const })) };
    },
  });
}

function shownPurge({ id, reference, state, reason, requested, requestedBy, decided, retention, done, certificate }: Purge): object {
  return {
    id, reference, state, reason, requested: { at: printInstant(requested.getTime()), by: personOf(requestedBy) },
    ...(decided === undefined ? {} : { [state === 'withdrawn' ? 'withdrawn' : 'approved']: { at: printInstant(decided.at.getTime()), by: personOf(decided.by), ...(decided.reason === undefined ? {} : { reason: decided.reason }) } }),
    ...(retention === undefined ? {} : { retention: { class: retention.class, until: printInstant(retention.until.getTime()) } }),
    ...(done === undefined ? {} : { done: printInstant(done.getTime()) }), ...(certificate === undefined || done === undefined ? {} : { certificate: `DocumentReference/${certificate}` }),
  };
}

const touched = (purges: readonly Purge[]): Outcome['entities'] => purges.flatMap(({ id, reference, certificate, done }) => [
  { reference, role: 'data' as const }, { reference: `urn:muniment:purge:${id}`, role: 'data' as const }, ...(certificate === undefined || done === undefined ? [] : [{ reference: `DocumentReference/${certificate}`, role: 'data' as const }]),
]);
const answer = (status: number, purge: Purge, headers: Record<string, string> = {}): Outcome => ({ response: jsonAnswer(status, shownPurge(purge), headers), entities: touched([purge]) });
const unknown = (): Error => fhirError('not-found', 'There is no such purge');

export function listAllPurges(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const count = pageCount(request);
      const value = (name: string): string | undefined => request.query.find(([key]) => key === name)?.[1];
      const [asked, before] = [value('state'), value('before')];
      const states: readonly PurgeState[] = ['requested', 'withdrawn', 'approved', 'done'];
      const state = states.find((one) => one === asked);
      if (asked !== undefined && state === undefined) throw fhirError('invalid-parameter', `state is one of ${states.join(', ')}`);
      const found = await listPurges(tx, org.id, { ...(before === undefined ? {} : { before }), ...(state === undefined ? {} : { state }), limit: count + 1 });
      const page = found.slice(0, count);
      const next = found.length > count ? { next: `/admin/purges?${state === undefined ? '' : `state=${state}&`}before=${page.at(-1)?.id ?? ''}&_count=${count}` } : {};
      return { response: jsonAnswer(200, { purges: page.map(shownPurge), ...next }), entities: touched(page) };
    },
  });
}

export function readOnePurge(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const purge = await readPurge(tx, org.id, idOf(request));
      if (purge === undefined) throw unknown();
      return answer(200, purge);
    },
  });
}

function requireRight(principal: Principal): void {
  if (!mayPurge(principal)) throw fhirError('forbidden', 'The role does not allow to purge');
}

interface Purgeable {
  row: VersionRow;
  retention: Retention & { until: number };
}

/** Locked for the transaction. Raises 404, 409 `conflict` for what has nothing left or belongs to a document, 422 `business-rule` before its time, 423 `held`. */
async function requirePurgeable(tx: Transaction, context: InteractionContext, type: number, id: string): Promise<Purgeable> {
  const { org, now } = context;
  const reference = `${typeName(type)}/${id}`;
  const row = await lockNewest(tx, org.id, type, id);
  if (row === undefined) throw fhirError('not-found', `${reference} is not known here`);
  await requireNoHold(tx, row);
  const retention = await readRetention(tx, org.id, type, id, profileOf(context));
  if (retention === undefined) throw fhirError('conflict', type === RESOURCE_TYPES.Binary ? `${reference} was purged, or belongs to a document, and goes with that` : `${reference} was purged already`);
  const { until } = retention;
  if (until === undefined || until > now) {
    const when = until === undefined ? 'for good' : `until ${printInstant(until)}`;
    throw fhirError('business-rule', `${reference} is kept ${when} (class ${retention.class})`, { members: { class: retention.class, ...(until === undefined ? {} : { until: printInstant(until) }) } });
  }
  return { row, retention: { ...retention, until } };
}

export function requestPurge(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: async ({ request, principal }) => {
      requireRight(principal);
      const body = await readAdminBody(request, ['reference', 'reason']);
      const [, name, id = ''] = /^([A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})$/.exec(readText(body['reference'], 'reference', 100)) ?? [];
      const type = RETAINED_TYPES.find((known) => known === name);
      if (type === undefined) throw fhirError('code-invalid', `reference is one of ${RETAINED_TYPES.map((known) => `${known}/ID`).join(', ')}`, { expression: 'reference' });
      return { type: typeNumber(type), id, reason: readText(body['reason'], 'reason', REASON_CHARACTERS_MAX) };
    },
    run: async (tx, context, { type, id: resource, reason }) => {
      const { org, principal, now, note } = context;
      await requirePurgeable(tx, context, type, resource);
      const purge: Purge = { id: newUuidV7(now), type, resource, reference: `${typeName(type)}/${resource}`, state: 'requested', reason, requested: new Date(now), requestedBy: creatorOf(principal) };
      if (!await insertPurge(tx, org.id, purge)) throw fhirError('conflict', `A purge of ${purge.reference} is open already`);
      note?.(`Purge requested: ${reason}`);
      return answer(201, purge, { Location: `/admin/purges/${purge.id}` });
    },
  });
}

async function openPurge(tx: Transaction, { org, request }: InteractionContext): Promise<Purge> {
  const purge = await readPurge(tx, org.id, idOf(request), true);
  if (purge === undefined) throw unknown();
  if (purge.state !== 'requested') throw fhirError('conflict', `This purge is ${purge.state} already`);
  return purge;
}

const readDecision = async ({ request }: InteractionContext): Promise<string> => readText((await readAdminBody(request, ['reason']))['reason'], 'reason', REASON_CHARACTERS_MAX);

export function withdrawPurge(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: (context) => {
      requireRight(context.principal);
      return readDecision(context);
    },
    run: async (tx, context, reason) => {
      const purge = await openPurge(tx, context);
      const decided = { at: new Date(context.now), by: creatorOf(context.principal), reason };
      await decidePurge(tx, context.org.id, purge.id, { state: 'withdrawn', decided });
      context.note?.(`Purge withdrawn: ${reason}`);
      return answer(200, { ...purge, state: 'withdrawn', decided });
    },
  });
}

/** By somebody else than whoever asked. All of it is decided anew: retention and holds are those of this moment. */
export function approvePurge(parts: PurgeAdminParts): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: (context) => {
      requireRight(context.principal);
      return readDecision(context);
    },
    run: async (tx, context, reason) => {
      const { org, principal, now, eventId, note, read } = context;
      const purge = await openPurge(tx, context);
      const by = creatorOf(principal);
      if (isSamePerson(purge.requestedBy, by)) throw fhirError('business-rule', 'A purge is approved by somebody else than whoever requested it');
      const { row, retention } = await requirePurgeable(tx, context, purge.type, purge.resource);
      const purged = await purgeResource(tx, { purge: purge.id, fhirBase: parts.fhirBase, now, event: eventId, readVersions: readAllVersions }, row);
      const decided = { at: new Date(now), by, reason };
      const certificate = newUuidV7(now);
      await decidePurge(tx, org.id, purge.id, { state: 'approved', decided, certificate, retention: { class: retention.class, until: new Date(retention.until) } });
      note?.(`Purge approved: ${reason}`);
      const outcome = answer(200, { ...purge, state: 'approved', decided, retention: { class: retention.class, until: new Date(retention.until) } });
      const targets = purged.map(({ reference, last }) => `${reference}/_history/${last}`);
      return {
        ...outcome,
        entities: [...patientEntity(row.patient), ...targets.map((reference) => ({ reference, role: 'data' as const })), { reference: `urn:muniment:purge:${purge.id}`, role: 'data' }],
        purge: { versions: purged.flatMap(({ versions }) => versions), requestedBy: purge.requestedBy, approvedBy: by, certificate: `DocumentReference/${certificate}` },
        write: { activity: 'DELETE', targets, sources: targets.map((reference) => ({ role: 'removal' as const, reference })), authors: [] },
        complete: async () => {
          // What is not done now is done by the server later: the answer says how far it is.
          await parts.finishPurge(org, purge.id).catch(() => undefined);
          const current = await read((reading) => readPurge(reading, org.id, purge.id)).catch(() => undefined);
          return current === undefined ? outcome : answer(200, current);
        },
      };
    },
  });
}
