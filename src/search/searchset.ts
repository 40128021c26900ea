// The Bundle of a search (R4 search.html 3.1.1.6). Entries are texts already: nothing stored is parsed again.
import { randomUUID } from 'node:crypto';
import { asFhirString } from '../fhir/fhir-string.ts';

export interface SearchsetEntry {
  fullUrl: string;
  /** JSON text of the resource. */
  text: string;
  /** `match` unless told. */
  mode?: 'match' | 'include';
}

/** What a client should know of how its search was understood; never an error, for those are answers of their own. */
export interface SearchNote {
  severity: 'warning' | 'information';
  code: 'not-supported' | 'too-costly' | 'suppressed' | 'incomplete';
  diagnostics: string;
}

export interface SearchLink {
  relation: 'self' | 'first' | 'previous' | 'next';
  url: string;
}

export interface Searchset {
  links: readonly SearchLink[];
  /** Matches on all pages; what is included does not count. */
  total?: number;
  /** Matches first, then what is included. */
  entries: readonly SearchsetEntry[];
  /** Told in one entry of mode outcome. */
  notes: readonly SearchNote[];
}

/** A link by GET, whatever the request was. */
export function searchUrl(base: string, parameters: readonly (readonly [string, string])[]): string {
  const query = new URLSearchParams(parameters.map(([name, value]): [string, string] => [name, value])).toString();
  // A comma parts values of one parameter (3.1.1.5.2); in a query it stands for itself (RFC 3986 3.4).
  return query === '' ? base : `${base}?${query.replaceAll('%2C', ',')}`;
}

/** Notes on parameters that this server does not know or cannot use here. */
export function ignoredNotes(ignored: readonly string[]): SearchNote[] {
  return ignored.map((name) => ({ severity: 'warning', code: 'not-supported', diagnostics: `Not supported here and left out: ${name}` }));
}

/** What is kept nowhere has a fullUrl as well (R4 bundle.html 2.36.4): validators ask for one in each entry. */
function outcomeEntry(notes: readonly SearchNote[]): string {
  return JSON.stringify({ fullUrl: `urn:uuid:${randomUUID()}`, resource: { resourceType: 'OperationOutcome', issue: notes.map((note) => ({ ...note, diagnostics: asFhirString(note.diagnostics) })) }, search: { mode: 'outcome' } });
}

function entryText({ fullUrl, text, mode = 'match' }: SearchsetEntry): string {
  return `{"fullUrl":${JSON.stringify(fullUrl)},"resource":${text},"search":{"mode":"${mode}"}}`;
}

export function printSearchset(set: Searchset): string {
  const head = JSON.stringify({ resourceType: 'Bundle', type: 'searchset', ...(set.total === undefined ? {} : { total: set.total }), link: set.links });
  const entries = [
    ...set.entries.map(entryText),
    ...(set.notes.length === 0 ? [] : [outcomeEntry(set.notes)]),
  ];
  return entries.length === 0 ? head : `${head.slice(0, -1)},"entry":[${entries.join(',')}]}`;
}
