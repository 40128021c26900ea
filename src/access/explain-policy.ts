// Why a policy permits or denies: the rules that decide, category by category, and what each scope grants. Pure; the verdict
// on scopes is that of `authorize` itself, so that what is explained is what is done.
import { authorize, type AuthorizationRequest } from './authorize.ts';
import { ACTIONS, CATEGORIES, DOCUMENT_CATEGORIES, RECORD_CATEGORIES, rightsOf, rulesOf, type Action, type Category, type Policy, type PolicyRule } from './policy.ts';
import type { Principal } from './principal.ts';
import { parseScopes } from './smart-scope.ts';

export interface PolicyQuestion {
  roles: readonly string[];
  action: Action;
  /** A document in all of these, or AuditEvent or Provenance alone; without any the question is asked of each document category. */
  categories: readonly Category[];
  /** The scopes of the token; without them the question is of the policy alone. */
  scope?: string;
  /** The claim `patient` of the token. */
  patient?: string;
  /** The resource type that the scopes must grant; DocumentReference, or the record's own. */
  type?: string;
}

export interface CategoryVerdict {
  category: Category;
  permitted: boolean;
  /** The rules that decide: the denies, or where there is none the permits. */
  rules: PolicyRule[];
  reason: string;
}

export interface ScopeVerdict {
  scope: string;
  granted: boolean;
  reason: string;
}

export interface PolicyAnswer {
  /** `in part`: some categories are permitted and others are not, or a scope narrows what is permitted. */
  permitted: 'yes' | 'no' | 'in part';
  reason: string;
  /** 0 = as shipped. */
  policyVersion: number;
  categories: CategoryVerdict[];
  scopes?: ScopeVerdict[];
}

/** The interactions that an action means to a scope; the others have no letter of SMART. */
const INTERACTIONS: Readonly<Record<Action, readonly AuthorizationRequest['interaction'][]>> = {
  read: ['read'], search: ['search-type'], write: ['create', 'update'], delete: ['delete'], grant: [], override: [], purge: [],
};

