// The text of an event as its row keeps it. What the texts of many events share is kept once, as a shape: the text with a
// place for each value of an event's own, in the language of PostgreSQL's format(). The row keeps the values.
import { hash } from 'node:crypto';
import { canonicalText, type AccessEvent } from './access-event.ts';

/** A JSON string holds no control character, so none of the values does. */
export const PARTS_UNIT = '\u001f';

/** Places 1 and 2: the row's own id and instant, which its columns hold already. */
const ROW_PLACES = 2;

const SHAPE_CHARACTERS_MAX = 4_096;
/** Shapes that one process makes; a client that never asks twice in the same way finds an end. */
const SHAPES_MAX = 4_000;
/** Longer lists are one value, so that shapes are few. */
const LISTED_MAX = 8;
/** Shorter values are kept as often as they come: which of them are equal is chance. */
const REPEATED_CHARACTERS_MIN = 8;

/** What a row keeps: the number of its shape (0: the values are the text) and its values. */
export interface ShapedText {
  /** A bigint, in decimal. */
  shape: string;
  parts: string;
  /** Text of the shape; undefined for shape 0. */
  text: string | undefined;
}

export interface RowInstant {
  id: string;
  /** FHIR instant in UTC with milliseconds. */
  recorded: string;
}

export const NO_SHAPE = '0';

/** Members whose values are an event's own. All others are of few values: who asked by what, for what kind of thing, and what came of it. */
const OWN = new Set(['accept', 'address', 'asserted', 'authors', 'contentType', 'count', 'custodian', 'form', 'grant', 'id', 'jti', 'name', 'outcomeDesc', 'range', 'recorded', 'reference', 'requestId', 'sent', 'size', 'subject', 'targets', 'url', 'user']);
/** What servers are asked for, and hold, thousands of times a day. */
const COMMON_TYPES = new Set(['*/*', 'application/fhir+json', 'application/fhir+xml', 'application/json', 'application/octet-stream', 'application/pdf', 'image/jpeg', 'image/png', 'text/plain']);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const INSTANT = /^(?:19[7-9]\d|[2-8]\d{3})-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
/** Stands in a JSON string as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

const inside = (value: string): string => (PLAIN.test(value) ? value : JSON.stringify(value).slice(1, -1));
const literal = (text: string): string => (text.includes('%') ? text.replaceAll('%', '%%') : text);

/** One piece of the texts of shapes. Shapes that begin alike share their steps, so that the text of a known one is not written again for each event. */
class Step {
  readonly piece: string;
  readonly before: Step | undefined;
  #token: unknown;
  #next: Step | undefined;
  #others: Map<unknown, Step> | undefined;
  /** Of the shape that ends here, once it is known. */
  shape: { number: string; text: string } | undefined;

  constructor(piece: string, before?: Step) {
    this.piece = piece;
    this.before = before;
  }

