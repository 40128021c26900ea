// The review list of emergencies: who broke the glass for whom and why, how much was asked under it, and who looked at it since.
import { creatorOf } from '../access/principal.ts';
import { EMERGENCY_SYSTEM } from '../audit/touched-references.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { defineInteraction, type FhirRequest, type Interaction, type Outcome } from '../interactions/interaction.ts';
import { emergencyReference, listEmergencies, readEmergency, reviewEmergency, type Emergency } from '../resources/emergencies.ts';
import { jsonAnswer, pageCount, readAdminBody, readText } from './admin-body.ts';

const NOTE_CHARACTERS_MAX = 1_000;

function shown({ id, patient, declared, expires, by, reason, review, accesses }: Emergency): object {
  const [issuer, subject, client] = review?.by.split('|') ?? [];
  return {
    id, patient: `Patient/${patient}`, declared: printInstant(declared.getTime()), expires: printInstant(expires.getTime()), by, reason, accesses,
    record: `AuditEvent?entity:identifier=${encodeURIComponent(`${EMERGENCY_SYSTEM}|${id}`)}`,
    ...(review === undefined ? {} : { review: { at: printInstant(review.at.getTime()), by: { issuer, subject, client }, note: review.note } }),
  };
}

const touched = (emergencies: readonly Emergency[]): Outcome['entities'] => emergencies.map(({ id }) => ({ reference: emergencyReference(id), role: 'data' }));
const answer = (emergency: Emergency): Outcome => ({ response: jsonAnswer(200, shown(emergency)), entities: touched([emergency]) });
const idOf = ({ parameters }: FhirRequest): string => parameters?.['id'] ?? '';
const unknown = (): Error => fhirError('not-found', 'There is no such emergency');

/** `reviewed=all` shows those that were reviewed as well. */
export function listBrokenGlass(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const count = pageCount(request);
      const value = (name: string): string | undefined => request.query.find(([key]) => key === name)?.[1];
      const [reviewed, before] = [value('reviewed') ?? 'no', value('before')];
      if (reviewed !== 'no' && reviewed !== 'all') throw fhirError('invalid-parameter', 'reviewed is no or all');
      const found = await listEmergencies(tx, org.id, { ...(before === undefined ? {} : { before }), openOnly: reviewed === 'no', limit: count + 1 });
      const page = found.slice(0, count);
      const next = found.length > count ? { next: `/admin/break-glass?reviewed=${reviewed}&before=${page.at(-1)?.id ?? ''}&_count=${count}` } : {};
      return { response: jsonAnswer(200, { emergencies: page.map(shown), ...next }), entities: touched(page) };
    },
  });
}

export function readBrokenGlass(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const emergency = await readEmergency(tx, org.id, idOf(request));
      if (emergency === undefined) throw unknown();
      return answer(emergency);
    },
  });
}

/** Once, and by somebody else than whoever broke the glass. */
export function reviewBrokenGlass(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: async ({ request }) => readText((await readAdminBody(request, ['note']))['note'], 'note', NOTE_CHARACTERS_MAX),
    run: async (tx, { org, request, principal, now }, note) => {
      const emergency = await readEmergency(tx, org.id, idOf(request), true);
      if (emergency === undefined) throw unknown();
      if (emergency.review !== undefined) throw fhirError('conflict', 'This emergency was reviewed already');
      if (emergency.by.issuer === principal.issuer && emergency.by.subject === principal.subject) throw fhirError('business-rule', 'An emergency is reviewed by somebody else than whoever declared it');
      const review = { at: new Date(now), by: creatorOf(principal), note };
      await reviewEmergency(tx, org.id, emergency.id, review);
      return answer({ ...emergency, review });
    },
  });
}
