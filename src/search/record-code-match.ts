// Values of a search against what a resource shows: codes (R4 search.html 3.1.1.5.5), texts and uris. Pure.
import { normalizeText } from './normalize-text.ts';
import type { SearchClause, SearchValue } from './parse-search.ts';
import { uriAbove, uriBelow } from './search-uri.ts';

export function matchesCode(asked: { system: string | undefined; code: string }, shown: { system?: string; code: string }): boolean {
  if (asked.system === undefined) return asked.code === shown.code;
  if (asked.system !== (shown.system ?? '')) return false;
  return asked.code === '' || asked.code === shown.code;
}

export function matchesText(asked: string, { parameter, modifier }: SearchClause, shown: string): boolean {
  if (parameter.type === 'uri') {
    if (modifier === 'above') return uriAbove(asked).includes(shown);
    const { exact, prefixes } = modifier === 'below' ? uriBelow(asked) : { exact: [asked], prefixes: [] };
    return exact.includes(shown) || prefixes.some((prefix) => shown.startsWith(prefix));
  }
  if (modifier === 'exact') return shown === asked;
  const [whole, part] = [normalizeText(shown), normalizeText(asked)];
  return modifier === 'contains' ? whole.includes(part) : whole.startsWith(part);
}

/** The code itself, or with `:text` the beginning of its display. */
export function matchesShown(asked: SearchValue, shown: { system?: string; code: string; display?: string }): boolean {
  if (asked.kind === 'token') return matchesCode(asked, shown);
  return asked.kind === 'plain' && shown.display !== undefined && normalizeText(shown.display).startsWith(normalizeText(asked.text));
}
