// The policy of the caller's organisation: read with its ETag, replaced by a version that names the one before, explained.
import { explainPolicy, type PolicyQuestion } from '../access/explain-policy.ts';
import { ACTIONS, CATEGORIES, DOCUMENT_CATEGORIES, type Action, type Category, type Policy } from '../access/policy.ts';
import { creatorOf } from '../access/principal.ts';
import { readRules, sameRules } from '../access/read-rules.ts';
import type { Transaction } from '../database/database.ts';
import { printInstant } from '../fhir/instant.ts';
import { matchesVersion, versionTag } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { JsonObject, JsonValue } from '../fhir/json.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import type { Organisations } from '../resources/organisation.ts';
import { addPolicyVersion, listPolicyChanges, readNewestPolicy, readPolicyVersion, type PolicyChange } from '../resources/policy-versions.ts';
import { rolesOfUser } from '../resources/roles-of-user.ts';
import { jsonAnswer, readAdminBody, readText } from './admin-body.ts';

const REASON_CHARACTERS_MAX = 500;

const policyReference = (org: string, version: number): string => `urn:muniment:policy:${org}/_history/${version}`;
const touched = (org: string, version: number): Outcome['entities'] => [{ reference: policyReference(org, version), role: 'data' }];

function shownChange({ version, changedAt, changedBy, changedByUser, reason }: PolicyChange & { version: number }): object {
  const [issuer, subject, client] = changedBy.split('|');
  return { version, changed: printInstant(changedAt), by: { issuer, subject, client, ...(changedByUser === undefined ? {} : { fhirUser: changedByUser }) }, reason };
}

function policyAnswer(org: string, policy: Policy, change?: PolicyChange & { version: number }): Outcome {
  const value = {
    organisation: org, version: policy.version, ...(change === undefined ? { shipped: policy.version === 0 } : { change: shownChange(change) }), rules: policy.rules,
    actions: ACTIONS, categories: CATEGORIES,
  };
  return { response: jsonAnswer(200, value, { ETag: versionTag(policy.version) }), entities: touched(org, policy.version) };
}

export function readOwnPolicy(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org }) => {
      const policy = await readNewestPolicy(tx, org.id);
      const [change] = policy.version === 0 ? [] : await listPolicyChanges(tx, org.id, 1);
      return policyAnswer(org.name, policy, change);
    },
  });
}

export function listOwnPolicies(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org }) => {
      const changes = await listPolicyChanges(tx, org.id);
      return { response: jsonAnswer(200, { organisation: org.name, versions: changes.map(shownChange) }), entities: touched(org.name, changes[0]?.version ?? 0) };
    },
  });
}

/** Version 0 is the policy as shipped. */
export function readOwnPolicyVersion(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const text = request.parameters?.['version'] ?? '';
      const policy = /^(0|[1-9]\d{0,8})$/.test(text) ? await readPolicyVersion(tx, org.id, Number(text)) : undefined;
      if (policy === undefined) throw fhirError('not-found', 'The policy has no such version');
      return policyAnswer(org.name, policy);
    },
  });
}

function requireVersion({ request }: InteractionContext, current: Policy): void {
  const ifMatch = request.header('if-match');
  const headers = { ETag: versionTag(current.version) };
  if (ifMatch === undefined) throw fhirError('if-match-required', `A policy is replaced with If-Match; it is at version ${current.version}`, { headers });
  if (!matchesVersion(ifMatch, current.version)) throw fhirError('version-mismatch', `The policy is at version ${current.version}`, { headers });
}

/** Rules that went and rules that came, for the record: both versions are there in whole. */
function ruleChange(org: string, before: Policy, next: Policy): NonNullable<Outcome['change']> {
  const lines = ({ rules }: Policy): string[] => rules.map(({ role, category, action, effect }) => [effect, role, category, action].join(' '));
  const without = (some: Policy, others: Policy): string => {
    const known = new Set(lines(others));
    return JSON.stringify({ version: some.version, rules: lines(some).filter((line) => !known.has(line)) });
  };
  return { reference: policyReference(org, next.version), before: without(before, next), after: without(next, before) };
}

