// SMART App Launch 2.2 scopes, v1 and v2. Pure. What is not well formed grants nothing: less, never more.
import type { ScopeCriterion } from './restriction.ts';
import { isScopeCriterion, SCOPE_PARAMETERS } from './scope-parameters.ts';

export type Permission = 'c' | 'r' | 'u' | 'd' | 's';

export interface SmartScope {
  context: 'patient' | 'user' | 'system';
  /** A resource type, or `*`. */
  type: string;
  permissions: ReadonlySet<Permission>;
  /** The query of the scope, at least one criterion: what it grants must be what all of them find. */
  filter?: readonly ScopeCriterion[];
}

const SCOPE = /^(patient|user|system)\/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)(?:\?(.+))?$/;
const VERSION_1: Record<string, string> = { 'read': 'rs', 'write': 'cud', '*': 'cruds' };
const CRITERIA_MAX = 10;

/**
 * The names of the files API: uploads, and the documents that they are bound to. What was uploaded may be read back by its
 * creator until a document uses it, for the answer of an upload shows it; no document may.
 */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  'files.write': ['user/Binary.cr'],
  'fhir.write': ['user/DocumentReference.cu', 'user/Media.cu'],
};

/** The resource scopes of a scope claim; openid, launch and the like are passed over. */
export function parseScopes(text: string): SmartScope[] {
  const scopes = text.split(' ').flatMap((scope) => (Object.hasOwn(ALIASES, scope) ? ALIASES[scope] ?? [] : [scope]));
  return scopes.flatMap((scope): SmartScope[] => {
    const [, context, type = '', letters = '', query] = SCOPE.exec(scope) ?? [];
    if (context === undefined || letters === '') return [];
    const permissions = new Set((VERSION_1[letters] ?? letters) as Iterable<Permission>);
    const parsed = { context: context as SmartScope['context'], type, permissions };
    if (query === undefined) return [parsed];
    // The scopes of version 1 have no query.
    const filter = Object.hasOwn(VERSION_1, letters) ? undefined : parseQuery(query, type);
    return filter === undefined ? [] : [{ ...parsed, filter }];
  });
}

/** undefined where one of the criteria is not understood on any type that the scope is for. */
function parseQuery(query: string, type: string): ScopeCriterion[] | undefined {
  const pairs = query.split('&').map(parsePair);
  const criteria = pairs.filter((pair) => pair !== undefined);
  if (criteria.length !== pairs.length || criteria.length > CRITERIA_MAX) return undefined;
  const types = type === '*' ? Object.keys(SCOPE_PARAMETERS) : [type];
  return types.some((one) => understands(one, criteria)) ? criteria : undefined;
}

function parsePair(pair: string): ScopeCriterion | undefined {
  const [, name, value] = /^([^=]+)=([^=]+)$/.exec(pair) ?? [];
  if (name === undefined || value === undefined) return undefined;
  try {
    const decoded: ScopeCriterion = [decodeURIComponent(name), decodeURIComponent(value)];
    return /[\u0000-\u001f\u007f\ufffd]/.test(decoded.join('')) ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/** Whether all criteria can be held against resources of the type. A scope of `*` grants nothing on a type that lacks one of them. */
export function understands(type: string, criteria: readonly ScopeCriterion[]): boolean {
  return criteria.every(([name, value]) => isScopeCriterion(type, name, value));
}
