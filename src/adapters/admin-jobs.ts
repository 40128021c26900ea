// What goes on in the background with how far it is, for the operator; and how much an organisation holds of what it may.
import { readContentUse, type ContentUse } from '../content/quota.ts';
import type { Database } from '../database/database.ts';
import { printInstant } from '../fhir/instant.ts';
import { defineInteraction, type Interaction } from '../interactions/interaction.ts';
import { readBackgroundJobs, type BackgroundJob } from '../resources/background-jobs.ts';
import { jsonAnswer } from './admin-body.ts';

export interface JobParts {
  database: Database;
  scrubDays: number;
}

const at = (date: Date | null): string | null => (date === null ? null : printInstant(date.getTime()));
const shown = ({ startedAt, endedAt, ...job }: BackgroundJob): object => ({ ...job, started: at(startedAt), ended: at(endedAt) });

export function listJobs({ database, scrubDays }: JobParts): Interaction {
  return defineInteraction<BackgroundJob[]>({
    code: 'operation',
    kind: 'read',
    prepare: () => readBackgroundJobs(database, { scrubDays }),
    run: (_tx, _context, jobs) => Promise.resolve({ response: jsonAnswer(200, { jobs: jobs.map(shown) }), entities: [] }),
  });
}

export function readQuota({ database }: JobParts): Interaction {
  return defineInteraction<ContentUse>({
    code: 'operation',
    kind: 'read',
    prepare: ({ org }) => readContentUse(database, org.id),
    run: (_tx, { org }, { bytes, count }) => {
      const { quotaBytes = null, quotaCount = null } = org.limits ?? {};
      return Promise.resolve({ response: jsonAnswer(200, { organisation: org.name, bytes, count, quotaBytes, quotaCount }), entities: [{ reference: `urn:muniment:organisation:${org.name}`, role: 'data' }] });
    },
  });
}
