// Who took part, as R4 references: literal where a resource is known, logical (an identifier) where only a token is.
import type { AccessAgent, AccessEvent } from './access-event.ts';
import { shownText, shownUri } from './shown-text.ts';
import { withoutUndefined } from './without-undefined.ts';

export type Who = {
  reference?: string;
  type?: 'Device' | 'Organization';
  identifier?: { system?: string; value: string };
  display?: string;
};

/** Types that R4 admits as AuditEvent.agent.who and Provenance.agent.who. */
const AGENT_TYPE = /(?:^|\/)(Practitioner|PractitionerRole|Organization|Device|Patient|RelatedPerson)\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/;

/** The type that a literal reference names when it may be an agent, else undefined (a contained one, a Person). */
export function agentType(reference: string): string | undefined {
  return AGENT_TYPE.exec(reference)?.[1];
}

function identifier(value: string | undefined, system?: string): Who['identifier'] {
  const text = shownText(value);
  return text === undefined ? undefined : withoutUndefined({ system: shownUri(system), value: text });
}

/** A person stands behind the request. A client that acts for itself has its own id as subject (RFC 9068 2.2). */
export function hasUser(agent: AccessAgent): boolean {
  return agent.user !== undefined || (agent.subject !== undefined && agent.subject !== agent.client);
}

/** The user: fhirUser beside issuer and subject (BALP, comprehensive OAuth pattern). */
export function userWho(agent: AccessAgent): Who {
  const literal = agent.user !== undefined && agentType(agent.user) !== undefined;
  const logical = identifier(agent.subject, agent.issuer);
  const display = shownText(agent.name) ?? (literal || logical !== undefined ? undefined : (shownText(agent.user) ?? 'unnamed user'));
  return withoutUndefined({ reference: literal ? agent.user : undefined, identifier: logical, display });
}

/** The client application; where no token said which, the address that it called from. */
export function clientWho(event: AccessEvent): Who {
  const logical = identifier(event.agent.client);
  if (logical === undefined) return { display: shownText(event.address) ?? 'unidentified client' };
  return { type: 'Device', identifier: logical };
}

/** How the name of an instance of this server begins: no client and no subject is called so. */
export const OBSERVER_PREFIX = 'muniment@';

/** This server, by the name of its instance: its address is no part of the record. */
export function serverWho(event: AccessEvent): Who {
  return { type: 'Device', ...named(event.observer) };
}

export function organisationWho(event: AccessEvent): Who {
  return { type: 'Organization', ...named(event.org) };
}

function named(name: string): Who {
  return withoutUndefined({ identifier: identifier(name), display: shownText(name) ?? 'unnamed' });
}
