// One occurrence of a search parameter: its modifier and its values (R4 search.html 3.1.1.4.3, 3.1.1.5). Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { parseDateRange, type DateRange } from '../fhir/instant.ts';
import { ID_PATTERN, referenceKey } from '../fhir/reference.ts';
import { indexedUri } from './extract-index-values.ts';
import { exactTextKey, logicalReferenceKey, ofTypeKey, relationKey, tokenSearchKey } from './index-hash.ts';
import { normalizeText } from './normalize-text.ts';
import type { SearchParameter } from './search-parameter.ts';
import { absoluteUri, mimeAbove, mimeBelow, uriAbove, uriBelow } from './search-uri.ts';
import { valueSetTokens } from './value-set-codes.ts';

export type DatePrefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb' | 'ap';

export type SearchValue =
  | { kind: 'token'; system: string | undefined; code: string }
  /** Keys of which any may match: a bare id may mean several types. `text` is the value as sent. */
  | { kind: 'reference'; keys: string[]; text: string }
  | { kind: 'date'; prefix: DatePrefix; range: DateRange }
  /** Keys of index rows as extraction made them. */
  | { kind: 'key'; keys: string[] }
  /** Texts of index rows: the whole, or their beginning. */
  | { kind: 'text'; exact: string[]; prefixes: string[] }
  /** Something that stands in the words of a version: at the beginning of a text, or anywhere in it. */
  | { kind: 'words'; text: string; anywhere: boolean }
  /** A text as it was sent, which rows of the record are compared with. */
  | { kind: 'plain'; text: string }
  | { kind: 'missing'; missing: boolean };

/** One occurrence of a parameter: its values are joined by OR, clauses by AND. */
export interface SearchClause {
  parameter: SearchParameter;
  values: SearchValue[];
  modifier?: string;
  /** Found is what has none of the values (`:not`, `:not-in`), also what has no value at all. */
  negated?: true;
}

/** What a clause is parsed against. */
export interface ClauseScope {
  fhirBase: string;
  /** All parameters of the type. */
  parameters: readonly SearchParameter[];
}

/** Values of one parameter at most: each is a key that is looked up. */
export const VALUES_MAX = 1_000;

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

const SUITABLE: Record<SearchParameter['type'], readonly string[]> = {
  token: ['missing', 'not', 'text', 'in', 'not-in', 'above', 'below', 'of-type'],
  string: ['missing', 'exact', 'contains'],
  uri: ['missing', 'above', 'below'],
  reference: ['missing', 'identifier'],
  date: ['missing'],
  composite: [],
};

/** Where `separator` stands unescaped from `from` on; -1 where it does not. A backslash takes the next character with it. */
function findUnescaped(text: string, separator: string, from = 0): number {
  for (let at = from; at < text.length; at += text[at] === '\\' ? 2 : 1) if (text[at] === separator) return at;
  return -1;
}

/** Splits where no backslash escapes the separator; the escapes stay. */
export function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = findUnescaped(text, separator); at >= 0; at = findUnescaped(text, separator, start)) {
    parts.push(text.slice(start, at));
    start = at + 1;
  }
  return [...parts, text.slice(start)];
}

export function unescape(text: string): string {
  return text.replace(/\\([,$|\\])/g, '$1');
}

export function parseToken(text: string): { kind: 'token'; system: string | undefined; code: string } {
  const bar = findUnescaped(text, '|');
  if (bar < 0) return { kind: 'token', system: undefined, code: unescape(text) };
  return { kind: 'token', system: unescape(text.slice(0, bar)), code: unescape(text.slice(bar + 1)) };
}

/** A code has the system that R4 implies; another one is no error, it finds nothing. `system|` finds whatever has a value. */
function parseCode(parameter: SearchParameter, text: string): SearchValue {
  const { system, code } = parseToken(text);
  if (system !== undefined && system !== parameter.system) return { kind: 'key', keys: [] };
  return code === '' ? { kind: 'missing', missing: false } : { kind: 'token', system: undefined, code };
}

/** A media type is found by its whole text, or with `:below` and `:above` by its place in their tree. */
function parseMime(parameter: SearchParameter, text: string, modifier: string | undefined): SearchValue {
  const value = parseCode(parameter, text);
  if (value.kind !== 'token') return value;
  if (modifier === 'below') {
    const { exact, prefixes } = mimeBelow(value.code);
    return { kind: 'text', exact: exact.map(indexedUri), prefixes };
  }
  return { kind: 'text', exact: (modifier === 'above' ? mimeAbove(value.code) : [value.code]).map(indexedUri), prefixes: [] };
}

