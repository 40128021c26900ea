// The rules of a policy as an administrator sends them: each checked, in one order, none twice. Pure.
import { FhirError, issueOf, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonValue } from '../fhir/json.ts';
import { ACTIONS, CATEGORIES, type PolicyRule } from './policy.ts';

export const RULES_MAX = 2_000;
const ROLE = /^[^\s,\u0000-\u001f\u007f](?:[^,\u0000-\u001f\u007f]{0,62}[^\s,\u0000-\u001f\u007f])?$/;
const MEMBERS = ['role', 'category', 'action', 'effect'] as const;
const CODES: Readonly<Record<'category' | 'action' | 'effect', readonly string[]>> = { category: CATEGORIES, action: ACTIONS, effect: ['permit', 'deny'] };

function faultOf(member: (typeof MEMBERS)[number], value: JsonValue | undefined, at: string): Issue | undefined {
  const place = `${at}.${member}`;
  if (value === undefined) return issueOf('required', `${member} is missing`, place);
  if (typeof value !== 'string') return issueOf('structure', `${member} must be a string`, place);
  if (member === 'role') return ROLE.test(value) ? undefined : issueOf('invalid-value', 'A role has 1 to 64 characters without commas, control characters and outer spaces', place);
  return CODES[member].includes(value) ? undefined : issueOf('code-invalid', `${member} must be one of ${CODES[member].join(', ')}`, place);
}

function faultsOf(rule: JsonValue, at: string): Issue[] {
  if (!isJsonObject(rule)) return [issueOf('structure', 'A rule must be an object', at)];
  const unknown = Object.keys(rule).filter((name) => !(MEMBERS as readonly string[]).includes(name)).map((name) => issueOf('structure', `A rule has ${MEMBERS.join(', ')} and nothing else`, `${at}.${name.slice(0, 64)}`));
  return [...unknown, ...MEMBERS.map((member) => faultOf(member, rule[member], at)).filter((fault) => fault !== undefined)];
}

const keyOf = ({ role, category, action, effect }: PolicyRule): string => [role, category, action, effect].join(',');

/** Raises 400 or 422 with every fault and its place; 400 for JSON of the wrong form. */
export function readRules(value: JsonValue | undefined): PolicyRule[] {
  if (!Array.isArray(value)) throw new FhirError([value === undefined ? issueOf('required', 'rules is missing', 'rules') : issueOf('structure', 'rules must be an array', 'rules')]);
  if (value.length > RULES_MAX) throw new FhirError([issueOf('business-rule', `A policy has ${RULES_MAX} rules at most`, 'rules')]);
  const faults = value.flatMap((rule, position) => faultsOf(rule, `rules[${position}]`));
  if (faults.length > 0) throw new FhirError(faults.slice(0, 100), faults.some(({ detail }) => detail === 'structure') ? { status: 400 } : {});
  const rules = new Map((value as unknown as PolicyRule[]).map(({ role, category, action, effect }) => [keyOf({ role, category, action, effect }), { role, category, action, effect }]));
  return [...rules.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, rule]) => rule);
}

/** Whether both say the same, in whatever order. */
export function sameRules(one: readonly PolicyRule[], other: readonly PolicyRule[]): boolean {
  const keys = new Set(one.map(keyOf));
  return keys.size === new Set(other.map(keyOf)).size && other.every((rule) => keys.has(keyOf(rule)));
}
