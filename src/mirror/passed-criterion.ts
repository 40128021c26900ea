// One criterion of a search that is passed on (R4 search.html 3.1.1.4, 3.1.1.5): only what R4 declares for the type and
// HAPI supports goes through, its value checked, so that HAPI is not asked what it cannot understand. Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { parseDateRange } from '../fhir/instant.ts';
import { ID_PATTERN, parseLocalReference } from '../fhir/reference.ts';
import { isPassed, passedParameters, type PassedParameter, type PassedType } from '../search/passed-parameters.ts';

export interface PassedCriterion {
  /** Name and value as HAPI is asked. */
  name: string;
  value: string;
  /** Types that a chain passes through: each needs the right to search it. */
  through: PassedType[];
  /** Whether a resource without any content cannot match. */
  certain: boolean;
}

export interface PassedBases {
  /** Our own FHIR base. */
  publicBase: string;
  /** HAPI's, as it writes it. */
  hapiBase: string;
}

type ParameterType = PassedParameter['type'];

/** Those that a HAPI JPA server answers as its maker ships it. */
const MODIFIERS: Record<ParameterType, readonly string[]> = {
  string: ['exact', 'missing'], token: ['text', 'not', 'missing'], reference: ['missing'], uri: ['below', 'above', 'missing'],
  date: ['missing'], quantity: ['missing'], special: [],
};
const LINKS_MAX = 3;
const VALUES_MAX = 500;

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);
const shown = (text: string): string => text.slice(0, 60);

/** The criterion as HAPI is asked it; undefined for a parameter that `type` does not declare. Raises 400 `invalid-parameter`. */
export function readCriterion(type: PassedType, name: string, value: string, bases: PassedBases): PassedCriterion | undefined {
  if (name.startsWith('_has:')) return readReverse(type, name, value, bases, 1);
  return readChain(type, name, value, bases, 1);
}

function parameterOf(type: PassedType, name: string): PassedParameter | undefined {
  return passedParameters(type).find((parameter) => parameter.name === name);
}

function readChain(type: PassedType, name: string, value: string, bases: PassedBases, links: number): PassedCriterion | undefined {
  const [, base = '', qualifier, rest] = /^([^:.]*)(?::([^.]*))?(?:\.(.*))?$/s.exec(name) ?? [];
  const parameter = parameterOf(type, base);
  if (parameter === undefined) return undefined;
  if (rest !== undefined) return readLink(parameter, qualifier, rest, value, bases, links);
  const ofType = parameter.type === 'reference' && parameter.targets?.includes(qualifier ?? '') === true;
  if (qualifier !== undefined && !ofType && !MODIFIERS[parameter.type].includes(qualifier)) throw invalid(`The modifier :${shown(qualifier)} is not supported on ${parameter.name}`);
  const certain = !base.startsWith('_') && base !== 'deceased' && qualifier !== 'missing' && qualifier !== 'not';
  return { name, value: checkedValues(parameter, ofType ? undefined : qualifier, value, bases), through: [], certain };
}

/** `subject:Patient.name`: the type may be left out where one alone has such a parameter. */
function readLink(parameter: PassedParameter, qualifier: string | undefined, rest: string, value: string, bases: PassedBases, links: number): PassedCriterion {
  if (links > LINKS_MAX) throw invalid(`A chain may have ${LINKS_MAX} links`);
  const targets = (parameter.targets ?? []).filter((target) => qualifier === undefined || target === qualifier).filter(isPassed);
  const next = targets.flatMap((target) => {
    const criterion = readChain(target, rest, value, bases, links + 1);
    return criterion === undefined ? [] : [{ target, criterion }];
  });
  const [first, second] = next;
  if (first === undefined) throw invalid(`${parameter.name} does not lead to a type with the parameter ${shown(rest)}`);
  if (second !== undefined) throw invalid(`${parameter.name}.${shown(rest)} may mean ${next.map(({ target }) => target).join(' or ')}: say ${parameter.name}:${first.target}.${shown(rest)}`);
  const { target, criterion } = first;
  return { ...criterion, name: `${parameter.name}:${target}.${criterion.name}`, through: [target, ...criterion.through], certain: true };
}

