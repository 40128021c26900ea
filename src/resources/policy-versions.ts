// The versions of an organisation's policy: each change adds one with all of its rules, and none is ever changed.
import type { Policy, PolicyRule } from '../access/policy.ts';
import { SHIPPED_POLICY } from '../access/policy.ts';
import type { Database, Statement, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';

/** Who changed a policy, and why. */
export interface PolicyChange {
  /** Milliseconds. */
  changedAt: number;
  /** issuer|subject|client */
  changedBy: string;
  /** fhirUser: Practitioner/1 */
  changedByUser?: string;
  reason: string;
}

function rulesStatement(org: OrgId, version: number): Statement {
  return {
    name: 'policy-rules',
    text: 'select role, category, action, effect from policy_rule where org = $1 and version = $2 order by role, category, action, effect',
    values: [org, version],
  };
}

/** The rules of one version; version 0 is the policy as shipped. */
export async function readPolicy(database: Pick<Database, 'select'>, org: OrgId, version: number): Promise<Policy> {
  if (version === 0) return SHIPPED_POLICY;
  const { rows } = await database.select<PolicyRule>(org, rulesStatement(org, version));
  return { version, rules: rows };
}

interface VersionRow {
  version: number;
  changed_at: Date;
  changed_by: string;
  changed_by_user: string | null;
  reason: string;
}

const VERSIONS_SHOWN = 100;

const changeOf = (row: VersionRow): PolicyChange & { version: number } => ({
  version: row.version, changedAt: row.changed_at.getTime(), changedBy: row.changed_by, reason: row.reason,
  ...(row.changed_by_user === null ? {} : { changedByUser: row.changed_by_user }),
});

/** The changes, newest first, 100 at most. */
export async function listPolicyChanges(tx: Transaction, org: OrgId, limit = VERSIONS_SHOWN): Promise<(PolicyChange & { version: number })[]> {
  const { rows } = await tx.query<VersionRow>({
    text: `select version, changed_at, changed_by, changed_by_user, reason from policy_version where org = $1 order by version desc limit $2`, values: [org, limit],
  });
  return rows.map(changeOf);
}

/** The newest version inside a transaction, with its rules. */
export async function readNewestPolicy(tx: Transaction, org: OrgId): Promise<Policy> {
  const { rows } = await tx.query<{ version: number | null }>({ text: 'select max(version) as version from policy_version where org = $1', values: [org] });
  const version = rows[0]?.version ?? 0;
  if (version === 0) return SHIPPED_POLICY;
  const found = await tx.query<PolicyRule>(rulesStatement(org, version));
  return { version, rules: found.rows };
}

/** undefined when there is no such version. */
export async function readPolicyVersion(tx: Transaction, org: OrgId, version: number): Promise<Policy | undefined> {
  if (version === 0) return SHIPPED_POLICY;
  const { rows } = await tx.query({ text: 'select 1 from policy_version where org = $1 and version = $2', values: [org, version] });
  return rows.length === 0 ? undefined : { version, rules: (await tx.query<PolicyRule>(rulesStatement(org, version))).rows };
}

/** Adds a version. Two at one moment: the second fails on the primary key and is run again by the gate. */
export async function addPolicyVersion(tx: Transaction, org: OrgId, policy: Policy, change: PolicyChange): Promise<void> {
  await tx.query({
    text: 'insert into policy_version (org, version, changed_at, changed_by, changed_by_user, reason) values ($1, $2, $3, $4, $5, $6)',
    values: [org, policy.version, new Date(change.changedAt), change.changedBy, change.changedByUser ?? null, change.reason],
  });
  const column = (of: (rule: PolicyRule) => string): string[] => policy.rules.map(of);
  await tx.query({
    text: `insert into policy_rule (org, version, role, category, action, effect)
      select $1, $2, role, category, action, effect from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as rule (role, category, action, effect)`,
    values: [org, policy.version, column(({ role }) => role), column(({ category }) => category), column(({ action }) => action), column(({ effect }) => effect)],
  });
}