  /** The step behind this one by the token; undefined where there is none yet. */
  take(token: unknown): Step | undefined { return token === this.#token && this.#next !== undefined ? this.#next : this.#others?.get(token); }

  add(token: unknown, piece: string): Step {
    const step = new Step(piece, this);
    if (shapesMade >= SHAPES_MAX) return step;
    if (this.#next === undefined) [this.#token, this.#next] = [token, step];
    else (this.#others ??= new Map<unknown, Step>()).set(token, step);
    return step;
  }
}

function textOf(last: Step): string {
  const pieces: string[] = [];
  for (let step: Step | undefined = last; step !== undefined; step = step.before) pieces.push(step.piece);
  return pieces.reverse().join('');
}

const FIRST = new Step('');
let shapesMade = 0;

/** Tokens of what is no name and no value; those of places are numbers below zero, which no event has. */
const [OPEN, CLOSE, LIST, END, COMMA] = ['{', '}', '[', ']', ','].map((piece) => ({ piece })) as [Mark, Mark, Mark, Mark, Mark];
interface Mark { piece: string }
const KINDS = { text: 0, bare: 1, base: 2, version: 3 } as const;

/** One event on its way. */
class Shaping {
  step = FIRST;
  readonly values: string[] = [];
  readonly #row: RowInstant;
  readonly #repeated: string[] = [];
  readonly #places: number[] = [];

  constructor(row: RowInstant) { this.#row = row; }

  #mark(mark: Mark): void { this.step = this.step.take(mark) ?? this.step.add(mark, mark.piece); }

  /** The place of a value; of one that came before, the same. */
  #placeOf(value: string): number {
    if (value === this.#row.id) return 1;
    if (value === this.#row.recorded) return ROW_PLACES;
    const known = this.#repeated.indexOf(value);
    if (known >= 0) return this.#places[known] as number;
    const place = this.values.push(value) + ROW_PLACES;
    if (value.length >= REPEATED_CHARACTERS_MIN) {
      this.#repeated.push(value);
      this.#places.push(place);
    }
    return place;
  }

  #put(value: string, kind: number, before: string, behind: string): void {
    const place = this.#placeOf(value);
    const token = -4 * place - kind;
    this.step = this.step.take(token) ?? this.step.add(token, `${before}%${place}$s${behind}`);
  }

  /** A reference is often named with its version and without. */
  #putString(value: string): void {
    const text = inside(value);
    const end = text.indexOf('/_history/');
    if (end <= 0) { this.#put(text, KINDS.text, '"', '"'); return; }
    this.#put(text.slice(0, end), KINDS.base, '"', '/_history/');
    this.#put(text.slice(end + 10), KINDS.version, '', '"');
  }

  #list(list: readonly unknown[], name: string): void {
    this.#mark(LIST);
    if (list.length > LISTED_MAX) this.#put(canonicalText(list as never).slice(1, -1), KINDS.bare, '', '');
    else {
      list.forEach((item, position) => {
        if (position > 0) this.#mark(COMMA);
        this.write(item, name);
      });
    }
    this.#mark(END);
  }

  /** Members in the order of their code units, none that is undefined. */
  #members(value: Record<string, unknown>): void {
    const names = Object.keys(value);
    for (let at = 1; at < names.length; at += 1) if ((names[at] as string) < (names[at - 1] as string)) { names.sort(); break; }
    this.#mark(OPEN);
    let between = '';
    for (const name of names) {
      const member = value[name];
      if (member === undefined) continue;
      this.step = this.step.take(name) ?? this.step.add(name, `${between}"${name}":`);
      this.write(member, name);
      between = ',';
    }
    this.#mark(CLOSE);
  }

  write(value: unknown, name: string): void {
    if (typeof value === 'string' && OWN.has(name) && !COMMON_TYPES.has(value)) this.#putString(value);
    else if (typeof value === 'number' && OWN.has(name)) this.#put(String(value), KINDS.bare, '', '');
    else if (Array.isArray(value)) this.#list(value, name);
    else if (value !== null && typeof value === 'object') this.#members(value as Record<string, unknown>);
    else this.step = this.step.take(value) ?? this.step.add(value, typeof value === 'string' ? `"${literal(inside(value))}"` : String(value));
  }
}

/** The number of a shape is of its text: the first 64 bits of SHA-256. undefined when this process made too many. */
function shapeAt(step: Step): { number: string; text: string } | undefined {
  if (step.shape !== undefined) return step.shape;
  if (shapesMade >= SHAPES_MAX) return undefined;
  const text = textOf(step);
  shapesMade += 1;
  step.shape = { text, number: text.length > SHAPE_CHARACTERS_MAX ? NO_SHAPE : hash('sha256', text, 'buffer').readBigInt64BE().toString() };
  return step.shape;
}

/** The canonical text of the event, in shape and values. What is rare stays whole. */
export function shapeText(event: AccessEvent): ShapedText {
  const whole = (): ShapedText => ({ shape: NO_SHAPE, parts: canonicalText(event), text: undefined });
  if (event.purge !== undefined || event.removal !== undefined || !UUID.test(event.id) || !INSTANT.test(event.recorded)) return whole();
  const shaping = new Shaping(event);
  shaping.write(event, '');
  const shape = shapeAt(shaping.step);
  return shape === undefined || shape.number === NO_SHAPE ? whole() : { shape: shape.number, parts: shaping.values.join(PARTS_UNIT), text: shape.text };
}

/** A shape taken apart: a literal more than places. */
export interface OpenShape {
  literals: string[];
  places: number[];
}

export function openShape(text: string): OpenShape {
  const literals = [''];
  const places: number[] = [];
  let at = 0;
  for (const { 0: whole, 1: place, index } of text.matchAll(/%(?:%|(\d+)\$s)/g)) {
    literals[literals.length - 1] += text.slice(at, index) + (place === undefined ? '%' : '');
    at = index + whole.length;
    if (place === undefined) continue;
    places.push(Number(place) - 1);
    literals.push('');
  }
  literals[literals.length - 1] += text.slice(at);
  return { literals, places };
}

/** undefined where the shape asks for a value that is not there. */
export function joinParts({ literals, places }: OpenShape, values: readonly string[]): string | undefined {
  let text = literals[0] ?? '';
  for (let at = 0; at < places.length; at += 1) {
    const value = values[places[at] as number];
    if (value === undefined) return undefined;
    text += value + (literals[at + 1] as string);
  }
  return text;
}

/** The text again; undefined where the shape asks for a value that is not there. */
export const joinText = (open: OpenShape, { id, recorded }: RowInstant, parts: string): string | undefined => joinParts(open, [id, recorded, ...parts.split(PARTS_UNIT)]);
