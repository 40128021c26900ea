// JSON as FHIR uses it (http://hl7.org/fhir/R4/json.html): RFC 8259 read strictly, numbers kept digit by digit,
// because decimals carry their precision (http://hl7.org/fhir/R4/datatypes.html#decimal), names never doubled.
import { numberBoundsFault } from './number-bounds.ts';

export type JsonValue = string | number | boolean | null | JsonNumber | JsonValue[] | JsonObject;

export interface JsonObject {
  [key: string]: JsonValue;
}

/**
 * A number whose text `String(Number(text))` would not give back: 1.50, 1e2, -0, 12345678901234567890.
 * All others are plain numbers. Throws TypeError when the text is no JSON number.
 */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    if (!NUMBER.test(text)) throw new TypeError('Not the text of a JSON number');
    this.text = text;
  }

  /** The nearest double; precision is lost. */
  toNumber(): number {
    return Number(this.text);
  }

  toString(): string {
    return this.text;
  }

  /** Called by JSON.stringify, which cannot print digits verbatim: so printJson learns that it has to. */
  toJSON(): number {
    printed.exactNumber = true;
    return this.toNumber();
  }
}

/** The text is not JSON, or breaks a rule of FHIR JSON. The message is for people; line and column count from 1. */
export class JsonSyntaxError extends Error {
  readonly line: number;
  readonly column: number;

  constructor(fault: string, text: string, at: number) {
    let [line, start] = [1, 0];
    for (let end = text.indexOf('\n'); end >= 0 && end < at; end = text.indexOf('\n', start)) [line, start] = [line + 1, end + 1];
    super(`${fault}, at line ${line}, column ${at - start + 1}`);
    this.name = 'JsonSyntaxError';
    this.line = line;
    this.column = at - start + 1;
  }
}

export interface JsonLimits {
  /** Levels of arrays and objects inside each other; 64 unless told. */
  depthMax?: number;
  /** Properties of all objects together, and as many arrays and objects; 50,000 unless told. */
  keysMax?: number;
}

/**
 * The value of a JSON text. Objects are plain and keep the order of their keys (but for keys that are array indexes).
 * Throws JsonSyntaxError: bad syntax, a key twice in one object, the key `__proto__`, control characters other than tab, line feed and
 * carriage return in strings (also escaped), lone surrogates, a byte order mark (RFC 8259 8.1), long numbers, what is over the limits.
 */
export function parseJson(text: string, limits: JsonLimits = {}): JsonValue {
  return new JsonReader(text, { depthMax: 64, keysMax: 50_000, ...limits }).document();
}

/** The text of a value, without white space unless `pretty`; order of keys and the digits of each JsonNumber are kept. */
export function printJson(value: JsonValue, options: { pretty?: boolean } = {}): string {
  const indent = options.pretty === true ? '  ' : '';
  printed.exactNumber = false;
  const text = JSON.stringify(value, undefined, indent);
  return printed.exactNumber ? printExactly(value, indent, '\n') : text;
}

/** True of what was `{…}` in JSON: neither null, nor an array, nor a JsonNumber. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber);
}

/** Written by JsonNumber.toJSON while JSON.stringify runs, which is synchronous. */
const printed = { exactNumber: false };

