// One disclosure in the words that people read on a page or on paper.
import type { AccessEvent } from '../audit/access-event.ts';
import { shownText } from '../audit/shown-text.ts';
import { touchedData } from '../audit/touched-references.ts';

/** What an accounting is of: a patient, or one document. */
export interface DisclosureSubject {
  /** Type/id */
  reference: string;
  role: 'patient' | 'data';
}

/** An accounting as it is shown to people. */
export interface Accounting {
  subject: DisclosureSubject;
  organisation: string;
  /** FHIR instants; `until` does not belong to the period. */
  from: string;
  until: string;
  asked: string;
  events: readonly AccessEvent[];
}

export interface DisclosureText {
  when: string;
  who: string;
  /** fhirUser where another name stands for it, roles, client and address, as far as they are known. */
  as: string;
  how: string;
  /** What was shown, each with its version. */
  what: string[];
  why: string;
  event: string;
}

const WAYS: Partial<Record<AccessEvent['interaction'], string>> = {
  'read': 'read', 'vread': 'read a version', 'search-type': 'found by a search', 'search-system': 'found by a search',
  'history-instance': 'read the history', 'history-type': 'read the history', 'history-system': 'read the history', 'operation': 'operation',
};

/** 2026-03-04T10:20:30.456Z as 2026-03-04 10:20:30 UTC. */
export const shownInstant = (instant: string): string => `${instant.slice(0, 10)} ${instant.slice(11, 19)} UTC`;

const shown = (...parts: (string | undefined)[]): string => parts.map(shownText).filter((part) => part !== undefined).join(', ');

export function disclosureText(event: AccessEvent): DisclosureText {
  const { address, agent, bytes, id, interaction, recorded } = event;
  return {
    when: shownInstant(recorded),
    who: shown(agent.name ?? agent.user ?? agent.subject) || 'unknown',
    as: shown(agent.name === undefined ? undefined : agent.user, agent.roles?.join(' '), agent.client === undefined ? undefined : `by ${agent.client}`, address === undefined ? undefined : `from ${address}`),
    how: shown(WAYS[interaction] ?? interaction, bytes?.range),
    what: touchedData(event).map((reference) => shown(reference.replace('/_history/', ' version '))),
    why: shown(agent.purposeOfUse?.join(' ')) || 'not told',
    event: id,
  };
}

export const subjectText = ({ reference, role }: DisclosureSubject): string => (role === 'patient' ? `Who was shown data of ${reference}` : `Who saw ${reference}`);
export const periodText = ({ events, from, until }: Accounting): string => `${shownInstant(from)} to ${shownInstant(until)}: ${events.length === 1 ? 'one disclosure' : `${events.length} disclosures`}`;
