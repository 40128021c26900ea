// The statement by which old accesses leave the record: a signed note under the key of the log, so that nobody who owns the
// database alone can remove any. It names up to where, how many, how old, and the export that holds them.
import type { KeyObject } from 'node:crypto';
import { openNote, signNote, type NoteVerifier } from './checkpoint.ts';

const FIRST_LINE = 'Removal from a Muniment log';
/** How long the record is kept at least. */
export const RECORD_YEARS_MIN = 8;

export interface Removal {
  /** Leaves below this place, which a checkpoint covers exactly. */
  size: number;
  /** Of the tree of that size. */
  root: Buffer;
  /** How many events are gone below it, those of earlier removals with them. */
  events: number;
  /** What was recorded from then on stays. FHIR instants. */
  before: string;
  signed: string;
  /** SHA-256 of the manifests of the exports that hold them, hexadecimal. */
  exports: readonly string[];
}

/** The instant `RECORD_YEARS_MIN` years before, of the calendar. */
export function oldestKept(instant: Date): Date {
  const at = new Date(instant);
  at.setUTCFullYear(at.getUTCFullYear() - RECORD_YEARS_MIN);
  return at;
}

export function signRemoval(origin: string, { size, root, events, before, signed, exports }: Removal, privateKey: KeyObject): string {
  return signNote([FIRST_LINE, origin, String(size), root.toString('base64'), String(events), before, signed, ...exports, ''].join('\n'), origin, privateKey);
}

/** What the statement says of this log, when one of `trusted` signed it and it is about accesses that were old enough then. */
export function openRemoval(statement: string, origin: string, trusted: readonly NoteVerifier[]): Removal | undefined {
  const [first, log, size, root, events, before, signed, ...exports] = openNote(statement, trusted)?.trimEnd().split('\n') ?? [];
  if (first !== FIRST_LINE || log !== origin || before === undefined || signed === undefined) return undefined;
  const removal = { size: Number(size), root: Buffer.from(root ?? '', 'base64'), events: Number(events), before, signed, exports };
  const sound = Number.isSafeInteger(removal.size) && Number.isSafeInteger(removal.events) && exports.length > 0;
  return sound && Date.parse(before) <= oldestKept(new Date(signed)).getTime() ? removal : undefined;
}