/** Rules that say what is in force already make no new version. */
export function replaceOwnPolicy(organisations: Organisations): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: async ({ request }) => {
      const body = await readAdminBody(request, ['rules', 'reason']);
      return { rules: readRules(body['rules']), reason: readText(body['reason'], 'reason', REASON_CHARACTERS_MAX) };
    },
    run: async (tx, context, { rules, reason }) => {
      const { org, principal, now } = context;
      const current = await readNewestPolicy(tx, org.id);
      requireVersion(context, current);
      if (sameRules(current.rules, rules)) return policyAnswer(org.name, current);
      const policy = { version: current.version + 1, rules };
      const change = { changedAt: now, changedBy: creatorOf(principal), reason, ...(principal.fhirUser === undefined ? {} : { changedByUser: principal.fhirUser }) };
      await addPolicyVersion(tx, org.id, policy, change);
      context.note?.(`Policy changed: ${reason}`);
      return { ...policyAnswer(org.name, policy, { version: policy.version, ...change }), change: ruleChange(org.name, current, policy), afterCommit: () => organisations.forget(org.name) };
    },
  });
}

const strings = (value: JsonValue | undefined, member: string): string[] => {
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (list.length > 50 || !list.every((one) => typeof one === 'string' && one !== '')) throw fhirError('structure', `${member} must be a string, or several in an array`, { expression: member });
  return list as string[];
};

function oneOf<Code extends string>(codes: readonly Code[], member: string, value: string): Code {
  if (!(codes as readonly string[]).includes(value)) throw fhirError('code-invalid', `${member} must be one of ${codes.join(', ')}`, { expression: member });
  return value as Code;
}

const ASKED_CATEGORIES: readonly Category[] = [...DOCUMENT_CATEGORIES, 'AuditEvent', 'Provenance'];

function readQuestion(body: JsonObject): PolicyQuestion {
  const [action, ...further] = strings(body['can'], 'can');
  if (action === undefined || further.length > 0) throw fhirError('required', 'can names one action', { expression: 'can' });
  const scope = body['scope'] === undefined ? undefined : readText(body['scope'], 'scope', 8_192);
  const patient = body['patient'] === undefined ? undefined : readText(body['patient'], 'patient', 64);
  return {
    roles: strings(body['as'], 'as'), action: oneOf<Action>(ACTIONS, 'can', action), categories: strings(body['category'], 'category').map((one) => oneOf(ASKED_CATEGORIES, 'category', one)),
    ...(scope === undefined ? {} : { scope }), ...(patient === undefined ? {} : { patient }), ...(body['type'] === undefined ? {} : { type: readText(body['type'], 'type', 64) }),
  };
}

/** A user stands for the roles of their last access. */
async function rolesAsked(tx: Transaction, org: InteractionContext['org'], as: readonly string[]): Promise<{ roles: readonly string[]; seen: object }> {
  const [user, ...further] = as;
  if (user?.includes('/') !== true) return { roles: as, seen: {} };
  const found = further.length > 0 ? undefined : await rolesOfUser(tx, org.id, user);
  if (found === undefined) throw fhirError('business-rule', 'as names roles, or one user of whom the record has an access', { expression: 'as' });
  return { roles: found.roles, seen: { user, rolesSeen: found.recorded } };
}

/** `$explain`: with `rules` of a draft that is not in force yet. */
export function explainOwnPolicy(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    prepare: async ({ request }) => {
      const body = await readAdminBody(request, ['as', 'can', 'category', 'scope', 'patient', 'type', 'rules']);
      return { question: readQuestion(body), draft: body['rules'] === undefined ? undefined : readRules(body['rules']) };
    },
    run: async (tx, { org }, { question, draft }) => {
      const current = await readNewestPolicy(tx, org.id);
      const { roles, seen } = await rolesAsked(tx, org, question.roles);
      const answer = explainPolicy(draft === undefined ? current : { version: current.version, rules: draft }, { ...question, roles });
      return { response: jsonAnswer(200, { organisation: org.name, roles, ...seen, ...answer, ...(draft === undefined ? {} : { draft: true }) }), entities: touched(org.name, current.version) };
    },
  });
}
