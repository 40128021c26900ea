// `muniment policy explain`: what a policy permits, and which rule decides. Exit code 0 when it permits, 1 when it does not.
import { parseArgs } from 'node:util';
import { explainPolicy, type PolicyAnswer, type PolicyQuestion } from './access/explain-policy.ts';
import { ACTIONS, CATEGORIES, type Action, type Category } from './access/policy.ts';
import { loadConfig } from './config/config.ts';
import type { Environment } from './config/env.ts';
import type { Database } from './database/database.ts';
import { createLogger } from './logger.ts';
import { openConfiguredDatabase } from './open-parts.ts';
import { tellFailure } from './operator-commands.ts';
import { createOrganisations } from './resources/organisation.ts';
import { rolesOfUser } from './resources/roles-of-user.ts';

const ASKED_CATEGORIES = CATEGORIES.filter((category) => category !== '*');
const USAGE = `Usage: muniment policy explain --as ROLE[,ROLE]|TYPE/ID --can ACTION [flags] [--json]
  says what the policy of an organisation permits, and which rule decides
  --as ROLE[,ROLE]   the roles of a token; TYPE/ID is a user, with the roles of their last access
  --can ACTION       ${ACTIONS.join(', ')}
  --category C[,C]   a document in all of these: ${ASKED_CATEGORIES.join(', ')}
  --org ORG          demo
  --scope SCOPES     the scopes of the token as well
  --patient ID       the patient of the token
  --type TYPE        what the scopes must grant; DocumentReference
Exit code: 0 permitted, also in part; 1 not permitted; 2 used wrongly`;

const OPTIONS = {
  as: { type: 'string' }, can: { type: 'string' }, category: { type: 'string' }, org: { type: 'string', default: 'demo' }, scope: { type: 'string' }, patient: { type: 'string' }, type: { type: 'string' },
  json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
} as const;

interface Wish {
  as: string;
  org: string;
  json: boolean;
  question: Omit<PolicyQuestion, 'roles'>;
}

const words = (text: string): string[] => text.split(',').map((word) => word.trim()).filter((word) => word !== '');

function readWish(flags: readonly string[]): Wish | 'help' | undefined {
  const { values, positionals } = parseArgs({ args: [...flags], options: OPTIONS, allowPositionals: true });
  if (values.help) return 'help';
  const { as, can, org, json, scope, patient, type } = values;
  const categories = words(values.category ?? '');
  const known = (ASKED_CATEGORIES as readonly string[]);
  if (positionals.length !== 1 || positionals[0] !== 'explain' || as === undefined || !(ACTIONS as readonly string[]).includes(can ?? '') || !categories.every((one) => known.includes(one))) return undefined;
  return {
    as, org, json,
    question: {
      action: can as Action, categories: categories as Category[],
      ...(scope === undefined ? {} : { scope }), ...(patient === undefined ? {} : { patient }), ...(type === undefined ? {} : { type }),
    },
  };
}

type Told = PolicyAnswer & { organisation: string; roles: string[]; user?: string; rolesSeen?: string };

/** undefined when there is no such organisation, or the record knows nothing of the user. */
async function explain(database: Database, { as, org, question }: Wish): Promise<Told | string> {
  const { rows } = await database.query<{ id: number }>({ text: 'select id from organisation where name = $1', values: [org] });
  if (rows[0] === undefined) return `There is no organisation ${org}`;
  const { id, policy } = await createOrganisations(database, false).admit(org);
  if (!as.includes('/')) {
    const roles = words(as);
    return { organisation: org, roles, ...explainPolicy(policy, { ...question, roles }) };
  }
  const seen = await database.readTransaction(id, (tx) => rolesOfUser(tx, id, as));
  if (seen === undefined) return `The record of ${org} has no access of ${as}: name the roles instead`;
  return { organisation: org, user: as, roles: seen.roles, rolesSeen: seen.recorded, ...explainPolicy(policy, { ...question, roles: seen.roles }) };
}

const VERDICTS = { 'yes': 'permitted', 'no': 'not permitted', 'in part': 'permitted in part' } as const;

function printed(told: Told, { question }: Wish): string {
  const { permitted, reason, policyVersion, categories, scopes = [], organisation, roles, user, rolesSeen } = told;
  const who = user === undefined ? roles.join(', ') : `${user} (${roles.join(', ') || 'without roles'}, as seen ${rolesSeen ?? ''})`;
  const lines = [
    `${question.action} by ${who} at ${organisation}: ${VERDICTS[permitted]}`,
    `  ${reason}`,
    `  policy: ${policyVersion === 0 ? 'as shipped' : `version ${policyVersion}`}`,
    ...categories.map((verdict) => `  ${verdict.permitted ? 'yes' : 'no '}  ${verdict.category}: ${verdict.reason}`),
    ...scopes.map((verdict) => `  ${verdict.granted ? 'yes' : 'no '}  ${verdict.scope}: ${verdict.reason}`),
  ];
  return lines.join('\n');
}

export async function runPolicyCommand(flags: readonly string[], environment: Environment): Promise<number> {
  try {
    const wish = readWish(flags);
    if (wish === 'help') { process.stdout.write(`${USAGE}\n`); return 0; }
    if (wish === undefined) { process.stderr.write(`${USAGE}\n`); return 2; }
    const opened = await openConfiguredDatabase(loadConfig(environment), createLogger('error'));
    try {
      const told = await explain(opened.database, wish);
      if (typeof told === 'string') { process.stderr.write(`${told}\n`); return 2; }
      process.stdout.write(`${wish.json ? JSON.stringify(told) : printed(told, wish)}\n`);
      return told.permitted === 'no' ? 1 : 0;
    } finally {
      await opened.stop();
    }
  } catch (error) {
    return tellFailure(error);
  }
}
