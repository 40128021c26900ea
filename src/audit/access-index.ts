// What of an access is put in columns and index rows, so that AuditEvent and Provenance are found by agent, entity,
// patient and target without reading bodies. Only what is shown is indexed: whatever is found also says why.
import type { AccessEvent } from './access-event.ts';
import { assertedAgents, assertedEntities } from './asserted-provenance.ts';
import { shownText } from './shown-text.ts';
import { touchedData, touchedPatients, versionless } from './touched-references.ts';
import { agentAuthors, agentCustodian, fullWrite } from './write-agents.ts';

/** Numbers of `access_entity.role`: what was touched, of a full Provenance its further agents and its entities, and what was purged. */
export const ENTITY_ROLES = { patient: 1, data: 2, agent: 3, source: 4, purged: 5 } as const;

export type EntityIndexRow = { reference: string; role: (typeof ENTITY_ROLES)[keyof typeof ENTITY_ROLES] };

export type AccessIndex = {
  /** fhirUser, versionless. */
  agentUser?: string;
  /** Subject of the token; which issuer it belongs to stands in the row's body. */
  agentSubject?: string;
  agentClient?: string;
  /** Versionless `Type/id`, of other servers the address without its scheme; each reference once a role. */
  entities: EntityIndexRow[];
};

export function indexAccess(event: AccessEvent): AccessIndex {
  const { user, subject, client } = event.agent;
  const touched = [...rows(touchedPatients(event), ENTITY_ROLES.patient), ...rows(touchedData(event), ENTITY_ROLES.data)];
  const index: AccessIndex = { entities: [] };
  const [agentSubject, agentClient] = [shownText(subject), shownText(client)];
  if (user !== undefined) index.agentUser = indexedReference(user);
  if (agentSubject !== undefined) index.agentSubject = agentSubject;
  if (agentClient !== undefined) index.agentClient = agentClient;
  index.entities = [...touched, ...provenanceRows(event), ...rows(event.purge?.versions.map(({ reference }) => reference) ?? [], ENTITY_ROLES.purged)];
  return index;
}

function provenanceRows(event: AccessEvent): EntityIndexRow[] {
  const write = fullWrite(event);
  if (write === undefined) return [];
  const custodian = agentCustodian(write);
  const agents = [...agentAuthors(write), ...(custodian === undefined ? [] : [custodian]), ...assertedAgents(event)];
  return [...rows(agents, ENTITY_ROLES.agent), ...rows([...write.sources.map(({ reference }) => reference), ...assertedEntities(event)], ENTITY_ROLES.source)];
}

function rows(references: string[], role: EntityIndexRow['role']): EntityIndexRow[] {
  return [...new Set(references.map(indexedReference))].map((reference) => ({ reference, role }));
}

/** http and https of one address are the same server (R4 http.html 3.1.0.1.1). */
function indexedReference(reference: string): string {
  return versionless(reference).replace(/^https?:(?=\/\/)/, '');
}