/** `_has:Encounter:patient:status` (R4 search.html 3.1.1.5.5). */
function readReverse(type: PassedType, name: string, value: string, bases: PassedBases, links: number): PassedCriterion {
  const [, from = '', by = '', rest = ''] = /^_has:([^:]*):([^:]*):(.+)$/s.exec(name) ?? [];
  if (links > LINKS_MAX || !isPassed(from)) throw invalid(`_has is supported over ${LINKS_MAX} links of types that are passed on: _has:Encounter:patient:status`);
  if (parameterOf(from, by)?.targets?.includes(type) !== true) throw invalid(`${from} has no parameter ${shown(by)} that refers to ${type}`);
  const criterion = rest.startsWith('_has:') ? readReverse(from, rest, value, bases, links + 1) : readChain(from, rest, value, bases, links);
  if (criterion === undefined) throw invalid(`${from} has no parameter ${shown(rest)}`);
  // A placeholder is referred to by somebody, or it would not be there.
  return { ...criterion, name: `_has:${from}:${by}:${criterion.name}`, through: [from, ...criterion.through], certain: false };
}

/** Splits at commas that no backslash escapes; the escapes stay. */
function splitValues(text: string): string[] {
  return text.match(/(?:\\[\s\S]|[^,\\])+/g) ?? [];
}

function checkedValues(parameter: PassedParameter, modifier: string | undefined, text: string, bases: PassedBases): string {
  const values = splitValues(text);
  if (values.length > VALUES_MAX) throw invalid(`${parameter.name} may have ${VALUES_MAX} values`);
  if (modifier === 'missing') {
    if (text !== 'true' && text !== 'false') throw invalid(`${parameter.name}:missing is true or false`);
    return text;
  }
  return values.map((value) => CHECKS[parameter.type](value, parameter.name, bases)).join(',');
}

type Check = (value: string, name: string, bases: PassedBases) => string;

const QUANTITY = /^(?:eq|ne|gt|lt|ge|le)?[+-]?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?(?:\|[^|]*\|[^|]*)?$/;
const NEAR = /^-?\d{1,3}(?:\.\d{1,18})?\|-?\d{1,3}(?:\.\d{1,18})?(?:\|\d{1,9}(?:\.\d{1,9})?(?:\|[A-Za-z_[\]]{1,20})?)?$/;
const ABSOLUTE = /^(?:https?:\/\/|urn:)\S+$/;

const CHECKS: Record<ParameterType, Check> = {
  string: (value) => value,
  token: (value, _name, bases) => withHapiAddress(value, bases),
  uri: (value, _name, bases) => withHapiAddress(value, bases),
  date: (value, name) => checkedDate(value, name),
  quantity(value, name) {
    if (!QUANTITY.test(value)) throw invalid(`${name} must be a number with at most a known prefix and a unit, such as gt5||min`);
    return value;
  },
  special(value, name) {
    if (!NEAR.test(value)) throw invalid(`${name} must be latitude|longitude|distance|km`);
    return value;
  },
  reference(value, name, { publicBase }) {
    const local = parseLocalReference(value, publicBase);
    if (local !== undefined) return `${local.type}/${local.id}`;
    if (!ID_PATTERN.test(value) && !ABSOLUTE.test(value)) throw invalid(`${name} must be an id, Type/id or an address`);
    return value;
  },
};

function checkedDate(text: string, name: string): string {
  const [, prefix = '', value = ''] = /^(eq|ne|gt|lt|ge|le|sa|eb)?(.*)$/s.exec(text) ?? [];
  // An unescaped + of a zone arrives as a space.
  const date = value.replace(/ (\d{2}:\d{2})$/, '+$1');
  if (parseDateRange(date) === undefined) throw invalid(`${name} must be a date with at most the prefix eq, ne, gt, lt, ge, le, sa or eb, such as ge2024-01-31`);
  return `${prefix}${toDay(prefix, date)}`;
}

/** HAPI compares with one end of a year or a month whatever the prefix is: it is given the day that R4 means. */
function toDay(prefix: string, date: string): string {
  const [, year = '', month] = /^(\d{4})(?:-(\d{2}))?$/.exec(date) ?? [];
  if (year === '' || prefix === '' || prefix === 'eq' || prefix === 'ne') return date;
  if (prefix === 'ge' || prefix === 'lt' || prefix === 'eb') return `${year}-${month ?? '01'}-01`;
  // Day 0 of the month after is the last of this one; 400 years later the calendar is the same, and no year is below 100.
  const last = month === undefined ? 31 : new Date(Date.UTC(Number(year) + 400, Number(month), 0)).getUTCDate();
  return `${year}-${month ?? '12'}-${last}`;
}

/** What we show with our address HAPI holds under its own. */
function withHapiAddress(value: string, { publicBase, hapiBase }: PassedBases): string {
  return value.startsWith(`${publicBase}/`) ? `${hapiBase}${value.slice(publicBase.length)}` : value;
}