function parseOfType(parameter: SearchParameter, text: string): SearchValue {
  const [system = '', code = '', ...rest] = splitUnescaped(text, '|').map(unescape);
  const value = rest.join('|');
  if (system === '' || code === '' || value === '') throw invalid(`${parameter.name}:of-type must be system|code|value, all three`);
  return { kind: 'key', keys: [ofTypeKey(system, code, value)] };
}

/** The codes of a value set that this server holds, as tokens. */
function parseValueSet(parameter: SearchParameter, text: string): SearchValue[] {
  const tokens = valueSetTokens(unescape(text), parameter.system);
  if (tokens === undefined) throw invalid(`The value set ${text.slice(0, 200)} is not held here, so that ${parameter.name} cannot be compared with it`);
  return tokens;
}

export function parseTokenValue(parameter: SearchParameter, text: string, modifier: string | undefined): SearchValue {
  switch (modifier) {
    case 'text': return { kind: 'words', text: normalizeText(unescape(text)), anywhere: false };
    case 'of-type': return parseOfType(parameter, text);
    default:
  }
  if (parameter.mime === true) return parseMime(parameter, text, modifier);
  if (parameter.system === undefined || parameter.column !== undefined) return parseToken(text);
  return parseCode(parameter, text);
}

function parseLogical(text: string): SearchValue {
  return { kind: 'key', keys: [logicalReferenceKey(tokenSearchKey(parseToken(text)))] };
}

const VERSION = /\/_history\/[A-Za-z0-9\-.]{1,64}$/;

function parseReference(parameter: SearchParameter, text: string, modifier: string | undefined, { fhirBase }: ClauseScope): SearchValue {
  const value = unescape(text);
  if (!value.includes('/') && ID_PATTERN.test(value)) {
    const types = modifier === undefined ? parameter.targets : [modifier];
    if (types === undefined) throw invalid(`${parameter.name} may point to any type: name it, as in ${parameter.name}=DocumentReference/${value}`);
    return { kind: 'reference', keys: types.map((type) => `${type}/${value}`), text: value };
  }
  const key = referenceKey(value, fhirBase);
  if (modifier !== undefined && /^[A-Z][A-Za-z]+\/[^/]+$/.test(key) && !key.startsWith(`${modifier}/`)) return { kind: 'reference', keys: [], text: value };
  return { kind: 'reference', keys: [`${key}${VERSION.exec(value)?.[0] ?? ''}`], text: value };
}

export function parseDate(name: string, text: string): SearchValue {
  const [, prefix = 'eq', value = ''] = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)$/s.exec(text) ?? [];
  // An unescaped + of a zone arrives as a space.
  const range = parseDateRange(value.replace(/ (\d{2}:\d{2})$/, '+$1'));
  if (range === undefined) throw invalid(`${name} must be a date with at most a known prefix, such as ge2024-01-31`);
  return { kind: 'date', prefix: prefix as DatePrefix, range };
}

function parseString(text: string, modifier: string | undefined): SearchValue {
  const value = unescape(text);
  if (modifier === 'exact') return { kind: 'key', keys: [exactTextKey(value)] };
  const normal = normalizeText(value);
  return modifier === 'contains' ? { kind: 'words', text: normal, anywhere: true } : { kind: 'text', exact: [], prefixes: [normal] };
}

function parseUri(text: string, modifier: string | undefined, fhirBase: string): SearchValue {
  const uri = absoluteUri(unescape(text), fhirBase);
  if (modifier === 'below') {
    const { exact, prefixes } = uriBelow(uri);
    return { kind: 'text', exact: exact.map(indexedUri), prefixes };
  }
  return { kind: 'text', exact: (modifier === 'above' ? uriAbove(uri) : [uri]).map(indexedUri), prefixes: [] };
}

/** Both orders of the parts are understood: R4's definition pairs them the wrong way round. */
function parseComposite(parameter: SearchParameter, text: string, scope: ClauseScope): SearchValue {
  const parts = splitUnescaped(text, '$').filter((part) => part !== '');
  const [first, second] = parts;
  if (first === undefined || second === undefined || parts.length !== 2) throw invalid(`${parameter.name} must be two values with $ between them, such as replaces$DocumentReference/1`);
  const [code, target] = (parameter.components ?? []).map((component) => scope.parameters.find((candidate) => candidate.name === component.name));
  if (code === undefined || target === undefined) throw new Error(`${parameter.name} has no components`);
  const keys = [[first, second] as const, [second, first] as const].flatMap(([codeText, targetText]) => {
    const [left, right] = [parseCode(code, codeText), parseReference(target, targetText, undefined, scope)];
    return left.kind === 'token' && right.kind === 'reference' ? right.keys.map((key) => relationKey(left.code, key)) : [];
  });
  return { kind: 'key', keys };
}

