// What was shown of one patient or document, and to whom: the reads and searches of the record that succeeded and had data
// of it in their answer (accounting of disclosures, 45 CFR 164.528).
import type { AccessEvent } from '../audit/access-event.ts';
import { ENTITY_ROLES } from '../audit/access-index.ts';
import { touchedResources } from '../audit/touched-references.ts';
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { uuidV7Floor } from '../fhir/uuid-v7.ts';

/** Milliseconds: from `from` on, before `until`. */
export interface DisclosurePeriod {
  from: number;
  until: number;
}

/** Whoever asks for an accounting of a document names it, and is shown nothing of it. */
const ASKING = /\/\$disclosures(\?|$)/;

/** Accesses, newest first, `limit` at most of those that named the subject. Writes disclose nothing, and neither does what found nothing. */
export async function readDisclosures(tx: Transaction, org: OrgId, subject: { reference: string; role: 'patient' | 'data' }, { from, until }: DisclosurePeriod, limit: number): Promise<AccessEvent[]> {
  const { rows } = await tx.query<{ body: string }>({
    name: 'read-disclosures',
    text: `select e.body from access_entity x join access_event e on e.org = x.org and e.id = x.event
      where x.org = $1 and x.reference = $2 and x.role = $7 and x.event >= $3::uuid and x.event < $4::uuid and e.outcome = 0 and e.action in ('R', 'E')
        and strpos(e.body, $6) > 0
      order by x.event desc limit $5`,
    values: [org, subject.reference, uuidV7Floor(from), uuidV7Floor(until), limit, '"role":"data"', ENTITY_ROLES[subject.role]],
  });
  return rows.map(({ body }) => JSON.parse(body) as AccessEvent).filter((event) => touchedResources(event).length > 0 && !ASKING.test(event.request.url));
}
