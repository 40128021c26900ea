// AuditEvent.agent: the client and the server as machines, and the user behind them (IHE BALP, "Read" to "Delete").
import type { AccessEvent, InteractionCode } from './access-event.ts';
import {
  ACT_REASON, APPLICATION, AUTHOR, CUSTODIAN, DESTINATION, RECIPIENT, ROLE, SOURCE, concept, foreignConcepts,
} from './coding.ts';
import type { CodeableConcept, Coding } from './coding.ts';
import { shownText, shownUri } from './shown-text.ts';
import { clientWho, hasUser, serverWho, userWho } from './who.ts';
import type { Who } from './who.ts';
import { notEmpty, withoutUndefined } from './without-undefined.ts';

export type AuditAgent = {
  type: CodeableConcept;
  role?: CodeableConcept[];
  who: Who;
  name?: string;
  requestor: boolean;
  policy?: string[];
  /** http://hl7.org/fhir/network-type: 1 machine name, 2 IP address. */
  network?: { address: string; type: '1' | '2' };
  purposeOfUse?: CodeableConcept[];
};

interface AgentTypes {
  client: Coding;
  server: Coding;
  user: Coding;
}

/** Data flows to the client, which is its destination. */
const FETCH: AgentTypes = { client: DESTINATION, server: SOURCE, user: RECIPIENT };
/** A query flows to the server, whatever flows back (BALP keeps DICOM's direction here). */
const ASK: AgentTypes = { client: SOURCE, server: DESTINATION, user: RECIPIENT };
const SUBMIT: AgentTypes = { client: SOURCE, server: DESTINATION, user: AUTHOR };
const REMOVE: AgentTypes = { client: APPLICATION, server: CUSTODIAN, user: AUTHOR };

const AGENT_TYPES: Record<InteractionCode, AgentTypes> = {
  'read': FETCH, 'vread': FETCH, 'history-instance': FETCH, 'history-type': FETCH, 'history-system': FETCH,
  'search-type': ASK, 'search-system': ASK, 'operation': ASK, 'capabilities': ASK,
  'create': SUBMIT, 'update': SUBMIT, 'patch': SUBMIT, 'batch': SUBMIT, 'transaction': SUBMIT,
  'delete': REMOVE,
};

/** Client, server and, where there is one, the user. Exactly one is the requestor: the user, else the client. */
export function auditAgents(event: AccessEvent): AuditAgent[] {
  const types = AGENT_TYPES[event.interaction];
  const machines = [clientAgent(event, types.client), serverAgent(event, types.server)];
  return hasUser(event.agent) ? [...machines, userAgent(event, types.user)] : machines;
}

/** What the token said of whoever asks, and the grant that was used in its place; it belongs to the requestor. */
function tokenClaims({ agent }: AccessEvent): Pick<AuditAgent, 'role' | 'policy' | 'purposeOfUse'> {
  const jti = shownUri(agent.jti);
  const policy = [...(jti === undefined ? [] : [`urn:ietf:params:oauth:jti:${jti}`]), ...(agent.grant === undefined ? [] : [`urn:uuid:${agent.grant}`])];
  return withoutUndefined({
    role: foreignConcepts(ROLE, agent.roles),
    policy: notEmpty(policy),
    purposeOfUse: foreignConcepts(ACT_REASON, agent.purposeOfUse),
  });
}

function clientAgent(event: AccessEvent, type: Coding): AuditAgent {
  const requestor = !hasUser(event.agent);
  // The second coding is how BALP's comprehensive OAuth pattern knows the client of a token.
  const isApplication = event.agent.client !== undefined && type !== APPLICATION;
  const address = shownText(event.address);
  const { role, policy, purposeOfUse } = requestor ? tokenClaims(event) : {};
  return withoutUndefined({
    type: isApplication ? concept(type, APPLICATION) : concept(type),
    role, who: clientWho(event), requestor, policy,
    network: address === undefined ? undefined : { address, type: '2' as const },
    purposeOfUse,
  });
}

function serverAgent(event: AccessEvent, type: Coding): AuditAgent {
  const network = { address: shownText(event.observer) ?? 'unnamed', type: '1' as const };
  return { type: concept(type), who: serverWho(event), requestor: false, network };
}

function userAgent(event: AccessEvent, type: Coding): AuditAgent {
  const { role, policy, purposeOfUse } = tokenClaims(event);
  return withoutUndefined({
    type: concept(type), role, who: userWho(event.agent), name: shownText(event.agent.name), requestor: true, policy, purposeOfUse,
  });
}
