// Searches of one shape are planned once for each connection. Shapes beyond a bound are planned anew each time, so that
// a stranger's many queries cannot fill the memory of the database's connections.
import type { Statement } from '../database/database.ts';
import type { SearchQuery } from './search-query.ts';

const SHAPES_MAX = 64;
const names = new Map<string, string>();

export function prepared({ text, values, plannedOnce }: SearchQuery): Statement {
  let name = names.get(text);
  if (name === undefined && plannedOnce && names.size < SHAPES_MAX) {
    name = `search-${names.size}`;
    names.set(text, name);
  }
  return name === undefined ? { text, values } : { name, text, values };
}
