// The primitive types of R4: JSON type, regular expression, range and calendar (http://hl7.org/fhir/R4/datatypes.html#primitive).
import { JsonNumber, type JsonValue } from './json.ts';
import { isBase64 } from './base64-syntax.ts';
import { narrativeFault } from './narrative.ts';
import { numberBoundsFault } from './number-bounds.ts';

export interface PrimitiveFault {
  /** `structure` = wrong JSON type or empty; `invalid-value` = the text or the range. */
  detail: 'structure' | 'invalid-value';
  /** Follows the name of the element: "must be a string; a number was found". */
  text: string;
}

export type PrimitiveCheck = (value: JsonValue) => PrimitiveFault | undefined;

/** 1024 * 1024, R4's limit of string; it serves for all text but base64Binary and xhtml. */
const CHARACTERS_MAX = 1_048_576;
const INTEGER_MAX = 2_147_483_647;

const ID = /^[A-Za-z0-9.-]{1,64}$/;
const CODE = /^\S+(?:\s\S+)*$/;
const SPACE = /\s/;
const OID = /^urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+$/;
const UUID = /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIME = /^(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?$/;
const ZONED_TIME = /^(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))$/;
const DATE = /^([0-9]{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01]))?)?$/;

/** The check of each primitive type, by its name in R4; xhtml is the narrative's div. */
export const PRIMITIVES: ReadonlyMap<string, PrimitiveCheck> = new Map([
  ['boolean', (value) => (typeof value === 'boolean' ? undefined : wrongType('true or false', value))],
  ['integer', whole(-INTEGER_MAX - 1)],
  ['unsignedInt', whole(0)],
  ['positiveInt', whole(1)],
  ['decimal', decimal],
  ['string', text(() => true, '')],
  ['markdown', text(() => true, '')],
  ['code', text((value) => CODE.test(value), 'must be a code: no space at start or end, nor two in a row')],
  ['id', text((value) => ID.test(value), 'must be an id: 1 to 64 of A-Z, a-z, 0-9, "-" and "."')],
  ['uri', text(hasNoSpace, 'must be a URI, without spaces')],
  ['url', text(hasNoSpace, 'must be a URL, without spaces')],
  ['canonical', text(hasNoSpace, 'must be a canonical URL, without spaces')],
  ['oid', text((value) => OID.test(value), 'must be an OID such as urn:oid:1.2.3')],
  ['uuid', text((value) => UUID.test(value), 'must be a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520, in lower case')],
  ['base64Binary', text(isBase64, 'must be base64, of complete groups of four characters', Infinity)],
  ['date', text(isDate, 'must be a date that exists: YYYY, YYYY-MM or YYYY-MM-DD')],
  ['dateTime', text(isDateTime, 'must be a date that exists (YYYY, YYYY-MM, YYYY-MM-DD), or date and time with seconds and zone (YYYY-MM-DDThh:mm:ss+zz:zz)')],
  ['instant', text(isInstant, 'must be date and time with seconds and zone, on a day that exists: YYYY-MM-DDThh:mm:ss+zz:zz')],
  ['time', text((value) => TIME.test(value), 'must be a time: hh:mm:ss')],
  ['xhtml', xhtml],
]);

/** How a JSON value is called in diagnostics: "an array". */
export function jsonTypeOf(value: JsonValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number' || value instanceof JsonNumber) return 'a number';
  if (typeof value === 'boolean') return 'true or false';
  return typeof value === 'string' ? 'a string' : 'an object';
}

/** A value in quotes, cut to what a person needs to find it. */
export function shownValue(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}

function wrongType(expected: string, value: JsonValue): PrimitiveFault {
  return { detail: 'structure', text: `must be ${expected}; ${jsonTypeOf(value)} was found` };
}

/** A number of a JSON text is bounded already; one of XML is not. */
function decimal(value: JsonValue): PrimitiveFault | undefined {
  if (typeof value === 'number') return undefined;
  if (!(value instanceof JsonNumber)) return wrongType('a number', value);
  const fault = numberBoundsFault(value.text);
  return fault === undefined ? undefined : { detail: 'invalid-value', text: `is out of bounds: ${fault}; ${shownValue(value.text)} was found` };
}

function whole(minimum: number): PrimitiveCheck {
  const fault = (value: number | JsonNumber): PrimitiveFault =>
    ({ detail: 'invalid-value', text: `must be a whole number from ${minimum} to ${INTEGER_MAX}; ${String(value).slice(0, 40)} was found` });
  return (value) => {
    if (typeof value === 'number') return Number.isInteger(value) && value >= minimum && value <= INTEGER_MAX ? undefined : fault(value);
    // 1.0 and 1e0 are decimals: the regular expressions of the integer types have neither point nor exponent.
    return value instanceof JsonNumber ? fault(value) : wrongType('a whole number', value);
  };
}

function text(isValid: (value: string) => boolean, rule: string, charactersMax = CHARACTERS_MAX): PrimitiveCheck {
  return (value) => {
    if (typeof value !== 'string') return wrongType('a string', value);
    if (value === '') return { detail: 'structure', text: 'may not be an empty string' };
    if (value.length > charactersMax) return { detail: 'invalid-value', text: `may have at most ${charactersMax} characters; ${value.length} were found` };
    return isValid(value) ? undefined : { detail: 'invalid-value', text: `${rule}; ${shownValue(value)} was found` };
  };
}

function xhtml(value: JsonValue): PrimitiveFault | undefined {
  if (typeof value !== 'string') return wrongType('a string', value);
  const fault = narrativeFault(value);
  return fault === undefined ? undefined : { detail: 'invalid-value', text: fault };
}

function hasNoSpace(value: string): boolean {
  return !SPACE.test(value);
}

function isDate(value: string): boolean {
  const match = DATE.exec(value);
  if (match === null || match[1] === '0000') return false;
  return match[3] === undefined || Number(match[3]) <= daysInMonth(Number(match[1]), Number(match[2]));
}

function isDateTime(value: string): boolean {
  return value.length <= 10 ? isDate(value) : isInstant(value);
}

function isInstant(value: string): boolean {
  return value.charCodeAt(10) === 0x54 && isDate(value.slice(0, 10)) && ZONED_TIME.test(value.slice(11));
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
