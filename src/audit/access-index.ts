// What of an access is put in columns and index rows, so that AuditEvent and Provenance are found by agent, entity,
// patient and target without reading bodies. Only what is shown is indexed: whatever is found also says why.
import type { AccessEvent, InteractionCode } from './access-event.ts';
import { assertedAgents, assertedEntities } from './asserted-provenance.ts';
import { shownText } from './shown-text.ts';
import { touchedData, touchedPatients, versionless } from './touched-references.ts';
import { agentAuthors, agentCustodian, fullWrite } from './write-agents.ts';

/** Numbers of `access_entity.role`: what was touched, of a full Provenance its further agents and its entities, and what was purged. */
export const ENTITY_ROLES = { patient: 1, data: 2, agent: 3, source: 4, purged: 5 } as const;

export type EntityIndexRow = { reference: string; role: (typeof ENTITY_ROLES)[keyof typeof ENTITY_ROLES] };

/** What columns and rows are made of. */
export type IndexedEvent = Pick<AccessEvent, 'agent' | 'entities' | 'outcome' | 'write' | 'purge'>;

export type AccessIndex = {
  /** fhirUser, versionless. */
  agentUser?: string;
  /** Subject of the token; which issuer it belongs to stands in the row's body. */
  agentSubject?: string;
  agentClient?: string;
  /** Versionless `Type/id`, of other servers the address without its scheme; each reference once a role. */
  entities: EntityIndexRow[];
};

/** A put that created its resource is told as a create. */
export const subtypeOf = ({ action, interaction }: Pick<AccessEvent, 'action' | 'interaction'>): InteractionCode => (action === 'C' ? 'create' : interaction);

export function indexAccess(event: IndexedEvent): AccessIndex {
  const { user, subject, client } = event.agent;
  const index: AccessIndex = { entities: rows(touchedPatients(event), ENTITY_ROLES.patient) };
  const [agentSubject, agentClient] = [shownText(subject), shownText(client)];
  if (user !== undefined) index.agentUser = indexedReference(user);
  if (agentSubject !== undefined) index.agentSubject = agentSubject;
  if (agentClient !== undefined) index.agentClient = agentClient;
  index.entities.push(...rows(touchedData(event), ENTITY_ROLES.data));
  if (event.write !== undefined) index.entities.push(...provenanceRows(event));
  if (event.purge !== undefined) index.entities.push(...rows(event.purge.versions.map(({ reference }) => reference), ENTITY_ROLES.purged));
  return index;
}

function provenanceRows(event: IndexedEvent): EntityIndexRow[] {
  const write = fullWrite(event);
  if (write === undefined) return [];
  const custodian = agentCustodian(write);
  const agents = [...agentAuthors(write), ...(custodian === undefined ? [] : [custodian]), ...assertedAgents(event)];
  return [...rows(agents, ENTITY_ROLES.agent), ...rows([...write.sources.map(({ reference }) => reference), ...assertedEntities(event)], ENTITY_ROLES.source)];
}

function rows(references: string[], role: EntityIndexRow['role']): EntityIndexRow[] {
  const [first, second] = references;
  if (first === undefined) return [];
  if (second === undefined) return [{ reference: indexedReference(first), role }];
  return [...new Set(references.map(indexedReference))].map((reference) => ({ reference, role }));
}

/** http and https of one address are the same server (R4 http.html 3.1.0.1.1). */
function indexedReference(reference: string): string {
  const bare = versionless(reference);
  return bare.startsWith('http') ? bare.replace(/^https?:(?=\/\/)/, '') : bare;
}
