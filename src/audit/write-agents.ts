// Whom a Provenance names of the written document itself: its authors and its custodian, where R4 admits them as agents.
import type { AccessEvent, AccessWrite } from './access-event.ts';
import { agentType } from './who.ts';

/** The write that is told in full: one that succeeded and has a target. Every other access is told as a use. */
export function fullWrite(event: Pick<AccessEvent, 'outcome' | 'write'>): AccessWrite | undefined {
  return event.outcome === 0 && event.write !== undefined && event.write.targets.length > 0 ? event.write : undefined;
}

/** Authors who may be agents, each once. */
export function agentAuthors(write: AccessWrite): string[] {
  return [...new Set(write.authors)].filter((author) => agentType(author) !== undefined);
}

/** The custodian that the document names, when it may be an agent. */
export function agentCustodian(write: AccessWrite): string | undefined {
  return write.custodian !== undefined && agentType(write.custodian) !== undefined ? write.custodian : undefined;
}
