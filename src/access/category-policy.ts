// Which role may do what, as shipped. Default deny: a role that is not here may nothing.
import type { Permission } from './smart-scope.ts';

/** Rights on the record (AuditEvent) and on everything else. */
export interface RoleRights {
  documents: ReadonlySet<Permission>;
  auditEvents: boolean;
  provenance: boolean;
  /** Takes a security label off, and moves a document to another subject. */
  corrections: boolean;
}

const rights = (letters: string, auditEvents: boolean, provenance: boolean, corrections = false): RoleRights => ({ documents: new Set(letters as Iterable<Permission>), auditEvents, provenance, corrections });

export const ROLES = {
  'admin': rights('cruds', true, true, true),
  'practitioner': rights('crus', false, true),
  'nurse': rights('crus', false, true),
  'integration': rights('crus', false, true),
  'read-only': rights('rs', false, true),
  // Reads category insurance alone; until a permit can be narrowed to a category it reads nothing.
  'billing': rights('', false, false),
  'auditor': rights('', true, true),
} as const satisfies Record<string, RoleRights>;

export function roleRights(role: string): RoleRights | undefined {
  return Object.hasOwn(ROLES, role) ? ROLES[role as keyof typeof ROLES] : undefined;
}

/** Whether one of the roles may correct what others may not change by accident. A client without roles may not. */
export function mayCorrect(roles: readonly string[]): boolean {
  return roles.some((role) => roleRights(role)?.corrections === true);
}
