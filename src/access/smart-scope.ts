// SMART App Launch 2.2 scopes, v1 and v2. Pure. What is not well formed grants nothing: less, never more.

export type Permission = 'c' | 'r' | 'u' | 'd' | 's';

export interface SmartScope {
  context: 'patient' | 'user' | 'system';
  /** A resource type, or `*`. */
  type: string;
  permissions: ReadonlySet<Permission>;
}

const SCOPE = /^(patient|user|system)\/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)$/;
const VERSION_1: Record<string, string> = { 'read': 'rs', 'write': 'cud', '*': 'cruds' };

/** The resource scopes of a scope claim; openid, launch and the like are passed over. A scope with a query grants nothing yet. */
export function parseScopes(text: string): SmartScope[] {
  return text.split(' ').flatMap((scope): SmartScope[] => {
    const [, context, type = '', letters = ''] = SCOPE.exec(scope) ?? [];
    if (context === undefined || letters === '') return [];
    const permissions = new Set((VERSION_1[letters] ?? letters) as Iterable<Permission>);
    return [{ context: context as SmartScope['context'], type, permissions }];
  });
}
