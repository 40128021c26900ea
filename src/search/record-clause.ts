// One occurrence of a search parameter of AuditEvent or Provenance (R4 search.html 3.1.1.4.3, 3.1.1.5). Values stay as
// they were sent: the record has no index of its own, its rows are compared. Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { ID_PATTERN, referenceKey } from '../fhir/reference.ts';
import { RESOURCE_TYPES } from '../fhir/resource-type.ts';
import { parseDate, parseToken, splitUnescaped, unescape, VALUES_MAX, type SearchClause, type SearchValue } from './parse-clause.ts';
import type { SearchParameter } from './search-parameter.ts';
import { valueSetCodes } from './value-set-codes.ts';

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

const SUITABLE: Record<SearchParameter['type'], readonly string[]> = {
  token: ['missing', 'not', 'text', 'in', 'not-in'],
  string: ['missing', 'exact', 'contains'],
  uri: ['missing', 'above', 'below'],
  reference: ['missing', 'identifier'],
  date: ['missing'],
  composite: [],
};

/** The parameter of a chained search for an Identifier (ITI-81): it is the logical reference itself that has it. */
const CHAINED = /^(agent|patient|entity|source|target)(?::[A-Z][A-Za-z]+)?\.identifier$/;

/** `agent.identifier` is `agent:identifier`; every other key is itself. */
export function recordKey(key: string): string {
  const name = CHAINED.exec(key)?.[1];
  return name === undefined ? key : `${name}:identifier`;
}

function suits(parameter: SearchParameter, modifier: string): boolean {
  if (SUITABLE[parameter.type].includes(modifier)) {
    if (modifier === 'in' || modifier === 'not-in') return parameter.system !== undefined;
    return modifier !== 'text' || parameter.column === undefined;
  }
  return parameter.type === 'reference' && (parameter.targets?.includes(modifier) ?? Object.hasOwn(RESOURCE_TYPES, modifier));
}

function parseReference(parameter: SearchParameter, text: string, modifier: string | undefined, fhirBase: string): SearchValue {
  const value = unescape(text);
  if (!value.includes('/') && ID_PATTERN.test(value)) {
    const types = modifier === undefined ? parameter.targets ?? Object.keys(RESOURCE_TYPES) : [modifier];
    return { kind: 'reference', keys: types.map((type) => `${type}/${value}`), text: value };
  }
  const key = referenceKey(value, fhirBase);
  const ofType = modifier === undefined || key.startsWith(`${modifier}/`) || key.includes(`/${modifier}/`);
  return { kind: 'reference', keys: ofType ? [key] : [], text: value };
}

function parseLogical(parameter: SearchParameter, text: string): SearchValue {
  const value = parseToken(text);
  if (value.code === '' && (value.system ?? '') === '') throw invalid(`${parameter.name}:identifier must be a value, system|value, |value or system|`);
  return value;
}

function parseMissing(parameter: SearchParameter, text: string): SearchValue {
  if (text !== 'true' && text !== 'false') throw invalid(`${parameter.name}:missing must be true or false`);
  return { kind: 'missing', missing: text === 'true' };
}

function parseValueSet(parameter: SearchParameter, text: string): SearchValue[] {
  const codes = valueSetCodes(unescape(text), parameter.system);
  if (codes === undefined) throw invalid(`The value set ${text.slice(0, 200)} is not held here, so that ${parameter.name} cannot be compared with it`);
  return codes.map((code) => ({ kind: 'token', system: undefined, code }));
}

function parseValues(parameter: SearchParameter, text: string, modifier: string | undefined, fhirBase: string): SearchValue[] {
  if (modifier === 'missing') return [parseMissing(parameter, text)];
  if (modifier === 'in' || modifier === 'not-in') return parseValueSet(parameter, text);
  if (modifier === 'text') return [{ kind: 'plain', text: unescape(text) }];
  switch (parameter.type) {
    case 'token': return [parseToken(text)];
    case 'reference': return [modifier === 'identifier' ? parseLogical(parameter, text) : parseReference(parameter, text, modifier, fhirBase)];
    case 'date': return [parseDate(parameter.name, unescape(text))];
    case 'string': case 'uri': return [{ kind: 'plain', text: unescape(text) }];
    case 'composite': throw new Error('The record has no composite parameter');
  }
}

/** Raises 400 `invalid-parameter` for a modifier that does not suit and for a value that breaks its type's syntax. */
export function parseRecordClause(parameter: SearchParameter, modifier: string | undefined, text: string, fhirBase: string): SearchClause {
  if (modifier !== undefined && !suits(parameter, modifier)) throw invalid(`The modifier :${modifier.slice(0, 40)} is not supported on ${parameter.name}`);
  const parts = splitUnescaped(text, ',').filter((part) => part !== '');
  if (parts.length > VALUES_MAX) throw fhirError('too-costly', `${parameter.name} has ${parts.length} values; ${VALUES_MAX} are allowed`);
  const clause: SearchClause = { parameter, values: parts.flatMap((part) => parseValues(parameter, part, modifier, fhirBase)) };
  if (modifier !== undefined) clause.modifier = modifier;
  if (modifier === 'not' || modifier === 'not-in') clause.negated = true;
  return clause;
}
