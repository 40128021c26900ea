// The record of what a person decides about the mirror: deliveries tried again or given up, and HAPI brought back to what is here.
import { userInfo } from 'node:os';
import type { AccessEvent } from '../audit/access-event.ts';
import type { OrgId } from '../database/tables.ts';
import { printInstant } from '../fhir/instant.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { AccessRecorder } from './record-access.ts';

export interface MirrorDecision {
  org: OrgId;
  orgName: string;
  operation: 'mirror-replay' | 'mirror-skip' | 'mirror-reconcile' | 'mirror-backfill';
  /** Parameters of the command: `reason` of a skip. */
  parameters: Record<string, string>;
  /** `Type/id/_history/version` of what it is about; of many the first 50. */
  references: readonly string[];
}

export type MirrorRecord = (decision: MirrorDecision) => Promise<void>;

const REFERENCES_MAX = 50;
const URL_MAX = 1_000;

/** Resolves when the event is committed: before what was decided is done. */
export function createMirrorRecord({ recorder, observer }: { recorder: AccessRecorder; observer: string }): MirrorRecord {
  return async ({ org, orgName, operation, parameters, references }) => {
    const now = Date.now();
    const id = newUuidV7(now);
    const query = new URLSearchParams(parameters).toString();
    const event: AccessEvent = {
      action: 'E', agent: { client: 'muniment-mirror', issuer: observer, name: userInfo().username, subject: userInfo().username },
      entities: references.slice(0, REFERENCES_MAX).map((reference) => ({ reference, role: 'data' as const })), id, interaction: 'operation', layout: 1, observer, org: orgName, outcome: 0,
      recorded: printInstant(now), request: { method: 'POST', url: `$${operation}${query === '' ? '' : `?${query}`}`.slice(0, URL_MAX) }, requestId: id, status: 200,
    };
    await recorder.record([{ org, event }]);
  };
}
