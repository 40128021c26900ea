// The record of a removal from the record itself: the event whose leaf holds the signed statement.
import { userInfo } from 'node:os';
import type { AccessEvent } from '../audit/access-event.ts';
import type { OrgId } from '../database/tables.ts';
import { printInstant } from '../fhir/instant.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { AccessRecorder } from './record-access.ts';

export interface RecordedRemoval {
  /** The operator's organisation: accesses of all organisations go. */
  org: OrgId;
  orgName: string;
  statement: string;
  /** For people. */
  what: string;
}

/** Resolves when the event is committed, before anything is removed. */
export async function recordRemoval({ recorder, observer }: { recorder: AccessRecorder; observer: string }, { org, orgName, statement, what }: RecordedRemoval): Promise<{ org: OrgId; event: string }> {
  const now = Date.now();
  const id = newUuidV7(now);
  const event: AccessEvent = {
    action: 'E', agent: { client: 'muniment-record', issuer: observer, name: userInfo().username, subject: userInfo().username }, entities: [], id, interaction: 'operation', layout: 1,
    observer, org: orgName, outcome: 0, outcomeDesc: what, recorded: printInstant(now), removal: statement, request: { method: 'POST', url: '$record-remove' }, requestId: id, status: 200,
  };
  await recorder.record([{ org, event }]);
  return { org, event: id };
}
