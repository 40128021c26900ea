// A resource as it is compared with its copy at HAPI: without what each server says for itself, and with what HAPI is
// known to rewrite brought to one form (http://hl7.org/fhir/R4/resource.html#Meta). Pure.
import { createHash } from 'node:crypto';
import { isJsonObject, JsonNumber, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';

/** Elements of meta that are sets: HAPI keeps their members and no order. */
const SETS = ['profile', 'security', 'tag'];
/** The only references of what is mirrored whose version HAPI keeps. */
const VERSIONED: Partial<Record<string, RegExp>> = { Provenance: /^Provenance\.target\[\d+\]\.reference$/, AuditEvent: /^AuditEvent\.entity\[\d+\]\.what\.reference$/ };

/** `hapiBase` is the address under which HAPI writes references to itself; it shows them relative. */
export function comparableForm(resource: JsonObject, hapiBase: string): JsonObject {
  const type = typeof resource['resourceType'] === 'string' ? resource['resourceType'] : '';
  const meta = isJsonObject(resource['meta']) ? comparableMeta(resource['meta']) : {};
  const { meta: _, ...rest } = resource;
  const form = sorted(rest, type, { hapiBase, versioned: VERSIONED[type] }) as JsonObject;
  return Object.keys(meta).length === 0 ? form : { ...form, meta };
}

function comparableMeta(meta: JsonObject): JsonObject {
  const kept = Object.entries(meta).filter(([name]) => !['versionId', 'lastUpdated', 'source'].includes(name));
  return Object.fromEntries(kept.map(([name, value]): [string, JsonValue] => [name, SETS.includes(name) && Array.isArray(value) ? asSet(value) : value]).sort(byName));
}

function asSet(values: JsonValue[]): JsonValue[] {
  const texts = values.map((value) => printJson(isJsonObject(value) ? sortedCoding(value) : value));
  const byText = new Map(values.map((value, at) => [texts[at] ?? '', value]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => (isJsonObject(value) ? sortedCoding(value) : value));
}

/** HAPI adds `userSelected: false` to labels. */
function sortedCoding(coding: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(coding).filter(([name, value]) => !(name === 'userSelected' && value === false)).sort(byName));
}

interface Rules { hapiBase: string; versioned: RegExp | undefined }

function sorted(value: JsonValue, path: string, rules: Rules): JsonValue {
  if (Array.isArray(value)) return value.map((item, at) => sorted(item, `${path}[${at}]`, rules));
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).map(([name, member]): [string, JsonValue] => {
    const inner = `${path}.${name}`;
    if (typeof member !== 'string') return [name, sorted(member, inner, rules)];
    if (name === 'reference') return [name, comparableReference(member, rules.versioned?.test(inner) === true, rules.hapiBase)];
    return [name, name === 'div' && path.endsWith('.text') ? comparableNarrative(member) : member];
  });
  return Object.fromEntries(members.sort(byName));
}

function comparableReference(reference: string, versioned: boolean, hapiBase: string): string {
  const relative = reference.startsWith(`${hapiBase}/`) ? reference.slice(hapiBase.length + 1) : reference;
  return versioned ? relative : relative.replace(/^([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]+)\/_history\/[A-Za-z0-9\-.]+$/, '$1');
}

/** HAPI reads the XHTML and writes it anew: empty elements, quotes, characters by name and white space come out its way. */
function comparableNarrative(div: string): string {
  return div.replace(/<([a-z0-9]+)([^<>]*)><\/\1>/g, '<$1$2/>').replace(/[ \t\r\n]+/g, ' ').replace(/ ?\/>/g, '/>').replace(/='([^'"]*)'/g, '="$1"')
    .replaceAll('&quot;', '"').replaceAll('&apos;', "'").replace(/&nbsp;|&#160;|&#xa0;/gi, '\u00A0');
}

function byName([a]: [string, JsonValue], [b]: [string, JsonValue]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** SHA-256 of a comparable form, in hexadecimal. */
export function comparableHash(form: JsonObject): string {
  return createHash('sha256').update(printJson(form)).digest('hex');
}

/** FHIRPath-like path of the first element in which the two differ, such as `DocumentReference.content[0].attachment.title`; undefined where they are equal. */
export function firstDifference(ours: JsonValue | undefined, theirs: JsonValue | undefined, path: string): string | undefined {
  if (isJsonObject(ours) && isJsonObject(theirs)) {
    for (const name of [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].sort()) {
      const found = firstDifference(ours[name], theirs[name], `${path}.${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    for (let at = 0; at < Math.max(ours.length, theirs.length); at++) {
      const found = firstDifference(ours[at], theirs[at], `${path}[${at}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return sameLeaf(ours, theirs) ? undefined : path;
}

function sameLeaf(ours: JsonValue | undefined, theirs: JsonValue | undefined): boolean {
  return ours === theirs || (ours instanceof JsonNumber && theirs instanceof JsonNumber && ours.text === theirs.text);
}
