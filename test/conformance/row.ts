// One test of one row of the table. What is not offered yet is not run, unless CONFORMANCE=open asks for it.
import { it } from '@jest/globals';
import { ROWS, type Row } from './rows.ts';

const byId = new Map<string, Row>(ROWS.map((one) => [one.id, one]));

/** Registers the test that proves row `id`; each row has exactly one, and none that the table does not know. */
export function row(id: string, prove: () => Promise<void> | void, timeoutMs?: number): void {
  const known = byId.get(id);
  if (known === undefined) throw new Error(`The table has no row ${id}`);
  const title = `${id}: ${known.requirement}`;
  if (known.state === 'tested' || (known.state === 'open' && process.env['CONFORMANCE'] === 'open')) it(title, prove, timeoutMs);
  else it.skip(title, prove);
}
