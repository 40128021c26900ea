// Provenance of one access (R4 provenance.html): full for a write, in the shape of US Core; compact for all else, where
// it says who used which version. Rendered, never stored.
import type { AccessEvent, AccessWrite } from './access-event.ts';
import { joinAsserted } from './asserted-provenance.ts';
import {
  ACCESS, ACT_REASON, ASSEMBLER, CUSTODIAN, DATA_OPERATION, PROVENANCE_AUTHOR, READ_OPERATION, RECIPIENT, TRANSMITTER, concept,
  foreignConcepts,
} from './coding.ts';
import type { CodeableConcept, Coding } from './coding.ts';
import { touchedResources } from './touched-references.ts';
import { agentType, clientWho, hasUser, organisationWho, serverWho, userWho } from './who.ts';
import type { Who } from './who.ts';
import { notEmpty, withoutUndefined } from './without-undefined.ts';
import { agentAuthors, agentCustodian, fullWrite } from './write-agents.ts';

type ProvenanceAgent = { type: CodeableConcept; who: Who; onBehalfOf?: Who };
type Reference = { reference: string };

/** The resource as JSON, members in R4's order. */
export type RenderedProvenance = {
  resourceType: 'Provenance';
  id: string;
  meta: { versionId: '1'; lastUpdated: string };
  target: Reference[];
  occurredDateTime: string;
  recorded: string;
  reason?: CodeableConcept[];
  activity: CodeableConcept;
  agent: ProvenanceAgent[];
  entity?: { role: AccessWrite['sources'][number]['role']; what: Reference }[];
};

export function renderProvenance(event: AccessEvent): RenderedProvenance {
  const { id, recorded } = event;
  const write = fullWrite(event);
  return joinAsserted(event, withoutUndefined({
    resourceType: 'Provenance' as const,
    id,
    meta: { versionId: '1' as const, lastUpdated: recorded },
    target: (write?.targets ?? usedTargets(event)).map((reference) => ({ reference })),
    occurredDateTime: recorded,
    recorded,
    reason: foreignConcepts(ACT_REASON, event.agent.purposeOfUse),
    activity: write === undefined ? useActivity(event) : concept(WRITE_OPERATIONS[write.activity]),
    agent: write === undefined ? [userOrClient(event, RECIPIENT)] : writeAgents(event, write),
    entity: notEmpty((write?.sources ?? []).map(({ role, reference }) => ({ role, what: { reference } }))),
  }));
}

const WRITE_OPERATIONS: Record<AccessWrite['activity'], Coding> = {
  CREATE: { system: DATA_OPERATION, code: 'CREATE', display: 'create' },
  UPDATE: { system: DATA_OPERATION, code: 'UPDATE', display: 'revise' },
  DELETE: { system: DATA_OPERATION, code: 'DELETE', display: 'delete' },
};

/** R4 wants a target: an access that touched no resource has its own AuditEvent. */
function usedTargets(event: AccessEvent): string[] {
  const data = touchedResources(event);
  return data.length === 0 ? [`AuditEvent/${event.id}`] : data;
}

/** Only what was really read is coded as READ; a refusal or a search is an access and no more. */
function useActivity({ action, outcome }: AccessEvent): CodeableConcept {
  return action === 'R' && outcome === 0 ? concept(READ_OPERATION, ACCESS) : concept(ACCESS);
}

function writeAgents(event: AccessEvent, write: AccessWrite): ProvenanceAgent[] {
  const user = userOrClient(event, PROVENANCE_AUTHOR);
  const authors = agentAuthors(write).filter((author) => author !== user.who.reference);
  const reference = agentCustodian(write);
  const custodian = reference === undefined ? organisationWho(event) : { reference };
  return [
    user,
    ...authors.map((reference) => agent(event, concept(PROVENANCE_AUTHOR), { reference })),
    { type: concept(CUSTODIAN), who: custodian },
    transmitter(event),
    agent(event, concept(ASSEMBLER), serverWho(event)),
  ];
}

function userOrClient(event: AccessEvent, type: Coding): ProvenanceAgent {
  return agent(event, concept(type), hasUser(event.agent) ? userWho(event.agent) : clientWho(event));
}

/** Who handed the resource in: the client application, else the organisation itself. */
function transmitter(event: AccessEvent): ProvenanceAgent {
  const type = concept(...TRANSMITTER);
  return event.agent.client === undefined ? { type, who: organisationWho(event) } : agent(event, type, clientWho(event));
}

/** US Core provenance-1: practitioners and devices act on behalf of an organisation. */
function agent(event: AccessEvent, type: CodeableConcept, who: Who): ProvenanceAgent {
  const kind = who.reference === undefined ? who.type : agentType(who.reference);
  const needed = kind === 'Practitioner' || kind === 'Device';
  return needed ? { type, who, onBehalfOf: organisationWho(event) } : { type, who };
}
