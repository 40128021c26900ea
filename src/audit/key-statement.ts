// The statement by which the key of the log introduces the one that follows it: a signed note under the earlier key.
import type { KeyObject } from 'node:crypto';
import { openNote, readVerifier, signNote, type NoteVerifier } from './checkpoint.ts';

const FIRST_LINE = 'Key of a Muniment log';

/** `verifier` is the line of the new key; the statement is signed with the key that it follows. */
export function signKeyStatement(origin: string, verifier: string, privateKey: KeyObject): string {
  return signNote(`${FIRST_LINE}\n${origin}\n${verifier}\n`, origin, privateKey);
}

/** The key that the statement introduces into this log, when one of `trusted` signed it. */
export function openKeyStatement(statement: string, origin: string, trusted: readonly NoteVerifier[]): NoteVerifier | undefined {
  const [first, log, verifier, ...rest] = openNote(statement, trusted)?.split('\n') ?? [];
  return first === FIRST_LINE && log === origin && rest.join('') === '' ? readVerifier(verifier ?? '') : undefined;
}