function printExactly(value: JsonValue, indent: string, lineBreak: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (value instanceof JsonNumber) return value.text;
  const inner = lineBreak + indent;
  const [open, close] = indent === '' ? ['', ''] : [inner, lineBreak];
  const separator = `,${open}`;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return `[${open}${value.map((item) => printExactly(item, indent, inner)).join(separator)}${close}]`;
  }
  const colon = indent === '' ? ':' : ': ';
  const present = Object.entries(value).filter(([, item]) => item !== undefined);
  const members = present.map(([key, item]) => `${JSON.stringify(key)}${colon}${printExactly(item, indent, inner)}`);
  return members.length === 0 ? '{}' : `{${open}${members.join(separator)}${close}}`;
}

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const NUMBER_HERE = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const STRING_STOP = /["\\\u0000-\u001f]/g;
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/;
/** ES2024, in Node 20 and later. */
type Text2024 = string & { isWellFormed(): boolean };

/** Up to here a loop finds the end of a string faster than a regular expression does. */
const SHORT_STRING = 48;
/** Digits that a double holds exactly, whatever they are. */
const SAFE_DIGITS = 15;

const [QUOTE, COMMA, MINUS, DOT, ZERO, NINE, COLON, BACKSLASH] = [0x22, 0x2c, 0x2d, 0x2e, 0x30, 0x39, 0x3a, 0x5c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

class JsonReader {
  private at = 0;
  private depth = 0;
  private keys = 0;
  private containers = 0;
  private readonly text: string;
  private readonly limits: Required<JsonLimits>;

  constructor(text: string, limits: Required<JsonLimits>) {
    this.text = text;
    this.limits = limits;
  }

  document(): JsonValue {
    if (this.text.charCodeAt(0) === 0xfeff) throw this.fault('The text begins with a byte order mark, which JSON does not have');
    const value = this.value(this.next());
    if (!Number.isNaN(this.next())) throw this.fault('Text after the end of the JSON value');
    return value;
  }

  /** Skips white space; the character code there, NaN at the end of the text. */
  private next(): number {
    let code = this.text.charCodeAt(this.at);
    while (code <= 0x20 && (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09)) code = this.text.charCodeAt(++this.at);
    return code;
  }

  private value(code: number): JsonValue {
    if (code === QUOTE) return this.string();
    if (code === OPEN_OBJECT) return this.object();
    if (code === OPEN_ARRAY) return this.array();
    if (code === MINUS || (code >= ZERO && code <= NINE)) return this.number(code);
    if (code === 0x74) return this.word('true', true);
    if (code === 0x66) return this.word('false', false);
    if (code === 0x6e) return this.word('null', null);
    throw this.fault('A JSON value was expected');
  }

  private object(): JsonObject {
    this.enter();
    const object: JsonObject = {};
    for (let code = this.next(); code !== CLOSE_OBJECT; code = this.separator(CLOSE_OBJECT)) {
      if (code !== QUOTE) throw this.fault('A property name in double quotes was expected');
      const key = this.key(object);
      if (this.next() !== COLON) throw this.fault('A colon was expected after the property name');
      this.at++;
      object[key] = this.value(this.next());
    }
    this.at++;
    this.depth--;
    return object;
  }

  /** The next property name, after the guards that protect everything behind this parser. */
  private key(object: JsonObject): string {
    const start = this.at;
    const key = this.string();
    if (++this.keys > this.limits.keysMax) throw this.fault(`More than ${this.limits.keysMax} properties`, start);
    // A key that is inherited (toString) reads as present, so presence alone proves nothing.
    if (object[key] !== undefined) {
      if (key === '__proto__') throw this.fault('The property name __proto__ is not allowed', start);
      if (Object.hasOwn(object, key)) throw this.fault(`The property ${JSON.stringify(key.slice(0, 60))} occurs twice in one object`, start);
    }
    return key;
  }

  private array(): JsonValue[] {
    this.enter();
    const array: JsonValue[] = [];
    for (let code = this.next(); code !== CLOSE_ARRAY; code = this.separator(CLOSE_ARRAY)) array.push(this.value(code));
    this.at++;
    this.depth--;
    return array;
  }

  /** After a member: the first character of the next one, or `close`. */
  private separator(close: number): number {
    const code = this.next();
    if (code === close) return code;
    if (code !== COMMA) throw this.fault(`A comma or ${String.fromCharCode(close)} was expected`);
    this.at++;
    const first = this.next();
    if (first === close) throw this.fault('Nothing follows the comma');
    return first;
  }

  private enter(): void {
    const { depthMax, keysMax } = this.limits;
    if (++this.depth > depthMax) throw this.fault(`Arrays and objects are nested more than ${depthMax} levels deep`);
    if (++this.containers > keysMax) throw this.fault(`More than ${keysMax} arrays and objects`);
    this.at++;
  }

  private string(): string {
    const start = this.at + 1;
    const loopEnd = start + SHORT_STRING;
    let surrogates = false;
    for (let at = start; at < loopEnd; at++) {
      const code = this.text.charCodeAt(at);
      if (code === QUOTE) return this.plainString(start, at, surrogates);
      if (code === BACKSLASH) return this.escapedString(start, at);
      if (code < 0x20) return this.longString(start, at);
      if (code >= 0xd800 && code <= 0xdfff) surrogates = true;
    }
    return this.longString(start, loopEnd);
  }

  private longString(start: number, from: number): string {
    STRING_STOP.lastIndex = from;
    const at = STRING_STOP.test(this.text) ? STRING_STOP.lastIndex - 1 : this.text.length;
    const code = this.text.charCodeAt(at);
    if (code === QUOTE) return this.plainString(start, at, true);
    if (code === BACKSLASH) return this.escapedString(start, at);
    throw code < 0x20 ? this.fault('A control character inside a string has to be escaped', at) : this.fault('The string has no end', start - 1);
  }

  private plainString(start: number, end: number, surrogates: boolean): string {
    const string = this.text.slice(start, end);
    if (surrogates) this.checkSurrogates(string, start);
    this.at = end + 1;
    return string;
  }

  /** Finds the end, then leaves the escapes of RFC 8259 section 7 to JSON.parse, which is strict about them. */
  private escapedString(start: number, escape: number): string {
    let end = escape;
    do {
      end = this.text.indexOf('"', end + 1);
      if (end < 0) throw this.fault('The string has no end', start - 1);
    } while (this.isEscaped(end, escape));
    const string = this.unescape(start - 1, end + 1);
    if (CONTROL.test(string)) throw this.fault('A string holds a control character other than tab, line feed and carriage return', start - 1);
    this.checkSurrogates(string, start);
    this.at = end + 1;
    return string;
  }

  private isEscaped(quote: number, firstEscape: number): boolean {
    let at = quote;
    while (at > firstEscape && this.text.charCodeAt(at - 1) === BACKSLASH) at--;
    return (quote - at) % 2 === 1;
  }

  private unescape(start: number, end: number): string {
    try {
      return JSON.parse(this.text.slice(start, end)) as string;
    } catch {
      // What JSON.parse says quotes the string, which may be clinical and long.
      throw this.fault('A string holds a bad escape or an unescaped control character', start);
    }
  }

  private checkSurrogates(string: string, start: number): void {
    if (!(string as Text2024).isWellFormed()) throw this.fault('A string holds half of a surrogate pair', start - 1);
  }

  private number(first: number): number | JsonNumber {
    const start = this.at;
    let [value, at, code] = [0, start, first];
    for (; code >= ZERO && code <= NINE; code = this.text.charCodeAt(++at)) value = value * 10 + (code - ZERO);
    if (code !== DOT && code !== 0x65 && code !== 0x45 && first !== MINUS && at - start <= SAFE_DIGITS && (first !== ZERO || at - start === 1)) {
      this.at = at;
      return value;
    }
    NUMBER_HERE.lastIndex = start;
    if (!NUMBER_HERE.test(this.text)) throw this.fault('A digit was expected after the minus sign');
    const text = this.text.slice(start, NUMBER_HERE.lastIndex);
    const fault = numberBoundsFault(text);
    if (fault !== undefined) throw this.fault(fault, start);
    this.at = NUMBER_HERE.lastIndex;
    return String(Number(text)) === text ? Number(text) : new JsonNumber(text);
  }

  private word<T extends JsonValue>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) throw this.fault('A JSON value was expected');
    this.at += word.length;
    return value;
  }

  private fault(fault: string, at = this.at): JsonSyntaxError {
    return new JsonSyntaxError(at < this.text.length ? fault : 'The JSON text ends too early', this.text, at);
  }
}
