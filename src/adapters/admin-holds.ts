// Legal holds of the organisation, for its administrators: placed on a document, a patient or all of it, and lifted with a reason.
import { creatorOf } from '../access/principal.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { defineInteraction, type FhirRequest, type Interaction, type Outcome } from '../interactions/interaction.ts';
import { liftHold, listHolds, ORGANISATION_TARGET, placeHold, readHold, type LegalHold } from '../resources/legal-holds.ts';
import { readNewest } from '../resources/read-version.ts';
import { RETAINED_TYPES } from '../resources/retention.ts';
import type { Transaction } from '../database/database.ts';
import { jsonAnswer, pageCount, readAdminBody, readText } from './admin-body.ts';
import { personOf } from './admin-person.ts';

export const REASON_CHARACTERS_MAX = 500;
const REFERENCE = /^([A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})$/;

function shown({ id, target, reason, placed, placedBy, lifted }: LegalHold): object {
  return {
    id, target, reason, placed: printInstant(placed.getTime()), by: personOf(placedBy),
    ...(lifted === undefined ? {} : { lifted: { at: printInstant(lifted.at.getTime()), by: personOf(lifted.by), reason: lifted.reason } }),
  };
}

const touched = (holds: readonly LegalHold[]): Outcome['entities'] => holds.flatMap(({ id, target }) => [
  ...(target.startsWith('Patient/') ? [{ reference: target, role: 'patient' as const }] : target === ORGANISATION_TARGET ? [] : [{ reference: target, role: 'data' as const }]),
  { reference: `urn:muniment:legal-hold:${id}`, role: 'data' as const },
]);
const answer = (status: number, hold: LegalHold, headers: Record<string, string> = {}): Outcome => ({ response: jsonAnswer(status, shown(hold), headers), entities: touched([hold]) });
const idOf = ({ parameters }: FhirRequest): string => parameters?.['id'] ?? '';
const unknown = (): Error => fhirError('not-found', 'There is no such legal hold');

/** Raises 422 for what cannot be held, or is not here. A patient need not be known: documents about them may come. */
async function requireTarget(tx: Transaction, org: number, target: string): Promise<void> {
  const [, type, id = ''] = REFERENCE.exec(target) ?? [];
  if (target === ORGANISATION_TARGET || type === 'Patient') return;
  if (type === undefined || !(RETAINED_TYPES as readonly string[]).includes(type)) throw fhirError('code-invalid', `target is ${ORGANISATION_TARGET}, Patient/ID, or one of ${RETAINED_TYPES.map((name) => `${name}/ID`).join(', ')}`, { expression: 'target' });
  if (await readNewest(tx, org, typeNumber(type as ResourceType), id) === undefined) throw fhirError('reference-target', `${target} is not known here`, { expression: 'target' });
}

/** `lifted=all` shows those that were lifted as well. */
export function listLegalHolds(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const count = pageCount(request);
      const value = (name: string): string | undefined => request.query.find(([key]) => key === name)?.[1];
      const [lifted, before] = [value('lifted') ?? 'no', value('before')];
      if (lifted !== 'no' && lifted !== 'all') throw fhirError('invalid-parameter', 'lifted is no or all');
      const found = await listHolds(tx, org.id, { ...(before === undefined ? {} : { before }), all: lifted === 'all', limit: count + 1 });
      const page = found.slice(0, count);
      const next = found.length > count ? { next: `/admin/holds?lifted=${lifted}&before=${page.at(-1)?.id ?? ''}&_count=${count}` } : {};
      return { response: jsonAnswer(200, { holds: page.map(shown), ...next }), entities: touched(page) };
    },
  });
}

export function readLegalHold(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const hold = await readHold(tx, org.id, idOf(request));
      if (hold === undefined) throw unknown();
      return answer(200, hold);
    },
  });
}

export function placeLegalHold(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: async ({ request }) => {
      const body = await readAdminBody(request, ['target', 'reason']);
      return { target: readText(body['target'], 'target', 100), reason: readText(body['reason'], 'reason', REASON_CHARACTERS_MAX) };
    },
    run: async (tx, { org, principal, now, note }, { target, reason }) => {
      await requireTarget(tx, org.id, target);
      const hold: LegalHold = { id: newUuidV7(now), target, reason, placed: new Date(now), placedBy: creatorOf(principal) };
      await placeHold(tx, org.id, hold);
      note?.(`Legal hold placed on ${target}: ${reason}`);
      return answer(201, hold, { Location: `/admin/holds/${hold.id}` });
    },
  });
}

export function liftLegalHold(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: async ({ request }) => readText((await readAdminBody(request, ['reason']))['reason'], 'reason', REASON_CHARACTERS_MAX),
    run: async (tx, { org, request, principal, now, note }, reason) => {
      const hold = await readHold(tx, org.id, idOf(request), true);
      if (hold === undefined) throw unknown();
      if (hold.lifted !== undefined) throw fhirError('conflict', 'This hold was lifted already');
      const lifted = { at: new Date(now), by: creatorOf(principal), reason };
      await liftHold(tx, org.id, hold.id, lifted);
      note?.(`Legal hold on ${hold.target} lifted: ${reason}`);
      return answer(200, { ...hold, lifted });
    },
  });
}
