// The Bundle of a search (R4 search.html 3.1.1.6). Entries are texts already: nothing stored is parsed again.
import { printJson } from '../fhir/json.ts';

export interface SearchsetEntry {
  fullUrl: string;
  /** JSON text of the resource. */
  text: string;
  /** `match` unless told. */
  mode?: 'match' | 'include';
}

export interface Searchset {
  self: string;
  next?: string;
  total?: number;
  entries: readonly SearchsetEntry[];
  /** Parameters that were left out; told in an entry of mode outcome. */
  ignored: readonly string[];
}

export function selfUrl(base: string, used: readonly [string, string][]): string {
  const query = new URLSearchParams([...used]).toString();
  return query === '' ? base : `${base}?${query}`;
}

function outcomeEntry(ignored: readonly string[]): string {
  const issue = ignored.map((name) => ({ severity: 'warning', code: 'not-supported', diagnostics: `Not supported here and left out: ${name}` }));
  return printJson({ resource: { resourceType: 'OperationOutcome', issue }, search: { mode: 'outcome' } });
}

export function printSearchset(set: Searchset): string {
  const link = [{ relation: 'self', url: set.self }, ...(set.next === undefined ? [] : [{ relation: 'next', url: set.next }])];
  const head = JSON.stringify({ resourceType: 'Bundle', type: 'searchset', ...(set.total === undefined ? {} : { total: set.total }), link });
  const matches = set.entries.map((entry) => `{"fullUrl":${JSON.stringify(entry.fullUrl)},"resource":${entry.text},"search":{"mode":"${entry.mode ?? 'match'}"}}`);
  const entries = set.ignored.length === 0 ? matches : [...matches, outcomeEntry(set.ignored)];
  return entries.length === 0 ? head : `${head.slice(0, -1)},"entry":[${entries.join(',')}]}`;
}
