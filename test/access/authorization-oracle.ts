// What SMART App Launch 2.2 and the roles as shipped say of one access, written from their texts and from nothing of src:
// the other opinion that the authorization matrix is compared with.

export interface OracleToken {
  scope: string;
  roles: readonly string[];
  patient?: string;
  fhirUser: string;
}

export interface OracleResource {
  type: string;
  /** Ids of the patients in whose compartment it is. */
  patients: readonly string[];
  /** Id of the patient whom it is about: others have it in their compartment as its authors. */
  subject: string | undefined;
  /** [system, code] by search parameter. */
  codes: Readonly<Record<string, readonly (readonly [string, string])[]>>;
}

/**
 * `scope`: no scope grants it (403 insufficient_scope). `role`: the role does not allow it (403). `hidden`: it lies outside
 * the patient (404). `outside`: it lies outside the query of the scopes or the categories of the role (403).
 */
export type OracleVerdict = 'permit' | 'scope' | 'role' | 'hidden' | 'outside';

/** Table of SMART App Launch 2.2, "Scopes for requesting FHIR Resources"; histories of a type are searches. */
export const ORACLE_LETTERS = {
  'create': 'c', 'read': 'r', 'vread': 'r', 'history-instance': 'r', 'update': 'u', 'patch': 'u', 'delete': 'd', 'search-type': 's', 'history-type': 's',
} as const;
export type OracleInteraction = keyof typeof ORACLE_LETTERS;

const OLD = new Map([['read', 'rs'], ['write', 'cud'], ['*', 'cruds']]);
const QUERIED = new Map<string, ReadonlySet<string>>([
  ['DocumentReference', new Set(['category', 'status', 'type', 'patient'])],
  ['Media', new Set(['status', 'type', 'patient'])],
  ['List', new Set(['status', 'patient'])],
]);

interface Granted { context: string; type: string; letters: string; query: readonly (readonly [string, string])[] }

function isOrdered(letters: string): boolean {
  const places = [...letters].map((letter) => 'cruds'.indexOf(letter));
  return letters !== '' && places.every((place, at) => place >= 0 && (at === 0 || place > (places[at - 1] as number)));
}

function readScope(text: string): Granted | undefined {
  const slash = text.indexOf('/');
  const context = text.slice(0, slash);
  if (!['patient', 'user', 'system'].includes(context)) return undefined;
  const mark = text.indexOf('?');
  const head = text.slice(slash + 1, mark < 0 ? undefined : mark);
  const dot = head.indexOf('.');
  const type = head.slice(0, dot);
  const letters = head.slice(dot + 1);
  if (dot < 0 || (type !== '*' && !/^[A-Z][a-zA-Z]*$/.test(type))) return undefined;
  const old = OLD.get(letters);
  if (old === undefined && !isOrdered(letters)) return undefined;
  if (mark < 0) return { context, type, letters: old ?? letters, query: [] };
  if (old !== undefined) return undefined;
  const query = text.slice(mark + 1).split('&').map((pair) => pair.split('='));
  if (query.some((pair) => pair.length !== 2 || pair[0] === '' || pair[1] === '')) return undefined;
  return { context, type, letters, query: query.map(([name = '', value = '']) => [decodeURIComponent(name), decodeURIComponent(value)] as const) };
}

function isUnderstood({ query }: Granted, type: string): boolean {
  return query.every(([name]) => QUERIED.get(type)?.has(name) === true);
}

function matches(query: Granted['query'], resource: OracleResource): boolean {
  return query.every(([name, value]) => value.split(',').some((one) => {
    if (name === 'patient') return resource.subject === one.replace(/^Patient\//, '');
    const bar = one.indexOf('|');
    const [system, code] = bar < 0 ? [undefined, one] : [one.slice(0, bar), one.slice(bar + 1)];
    return (resource.codes[name] ?? []).some(([hasSystem, hasCode]) => (system === undefined || hasSystem === system) && (code === '' || hasCode === code));
  }));
}

const READS = { documents: 'rs', record: '' };
/** Roles as outside.md has them: letters on documents, on AuditEvent and on Provenance. */
const ROLES = new Map<string, { documents: string; audit: string; provenance: string; only?: string }>([
  ['admin', { documents: 'cruds', audit: 'rs', provenance: 'rs' }],
  ['practitioner', { documents: 'crus', audit: '', provenance: 'rs' }],
  ['nurse', { documents: 'crus', audit: '', provenance: 'rs' }],
  ['integration', { documents: 'crus', audit: '', provenance: 'rs' }],
  ['read-only', { documents: READS.documents, audit: '', provenance: 'rs' }],
  ['billing', { documents: READS.documents, audit: '', provenance: '', only: 'insurance' }],
  ['auditor', { documents: '', audit: 'rs', provenance: 'rs' }],
  ['integrity', { documents: READS.documents, audit: '', provenance: 'rs' }],
]);

const POLICY_CATEGORIES = new Set(['lab', 'imaging', 'clinical-note', 'consent', 'referral', 'insurance', 'photo', 'other']);

/** Categories that the roles give for a letter: undefined = nothing at all, null = all. */
function roleCategories(roles: readonly string[], type: string, letter: string): ReadonlySet<string> | null | undefined {
  const held = roles.flatMap((role) => ROLES.get(role) ?? []);
  if (type === 'AuditEvent') return held.some(({ audit }) => audit.includes(letter)) ? null : undefined;
  if (type === 'Provenance') return held.some(({ provenance }) => provenance.includes(letter)) ? null : undefined;
  const giving = held.filter(({ documents }) => documents.includes(letter));
  if (giving.length === 0) return undefined;
  return giving.some(({ only }) => only === undefined) ? null : new Set(giving.flatMap(({ only }) => only ?? []));
}

function isOfCategories(categories: ReadonlySet<string> | null, { type, codes }: OracleResource): boolean {
  if (categories === null) return true;
  const named = type === 'DocumentReference' ? (codes['category'] ?? []).map(([, code]) => code).filter((code) => POLICY_CATEGORIES.has(code)) : [];
  return (named.length === 0 ? ['other'] : named).every((category) => categories.has(category));
}

/** Without a resource: whether it is refused whatever the resource is. */
export function oracleVerdict(token: OracleToken, interaction: OracleInteraction, type: string, resource?: OracleResource): OracleVerdict {
  const letter = ORACLE_LETTERS[interaction];
  const granted = token.scope.split(' ').flatMap((text) => readScope(text) ?? [])
    .filter((one) => (one.type === '*' || one.type === type) && one.letters.includes(letter) && isUnderstood(one, type))
    .filter(({ context }) => context !== 'patient' || token.patient !== undefined);
  if (granted.length === 0) return 'scope';
  let categories: ReadonlySet<string> | null | undefined = null;
  let usable = granted;
  if (token.roles.length === 0) {
    const isPatient = /^(?:Patient|RelatedPerson)\//.test(token.fhirUser);
    // A backend has no role, a patient needs none; the record is shown to them by a scope that names it.
    usable = granted.filter((one) => (one.context === 'system' || (one.context === 'patient' && isPatient)) && (type !== 'AuditEvent' || one.type === 'AuditEvent'));
    if (usable.length === 0) return 'role';
  } else {
    categories = roleCategories(token.roles, type, letter);
    if (categories === undefined) return 'role';
  }
  if (resource === undefined) return 'permit';
  const reached = usable.filter(({ context }) => context !== 'patient' || resource.patients.includes(token.patient ?? ''));
  if (reached.length === 0) return 'hidden';
  return reached.some(({ query }) => matches(query, resource)) && isOfCategories(categories, resource) ? 'permit' : 'outside';
}
