// What of an access is put in columns and index rows, so that AuditEvent and Provenance are found by agent, entity,
// patient and target without reading bodies.
import type { AccessEvent } from './access-event.ts';
import { touchedData, touchedPatients, versionless } from './touched-references.ts';
import { withoutUndefined } from './without-undefined.ts';

/** Numbers of `access_entity.role`. */
export const ENTITY_ROLES = { patient: 1, data: 2 } as const;

export type EntityIndexRow = { reference: string; role: (typeof ENTITY_ROLES)[keyof typeof ENTITY_ROLES] };

export type AccessIndex = {
  /** fhirUser, versionless. */
  agentUser?: string;
  /** Subject of the token; which issuer it belongs to stands in the row's body. */
  agentSubject?: string;
  agentClient?: string;
  /** Versionless `Type/id`, each reference once a role. */
  entities: EntityIndexRow[];
};

export function indexAccess(event: AccessEvent): AccessIndex {
  const { user, subject, client } = event.agent;
  const columns = withoutUndefined({
    agentUser: user === undefined ? undefined : versionless(user), agentSubject: subject, agentClient: client,
  });
  const entities = [...rows(touchedPatients(event), ENTITY_ROLES.patient), ...rows(touchedData(event), ENTITY_ROLES.data)];
  return { ...columns, entities };
}

function rows(references: string[], role: EntityIndexRow['role']): EntityIndexRow[] {
  return [...new Set(references.map(versionless))].map((reference) => ({ reference, role }));
}
