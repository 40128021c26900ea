// The roles with which a user came last: tokens alone say who has which, so the record is asked what it saw.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';

export interface SeenRoles {
  roles: string[];
  /** FHIR instant of the access. */
  recorded: string;
}

/** `user` is a fhirUser: Practitioner/1. undefined when the record has no access of that user. */
export async function rolesOfUser(tx: Transaction, org: OrgId, user: string): Promise<SeenRoles | undefined> {
  const { rows } = await tx.query<{ body: string }>({
    text: 'select e.body from access_event e where e.org = $1 and e.agent_user = $2 order by e.id desc limit 1', values: [org, user],
  });
  const [row] = rows;
  if (row === undefined) return undefined;
  const { agent, recorded } = JSON.parse(row.body) as { agent: { roles?: string[] }; recorded: string };
  return { roles: agent.roles ?? [], recorded };
}
