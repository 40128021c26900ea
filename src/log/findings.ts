// What a verification finds wrong, in words for people and with a place.
export type FindingKind =
  | 'event-changed' | 'event-missing' | 'event-without-leaf' | 'index-changed' | 'removal-changed'
  | 'version-changed' | 'version-missing' | 'version-without-leaf' | 'content-changed' | 'content-missing'
  | 'leaves-missing' | 'leaves-changed' | 'subtree-changed' | 'tail-missing' | 'state-changed'
  | 'checkpoint-changed' | 'checkpoint-missing' | 'checkpoint-unsigned' | 'database-older' | 'file-damaged' | 'file-missing' | 'row-changed' | 'key-changed' | 'log-replaced';

export interface Finding {
  kind: FindingKind;
  what: string;
  /** Leaves `start` to `end`, the last one not among them. */
  leaves?: { start: number; end: number };
  /** AuditEvent/id, or Type/id/_history/version. */
  reference?: string;
  organisation?: string;
}

const NAMED_MAX = 100;

/** Keeps the first hundred of them and counts all, so that memory stays flat. */
export class Findings {
  readonly named: Finding[] = [];
  count = 0;

  add(finding: Finding): void {
    this.count += 1;
    if (this.named.length < NAMED_MAX) this.named.push(finding);
  }
}

export const leavesText = ({ start, end }: { start: number; end: number }): string => (end - start === 1 ? `leaf ${start}` : `leaves ${start} to ${end - 1}`);
