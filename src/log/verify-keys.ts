// Whom a verification trusts: the keys that it was given, and those that a trusted one introduced.
import type { KeyObject } from 'node:crypto';
import { printVerifier, readVerifier, type NoteVerifier } from '../audit/checkpoint.ts';
import { openKeyStatement } from '../audit/key-statement.ts';
import type { Transaction } from '../database/database.ts';
import type { Findings } from './findings.ts';

/** A verifier line names the log that it is of; a bare key is taken for the log at hand. */
export type TrustedKey = NoteVerifier | KeyObject;

export interface KeyRow {
  ordinal: number;
  verifier: string;
  statement: string | null;
}

export interface Trust {
  verifiers: NoteVerifier[];
  /** False where no key was given: the signatures then prove nothing against who owns the database. */
  given: boolean;
}

/** The keys of a log in their order, as the database names them. */
export async function readKeys(tx: Transaction): Promise<KeyRow[]> {
  return (await tx.query<KeyRow>('select ordinal, verifier, statement from log_key order by ordinal')).rows;
}

/** `rows`: the keys that the log names. */
export function trustOf(rows: readonly KeyRow[], origin: string, given: readonly TrustedKey[], findings: Findings): Trust {
  const verifiers = given.map((key): NoteVerifier => ('name' in key ? key : { name: origin, publicKey: key }));
  const other = verifiers.find(({ name }) => name !== origin);
  if (other !== undefined) findings.add({ kind: 'log-replaced', what: `This is the log ${origin}, and the key is of ${other.name}` });
  const [first] = rows;
  if (verifiers.length === 0 && first !== undefined) verifiers.push(...known(first.verifier));
  let begun = false;
  for (const row of rows) begun = takeKey(row, origin, verifiers, begun ? findings : undefined) || begun;
  return { verifiers, given: given.length > 0 };
}

const known = (line: string): NoteVerifier[] => [readVerifier(line) ?? []].flat();

/** True when the key is trusted. Those before the first trusted one are of no concern; each behind it needs its statement. */
function takeKey({ ordinal, verifier, statement }: KeyRow, origin: string, verifiers: NoteVerifier[], findings: Findings | undefined): boolean {
  if (verifiers.some((one) => printVerifier(one) === verifier)) return true;
  const introduced = statement === null ? undefined : openKeyStatement(statement, origin, verifiers);
  if (introduced !== undefined && printVerifier(introduced) === verifier) {
    verifiers.push(introduced);
    return true;
  }
  findings?.add({ kind: 'key-changed', what: `Key ${ordinal} of the log was not introduced by a trusted one: ${verifier}` });
  return false;
}
