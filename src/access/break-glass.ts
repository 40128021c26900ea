// Break-glass: treatment in an emergency (v3-ActReason ETREAT). Whoever treats may declare it for one patient and 60 minutes;
// what is asked under it reaches that patient's documents of every category that no rule denies. Pure.
import { rightsOfPrincipal } from './category-policy.ts';
import type { CategoryRight } from './policy.ts';
import type { Principal } from './principal.ts';
import type { SmartScope } from './smart-scope.ts';

export const EMERGENCY_PURPOSE = 'ETREAT';
export const EMERGENCY_MINUTES = 60;

/** An emergency that was declared and has not ended. */
export interface DeclaredEmergency {
  id: string;
  /** Id of the Patient. */
  patient: string;
}

/** undefined = may; else why not. Whoever treats writes documents: a system, a patient and a role that only reads do not. */
export function emergencyRefusal(principal: Principal): string | undefined {
  if (principal.fhirUser === undefined || !/^Practitioner(Role)?\//.test(principal.fhirUser)) return 'An emergency is declared by a practitioner';
  const { permitted } = rightsOfPrincipal(principal).documents.write;
  return permitted !== 'any' && permitted.length === 0 ? 'An emergency is declared by a role that may write documents' : undefined;
}

const widened = ({ denied }: CategoryRight): CategoryRight => ({ permitted: denied.includes('*') ? [] : 'any', denied });

/** Every scope is confined to the patient, those of another patient grant nothing: so all that confines `patient/` scopes holds. */
function confined(scope: SmartScope, own: string | undefined, patient: string): SmartScope[] {
  if (scope.context !== 'patient') return [{ ...scope, context: 'patient' }];
  return own === patient ? [scope] : [];
}

/** The caller under the emergency: that patient alone, read and search without the need of a permit, and whatever the patient withholds. A deny of the policy still wins. */
export function inEmergency({ consents: _overridden, ...principal }: Principal, { patient }: DeclaredEmergency): Principal {
  const rights = rightsOfPrincipal(principal);
  const { read, search } = rights.documents;
  return Object.freeze({
    ...principal, patient,
    scopes: principal.scopes.flatMap((scope) => confined(scope, principal.patient, patient)),
    rights: { ...rights, documents: { ...rights.documents, read: widened(read), search: widened(search) } },
  });
}