const isRecord = (category: string): boolean => (RECORD_CATEGORIES as readonly string[]).includes(category);
const listed = (words: readonly string[]): string => (words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`);

function printRule({ role, category, action, effect }: PolicyRule): string {
  const what = category === '*' ? 'documents of every category' : isRecord(category) ? category : `documents of ${category}`;
  return `${role} is ${effect === 'permit' ? 'permitted' : 'denied'} ${action} on ${what}`;
}

function judgeCategory(held: readonly PolicyRule[], { roles, action }: PolicyQuestion, category: Category): CategoryVerdict {
  const about = held.filter((rule) => rule.action === action && (rule.category === category || (rule.category === '*' && !isRecord(category))));
  const denies = about.filter(({ effect }) => effect === 'deny');
  if (denies.length > 0) return { category, permitted: false, rules: denies, reason: `${listed(denies.map(printRule))}; a deny wins over every permit` };
  if (about.length > 0) return { category, permitted: true, rules: about, reason: listed(about.map(printRule)) };
  return { category, permitted: false, rules: [], reason: `No rule permits ${listed(roles)} ${action} on ${category}; what no rule permits is denied` };
}

/** A caller whose roles the policy gives everything: what is refused then, the scopes refuse. */
function callerWith(scope: string, { patient, roles }: PolicyQuestion): Principal {
  const named = roles.length === 0 ? [] : ['asked'];
  const everything: PolicyRule[] = CATEGORIES.flatMap((category) => ACTIONS.map((action) => ({ role: 'asked', category, action, effect: 'permit' as const })));
  return {
    issuer: '', subject: '', clientId: '', org: '', roles: named, scopes: parseScopes(scope), rights: rightsOf({ version: 0, rules: everything }, named), expiresAt: 0,
    ...(patient === undefined ? {} : { patient }),
  };
}

/** The narrowest that the scopes make of it: refused, narrowed, or whole. */
function judgeScopes(scope: string, question: PolicyQuestion): { verdict: PolicyAnswer['permitted']; reason: string } {
  const type = question.type ?? question.categories.find(isRecord) ?? 'DocumentReference';
  const caller = callerWith(scope, question);
  const decisions = INTERACTIONS[question.action].map((interaction) => authorize(caller, { interaction, type }));
  const denied = decisions.flatMap((decision) => (decision.permit ? [] : [decision.reason]));
  if (denied.length > 0) return { verdict: denied.length === decisions.length ? 'no' : 'in part', reason: [...new Set(denied)].join('; ') };
  const narrowed = decisions.some((decision) => decision.permit && decision.restriction.kind !== 'none');
  return narrowed
    ? { verdict: 'in part', reason: 'Within a patient or the query of a scope alone' }
    : { verdict: 'yes', reason: INTERACTIONS[question.action].length === 0 ? `SMART has no letter for ${question.action}; the policy alone decides` : `Grants ${question.action} on ${type}` };
}

function judgeScope(scope: string, question: PolicyQuestion): ScopeVerdict {
  const { verdict, reason } = judgeScopes(scope, question);
  const understood = parseScopes(scope).length > 0;
  return { scope, granted: verdict !== 'no', reason: understood || verdict === 'yes' ? reason : 'It is no scope on resources, or not well formed: it grants nothing' };
}

function policyVerdict(question: PolicyQuestion, judged: readonly CategoryVerdict[]): { verdict: PolicyAnswer['permitted']; reason: string } {
  if (question.roles.length === 0) {
    return question.scope === undefined
      ? { verdict: 'no', reason: 'Nobody is asked for: without a role the policy permits nothing, and scopes alone decide' }
      : { verdict: 'yes', reason: 'A token without roles has what its scopes grant' };
  }
  const refused = judged.filter(({ permitted }) => !permitted);
  if (refused.length === 0) return { verdict: 'yes', reason: [...new Set(judged.map(({ reason }) => reason))].join('; ') };
  const [first] = refused;
  if (question.categories.length > 0) return { verdict: 'no', reason: `${first?.reason ?? ''}${judged.length > 1 ? '; a document in several categories needs all of them' : ''}` };
  if (refused.length === judged.length) return { verdict: 'no', reason: [...new Set(refused.map(({ rules, reason }) => (rules.length > 0 ? reason : `No rule permits ${listed(question.roles)} ${question.action} on any document; what no rule permits is denied`)))].join('; ') };
  return { verdict: 'in part', reason: `Documents of ${listed(judged.filter(({ permitted }) => permitted).map(({ category }) => category))} alone` };
}

/** What `policy` and the scopes make of the question, with every rule that decides. */
export function explainPolicy(policy: Policy, question: PolicyQuestion): PolicyAnswer {
  const held = rulesOf(policy, question.roles);
  const asked: readonly Category[] = question.categories.length > 0 ? question.categories : DOCUMENT_CATEGORIES;
  const categories = question.roles.length === 0 ? [] : asked.map((category) => judgeCategory(held, question, category));
  const byPolicy = policyVerdict(question, categories);
  const answer = { policyVersion: policy.version, categories };
  if (question.scope === undefined) return { permitted: byPolicy.verdict, reason: byPolicy.reason, ...answer };
  const byScopes = judgeScopes(question.scope, question);
  const scopes = question.scope.split(' ').filter((scope) => scope !== '').map((scope) => judgeScope(scope, question));
  const permitted = [byPolicy.verdict, byScopes.verdict].includes('no') ? 'no' : [byPolicy.verdict, byScopes.verdict].includes('in part') ? 'in part' : 'yes';
  const reasons = [...(byScopes.verdict === 'yes' ? [] : [byScopes.reason]), ...(byPolicy.verdict === 'yes' && byScopes.verdict !== 'yes' ? [] : [byPolicy.reason])];
  return { permitted, reason: reasons.join('; '), ...answer, scopes };
}
