// The record of an object that left a store without ever having been a content: nobody's, so the operator's.
import { userInfo } from 'node:os';
import type { AccessEvent } from '../audit/access-event.ts';
import type { OrgId } from '../database/tables.ts';
import { printInstant } from '../fhir/instant.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { AccessRecorder } from './record-access.ts';

/** Resolves when the event is committed, before anything is removed. `what` is for people. */
export async function recordStrayRemoval({ recorder, observer }: { recorder: AccessRecorder; observer: string }, { org, orgName, what }: { org: OrgId; orgName: string; what: string }): Promise<void> {
  const now = Date.now();
  const id = newUuidV7(now);
  const event: AccessEvent = {
    action: 'E', agent: { client: 'muniment-inventory', issuer: observer, name: userInfo().username, subject: userInfo().username }, entities: [], id, interaction: 'operation', layout: 1,
    observer, org: orgName, outcome: 0, outcomeDesc: what, recorded: printInstant(now), request: { method: 'POST', url: '$inventory?remove=true' }, requestId: id, status: 200,
  };
  await recorder.record([{ org, event }]);
}
