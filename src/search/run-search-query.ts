// Searches of one shape are planned once for each connection. Shapes beyond a bound are planned anew each time, so that
// a stranger's many queries cannot fill the memory of the database's connections.
import type { Statement, Transaction } from '../database/database.ts';
import { PLAN_FOR_VALUES } from '../database/plans.ts';
import type { SearchQuery } from './search-query.ts';

const SHAPES_MAX = 64;
const names = new Map<string, string>();

function statementOf({ text, values, plannedOnce }: SearchQuery): Statement {
  let name = names.get(text);
  if (name === undefined && plannedOnce && names.size < SHAPES_MAX) {
    name = `search-${names.size}`;
    names.set(text, name);
  }
  return name === undefined ? { text, values } : { name, text, values };
}

/** Runs a search: planned once where its text decides the plan, for its values where not. */
export async function runSearchQuery<Row>(tx: Transaction, query: SearchQuery): Promise<Row[]> {
  if (!query.plannedOnce) await tx.query(PLAN_FOR_VALUES);
  return (await tx.query<Row>(statementOf(query))).rows;
}
