// The request entries of a batch or transaction Bundle (R4 bundle.html, http.html 3.1.0.11): what each asks for, and in
// which order a transaction does it.
import { issueOf, type Issue } from './fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';

export const ENTRY_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type EntryMethod = (typeof ENTRY_METHODS)[number];

/** Preconditions of an entry, by the name of the header that they stand for. */
export const ENTRY_HEADERS = {
  'if-match': 'ifMatch', 'if-none-match': 'ifNoneMatch', 'if-none-exist': 'ifNoneExist', 'if-modified-since': 'ifModifiedSince',
} as const;

export interface BundleEntry {
  /** Position in Bundle.entry, from 0. */
  index: number;
  fullUrl: string | undefined;
  method: EntryMethod;
  /** As sent: DocumentReference/1, DocumentReference?patient=1, or below the base of this server. */
  url: string;
  resource: JsonObject | undefined;
  headers: Readonly<Record<string, string>>;
}

export interface RequestBundle {
  entries: BundleEntry[];
  /** What is wrong with the envelope; resources are not looked into. */
  issues: Issue[];
}

/** Where an entry stands, as FHIRPath. */
export function entryPath(index: number): string {
  return `Bundle.entry[${index}]`;
}

const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** Reads the entries of a Bundle whose structure is valid. Faults: no request (bdl-3), and bodies where none belongs or one is missing. */
export function readRequestBundle(bundle: JsonObject): RequestBundle {
  const found = Array.isArray(bundle['entry']) ? bundle['entry'].filter(isJsonObject) : [];
  const issues: Issue[] = [];
  const entries = found.flatMap((entry, index) => readEntry(entry, index, issues) ?? []);
  return { entries, issues };
}

function readEntry(entry: JsonObject, index: number, issues: Issue[]): BundleEntry | undefined {
  const path = entryPath(index);
  const request = isJsonObject(entry['request']) ? entry['request'] : undefined;
  const method = ENTRY_METHODS.find((one) => one === request?.['method']);
  const url = text(request?.['url']);
  if (request === undefined || method === undefined || url === undefined) {
    issues.push(issueOf('structure', `${path} has no request with a method and a url (bdl-3)`, `${path}.request`));
    return undefined;
  }
  const resource = isJsonObject(entry['resource']) ? entry['resource'] : undefined;
  const needsBody = method === 'PUT' || method === 'PATCH' || (method === 'POST' && !/\/_search(\?|$)|\$/.test(url));
  if (needsBody && resource === undefined) issues.push(issueOf('structure', `${path} has the method ${method} and no resource`, `${path}.resource`));
  if (!needsBody && method !== 'POST' && resource !== undefined) issues.push(issueOf('structure', `${path} has the method ${method}, to which no resource belongs`, `${path}.resource`));
  const headers = Object.entries(ENTRY_HEADERS).flatMap(([header, name]) => {
    const value = text(request[name]);
    return value === undefined ? [] : [[header, value] as const];
  });
  return { index, fullUrl: text(entry['fullUrl']), method, url, resource, headers: Object.fromEntries(headers) };
}

const ORDER: Record<EntryMethod, number> = { DELETE: 0, POST: 1, PUT: 2, PATCH: 2, GET: 3, HEAD: 3 };

/** The order in which a transaction is done, whatever the order of its entries (R4 http.html 3.1.0.11.2). */
export function transactionOrder<Entry extends Pick<BundleEntry, 'method' | 'index'>>(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => ORDER[a.method] - ORDER[b.method] || a.index - b.index);
}
