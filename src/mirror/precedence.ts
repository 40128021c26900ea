// What has to be at HAPI before something else is sent. HAPI makes a placeholder of what a reference points to and it does
// not have; when that very resource is being written at the same moment, HAPI 8.8 lays the placeholder over it as a second
// version, and the document at HAPI is empty. So nothing that refers to a resource of ours travels beside its first version.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { typeNumber } from '../fhir/resource-type.ts';

/** The types that are ours at HAPI and have versions. */
const TYPES = ['Binary', 'DocumentReference', 'Media', 'List'] as const;
const NAMES = TYPES.join('|');
const REFERENCES = new RegExp(`"reference":"(${NAMES})/([A-Za-z0-9.-]{1,64})[/"]`, 'g');
const ANYWHERE = new RegExp(`"(${NAMES})/([A-Za-z0-9.-]{1,64})[/"]`, 'g');

export interface OwnReference {
  org: OrgId;
  type: number;
  id: string;
  /** What is published at or behind this row of the outbox is not waited for; null = whatever is pending. */
  before: string | null;
}

function found(pattern: RegExp, text: string): Pick<OwnReference, 'type' | 'id'>[] {
  return [...text.matchAll(pattern)].map(([, type, id = '']) => ({ type: typeNumber(type as (typeof TYPES)[number]), id }));
}

/** What the JSON of a resource refers to, of our types; the address of an attachment is no reference. */
export const referencesIn = (text: string): Pick<OwnReference, 'type' | 'id'>[] => found(REFERENCES, text);

/** What the canonical JSON of an access event names, of our types. */
export const namedIn = (text: string): Pick<OwnReference, 'type' | 'id'>[] => found(ANYWHERE, text);

export const referenceKey = ({ org, type, id }: Pick<OwnReference, 'org' | 'type' | 'id'>): string => `${org}/${type}/${id}`;

/** Keys of those whose first version is on its way to HAPI. What is parked there is waited for by nobody. */
export async function underWay(tx: Transaction, references: readonly OwnReference[]): Promise<Set<string>> {
  if (references.length === 0) return new Set();
  const { rows } = await tx.query<OwnReference>({
    name: 'mirror-under-way',
    text: `
      select distinct k.org, k.type, k.id from unnest($1::int[], $2::smallint[], $3::text[], $4::bigint[]) as k(org, type, id, before)
      left join lateral (select * from mirror_head where org = k.org and type = k.type and id = k.id offset 0) h on true
      where coalesce(h.delivered_version, 0) = 0 and coalesce(h.state, 'waiting') = 'waiting'
        and exists (select from outbox o where o.org = k.org and o.type = k.type and o.id = k.id and o.seq < coalesce(k.before, o.seq + 1))`,
    values: [references.map(({ org }) => org), references.map(({ type }) => type), references.map(({ id }) => id), references.map(({ before }) => before)],
  });
  return new Set(rows.map(referenceKey));
}