function parseMissing(parameter: SearchParameter, text: string): SearchValue {
  if (text !== 'true' && text !== 'false') throw invalid(`${parameter.name}:missing must be true or false`);
  return { kind: 'missing', missing: text === 'true' };
}

function parseValues(parameter: SearchParameter, text: string, modifier: string | undefined, scope: ClauseScope): SearchValue[] {
  if (modifier === 'in' || modifier === 'not-in') return parseValueSet(parameter, text);
  return [modifier === 'missing' ? parseMissing(parameter, text) : parseValue(parameter, text, modifier, scope)];
}

function parseValue(parameter: SearchParameter, text: string, modifier: string | undefined, scope: ClauseScope): SearchValue {
  switch (parameter.type) {
    case 'token': return parseTokenValue(parameter, text, modifier);
    case 'reference': return modifier === 'identifier' ? parseLogical(text) : parseReference(parameter, text, modifier, scope);
    case 'date': return parseDate(parameter.name, unescape(text));
    case 'string': return parseString(text, modifier);
    case 'uri': return parseUri(text, modifier, scope.fhirBase);
    case 'composite': return parseComposite(parameter, text, scope);
  }
}

/** Whether the modifier means something on the parameter (R4 search.html 3.1.1.4.3). */
export function suits(parameter: SearchParameter, modifier: string): boolean {
  if (parameter.type === 'reference' && (parameter.targets?.includes(modifier) ?? /^[A-Z][A-Za-z]+$/.test(modifier))) return true;
  if (!SUITABLE[parameter.type].includes(modifier)) return false;
  if (parameter.type !== 'token') return true;
  const coded = parameter.system !== undefined;
  switch (modifier) {
    // Only media types have a tree here: the hierarchies of code systems are not held.
    case 'above': case 'below': return parameter.mime === true;
    case 'text': return !coded && parameter.column === undefined;
    case 'of-type': return parameter.identifier === true;
    case 'in': case 'not-in': return parameter.identifier !== true && parameter.mime !== true && parameter.column !== 'id';
    default: return true;
  }
}

/** The modifiers that suit a parameter, without the types that a reference may be narrowed to. */
export function modifiersOf(parameter: SearchParameter): string[] {
  return SUITABLE[parameter.type].filter((modifier) => suits(parameter, modifier));
}

function refuseModifier(parameter: SearchParameter, modifier: string): Error {
  const shown = `The modifier :${modifier.slice(0, 40)} is not supported on ${parameter.name}`;
  return invalid(/^(above|below)$/.test(modifier) && parameter.type === 'token' ? `${shown}: the hierarchy of its code system is not held here` : shown);
}

/** What the column of the patient cannot say stands in the index rows of the subject. */
function rowsOf(parameter: SearchParameter, values: readonly SearchValue[], modifier: string | undefined, parameters: readonly SearchParameter[]): SearchParameter {
  const asked = modifier === 'identifier' || values.some((value) => value.kind === 'reference' && value.keys.some((key) => VERSION.test(key)));
  if (parameter.column !== 'patient' || !asked) return parameter;
  return parameters.find(({ name }) => name === 'subject') ?? parameter;
}

/** Raises 400 `invalid-parameter` for a modifier that does not suit, for a value that breaks its type's syntax, and for too many values. */
export function parseClause(parameter: SearchParameter, modifier: string | undefined, text: string, scope: ClauseScope): SearchClause {
  // Values of chains come here on ways of their own.
  if (text.includes('\u0000')) throw fhirError('invalid-parameter', 'A search cannot hold the character NUL');
  if (modifier !== undefined && !suits(parameter, modifier)) throw refuseModifier(parameter, modifier);
  const parts = splitUnescaped(text, ',').filter((part) => part !== '');
  if (parts.length > VALUES_MAX) throw fhirError('too-costly', `${parameter.name} has ${parts.length} values; ${VALUES_MAX} are allowed`);
  const values = parts.flatMap((part) => parseValues(parameter, part, modifier, scope));
  const clause: SearchClause = { parameter: rowsOf(parameter, values, modifier, scope.parameters), values };
  if (modifier !== undefined) clause.modifier = modifier;
  if (modifier === 'not' || modifier === 'not-in') clause.negated = true;
  return clause;
}
