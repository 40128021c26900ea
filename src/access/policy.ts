// Policy as data: organisation × role × category × action. Deny wins, what no rule permits is denied, and a document in
// several categories needs all of them. Pure; the rules come from the organisation's newest version.

export const ACTIONS = ['read', 'search', 'write', 'delete', 'grant', 'override', 'purge'] as const;
/** `override`: take a security label off, move a document to another subject. */
export type Action = (typeof ACTIONS)[number];

/** CodeSystem document-category; a document without one of these is `other`. */
export const DOCUMENT_CATEGORIES = ['lab', 'imaging', 'clinical-note', 'consent', 'referral', 'insurance', 'photo', 'other'] as const;
/** The record is no document: `*` does not mean it. */
export const RECORD_CATEGORIES = ['AuditEvent', 'Provenance'] as const;
/** `*` is every document category. */
export const CATEGORIES = ['*', ...DOCUMENT_CATEGORIES, ...RECORD_CATEGORIES] as const;
export type Category = (typeof CATEGORIES)[number];

export interface PolicyRule {
  /** As the claim `role` has it. */
  role: string;
  category: Category;
  action: Action;
  effect: 'permit' | 'deny';
}

export interface Policy {
  /** 0 = as shipped, else the version of the organisation's own. */
  version: number;
  rules: readonly PolicyRule[];
}

/** What is permitted over categories: any but the denied ones, or the listed ones alone. */
export interface CategoryRight {
  permitted: 'any' | readonly string[];
  denied: readonly string[];
}

/** What a caller's roles may under one policy. */
export interface Rights {
  documents: Readonly<Record<Action, CategoryRight>>;
  record: Readonly<Record<(typeof RECORD_CATEGORIES)[number], ReadonlySet<Action>>>;
}

const permit = (role: string, category: Category, ...actions: Action[]): PolicyRule[] => actions.map((action) => ({ role, category, action, effect: 'permit' }));

/** What holds until an organisation decides otherwise. */
export const SHIPPED_POLICY: Policy = {
  version: 0,
  rules: [
    ...permit('admin', '*', ...ACTIONS),
    ...permit('admin', 'AuditEvent', 'read', 'search'),
    ...permit('admin', 'Provenance', 'read', 'search'),
    ...permit('practitioner', '*', 'read', 'search', 'write', 'grant'),
    ...permit('practitioner', 'Provenance', 'read', 'search'),
    ...permit('nurse', '*', 'read', 'search', 'write'),
    ...permit('nurse', 'Provenance', 'read', 'search'),
    ...permit('integration', '*', 'read', 'search', 'write'),
    ...permit('integration', 'Provenance', 'read', 'search'),
    ...permit('read-only', '*', 'read', 'search'),
    ...permit('read-only', 'Provenance', 'read', 'search'),
    ...permit('billing', 'insurance', 'read', 'search'),
    ...permit('auditor', 'AuditEvent', 'read', 'search'),
    ...permit('auditor', 'Provenance', 'read', 'search'),
    ...permit('integrity', '*', 'read', 'search'),
    ...permit('integrity', 'Provenance', 'read', 'search'),
  ],
};

const sortedUnique = (categories: readonly string[]): string[] => [...new Set(categories)].sort();

function categoryRight(rules: readonly PolicyRule[]): CategoryRight {
  const of = (effect: PolicyRule['effect']): string[] => sortedUnique(rules.filter((rule) => rule.effect === effect).map((rule) => rule.category));
  const denied = of('deny');
  if (denied.includes('*')) return { permitted: [], denied };
  const permitted = of('permit');
  return { permitted: permitted.includes('*') ? 'any' : permitted.filter((category) => !denied.includes(category)), denied };
}

const isRecord = (category: Category): boolean => (RECORD_CATEGORIES as readonly string[]).includes(category);

/** The rules that speak of one of the roles. */
export function rulesOf(policy: Policy, roles: readonly string[]): PolicyRule[] {
  return policy.rules.filter((rule) => roles.includes(rule.role));
}

/** Permits of several roles add up; a deny of any of them wins. */
export function rightsOf(policy: Policy, roles: readonly string[]): Rights {
  const held = rulesOf(policy, roles);
  const documents = held.filter((rule) => !isRecord(rule.category));
  const recordActions = (category: Category): ReadonlySet<Action> => {
    const about = held.filter((rule) => rule.category === category);
    const denied = new Set(about.filter((rule) => rule.effect === 'deny').map((rule) => rule.action));
    return new Set(about.filter((rule) => rule.effect === 'permit' && !denied.has(rule.action)).map((rule) => rule.action));
  };
  return {
    documents: Object.fromEntries(ACTIONS.map((action) => [action, categoryRight(documents.filter((rule) => rule.action === action))])) as Record<Action, CategoryRight>,
    record: { AuditEvent: recordActions('AuditEvent'), Provenance: recordActions('Provenance') },
  };
}

/** Whether the right covers every document, whatever its categories are. */
export function coversAll({ permitted, denied }: CategoryRight): boolean {
  return permitted === 'any' && denied.length === 0;
}

/** Whether the right covers a document of these categories: all of them must be permitted and none denied. */
export function coversCategories({ permitted, denied }: CategoryRight, categories: readonly string[]): boolean {
  const named = categories.length === 0 ? ['other'] : categories;
  return !denied.includes('*') && named.every((category) => (permitted === 'any' || permitted.includes(category)) && !denied.includes(category));
}
