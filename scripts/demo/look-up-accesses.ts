// The question that the record is for: who did what with this document?
import type { KeptLetter } from './bring-in.ts';
import { findAccesses } from './check-record.ts';
import { unversioned } from './paper.ts';
import type { Scene } from './scene.ts';

/** What this run did with the letter, the last first. Two searches found it, and its bytes were read through it. */
const DONE = ['vread', 'history-instance', 'update', 'search-type', 'create', 'read', 'search-type', 'create'];

export async function lookUpAccesses({ stage, checks, muniment }: Scene, letter: KeptLetter): Promise<void> {
  const reference = unversioned(letter.reference);
  stage.begin(`Who did what with the letter? GET AuditEvent?entity=${reference}`);
  const events = await findAccesses(muniment, checks, reference);
  checks.equal('accesses of the letter', events.map(({ subtype }) => subtype?.[0]?.code), DONE);
  for (const { recorded = '', subtype, agent } of events) {
    const who = agent.find(({ requestor }) => requestor)?.who;
    stage.note(`${recorded}  ${(subtype?.[0]?.code ?? '').padEnd(17)} ${who?.reference ?? who?.identifier?.value ?? ''}`);
  }
}
