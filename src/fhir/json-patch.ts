// JSON Patch (RFC 6902; R4 http.html 3.1.0.6) over lossless JSON: what a patch does not touch keeps its digits and order.
import { fhirError } from './fhir-error.ts';
import { isJsonObject, JsonNumber, type JsonObject, type JsonValue } from './json.ts';

const OPERATIONS = ['add', 'remove', 'replace', 'move', 'copy', 'test'] as const;

export interface JsonPatchOperation {
  op: (typeof OPERATIONS)[number];
  path: string[];
  from?: string[];
  value?: JsonValue;
}

const OPERATIONS_MAX = 1_000;
/** As parseJson reads at most: what a patch builds can be read again. */
const DEPTH_MAX = 64;
/** Values that copies and moves may carry together; without a bound thirty copies of one list into itself would fill the memory. */
const CARRIED_MAX = 50_000;

const unreadable = (text: string, at?: number): Error => fhirError('structure', at === undefined ? text : `Operation ${at} ${text}`);
const failed = (at: number, text: string): Error => fhirError('patch-failed', `Operation ${at} ${text}`);

/** The segments of a JSON Pointer (RFC 6901); undefined when it is none. */
function parsePointer(text: JsonValue | undefined): string[] | undefined {
  if (typeof text !== 'string' || (text !== '' && !text.startsWith('/')) || /~(?![01])/.test(text)) return undefined;
  return text.split('/').slice(1).map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The operations of a patch document. Raises 400 `structure` for what is none: operations count from 0. */
export function readJsonPatch(document: JsonValue): JsonPatchOperation[] {
  if (!Array.isArray(document)) throw unreadable('A JSON Patch is an array of operations');
  if (document.length > OPERATIONS_MAX) throw unreadable(`A JSON Patch may have ${OPERATIONS_MAX} operations`);
  return document.map(readOperation);
}

function readOperation(text: JsonValue, at: number): JsonPatchOperation {
  if (!isJsonObject(text)) throw unreadable('must be an object', at);
  const op = OPERATIONS.find((known) => known === text['op']);
  if (op === undefined) throw unreadable(`must have an op of ${OPERATIONS.join(', ')}`, at);
  const path = parsePointer(text['path']);
  if (path === undefined) throw unreadable('must have a path that is a JSON Pointer', at);
  if (op === 'move' || op === 'copy') {
    const from = parsePointer(text['from']);
    if (from === undefined) throw unreadable('must have a from that is a JSON Pointer', at);
    return { op, path, from };
  }
  if (op === 'remove') return { op, path };
  if (!Object.hasOwn(text, 'value')) throw unreadable('must have a value', at);
  return { op, path, value: text['value'] as JsonValue };
}

/**
 * What the patch makes of `document`, which is left as it is. Raises 422 `patch-failed` where an operation does not
 * apply or a test fails: all apply, or none.
 */
export function applyJsonPatch(document: JsonObject, operations: readonly JsonPatchOperation[]): JsonValue {
  const root: { value: JsonValue } = { value: structuredCopy(document) };
  let carried = 0;
  operations.forEach((operation, at) => {
    if (operation.from !== undefined) carried += sizeOf(find(root.value, operation.from, at));
    if (carried > CARRIED_MAX) throw failed(at, 'carries too much');
    const value = valueOf(root, operation, at);
    if (operation.op === 'test') return;
    if (operation.op === 'remove') { take(root, operation.path, at); return; }
    if (operation.path.length + depthOf(value) > DEPTH_MAX) throw failed(at, `makes the resource more than ${DEPTH_MAX} levels deep`);
    if (operation.op === 'replace') replace(root, operation.path, value, at);
    else add(root, operation.path, value, at);
  });
  return root.value;
}

/** The value that an operation brings along; a test is made here. */
function valueOf(root: { value: JsonValue }, operation: JsonPatchOperation, at: number): JsonValue {
  const { op, path, from = [], value = null } = operation;
  if (op === 'copy') return structuredCopy(find(root.value, from, at));
  if (op === 'move') {
    if (path.length > from.length && from.every((segment, index) => segment === path[index])) throw failed(at, 'moves a value into itself');
    return take(root, from, at);
  }
  if (op === 'test' && !isSameJson(find(root.value, path, at), value)) throw failed(at, `is a test that failed: ${shown(path)} has another value`);
  return structuredCopy(value);
}

const shown = (path: readonly string[]): string => `/${path.join('/')}`.slice(0, 100);

/** A copy that shares nothing; numbers are values. */
function structuredCopy(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(structuredCopy);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, structuredCopy(member)]));
}

function depthOf(value: JsonValue): number {
  const members = Array.isArray(value) ? value : isJsonObject(value) ? Object.values(value) : undefined;
  return members === undefined ? 0 : 1 + Math.max(0, ...members.map(depthOf));
}

function sizeOf(value: JsonValue): number {
  const members = Array.isArray(value) ? value : isJsonObject(value) ? Object.values(value) : [];
  return members.reduce<number>((sum, member) => sum + sizeOf(member), 1);
}

/** The index that a segment names in a list of `length`; leading zeros and signs are none. */
function indexOf(segment: string, length: number, at: number): number {
  const index = /^(0|[1-9]\d{0,8})$/.test(segment) ? Number(segment) : -1;
  if (index < 0 || index >= length) throw failed(at, `names the index ${segment.slice(0, 20)} of a list of ${length}`);
  return index;
}

function child(value: JsonValue, segment: string, at: number): JsonValue {
  if (Array.isArray(value)) return value[indexOf(segment, value.length, at)] as JsonValue;
  if (isJsonObject(value) && Object.hasOwn(value, segment)) return value[segment] as JsonValue;
  throw failed(at, `names ${segment.slice(0, 60)}, which is not there`);
}

function find(value: JsonValue, path: readonly string[], at: number): JsonValue {
  return path.reduce((node, segment) => child(node, segment, at), value);
}

function parentOf(root: { value: JsonValue }, path: readonly string[], at: number): { parent: JsonValue[] | JsonObject; last: string } {
  const parent = find(root.value, path.slice(0, -1), at);
  const last = path.at(-1) as string;
  if (last === '__proto__') throw failed(at, 'names __proto__');
  if (!Array.isArray(parent) && !isJsonObject(parent)) throw failed(at, `goes below ${shown(path.slice(0, -1))}, which has no members`);
  return { parent, last };
}

function add(root: { value: JsonValue }, path: readonly string[], value: JsonValue, at: number): void {
  if (path.length === 0) { root.value = value; return; }
  const { parent, last } = parentOf(root, path, at);
  if (!Array.isArray(parent)) parent[last] = value;
  else parent.splice(last === '-' ? parent.length : indexOf(last, parent.length + 1, at), 0, value);
}

function replace(root: { value: JsonValue }, path: readonly string[], value: JsonValue, at: number): void {
  find(root.value, path, at);
  if (path.length === 0) { root.value = value; return; }
  const { parent, last } = parentOf(root, path, at);
  if (Array.isArray(parent)) parent[Number(last)] = value;
  else parent[last] = value;
}

function take(root: { value: JsonValue }, path: readonly string[], at: number): JsonValue {
  const value = find(root.value, path, at);
  if (path.length === 0) throw failed(at, 'takes the whole resource away');
  const { parent, last } = parentOf(root, path, at);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return value;
}

/** Equal as RFC 6902 4.6 has it: numbers by their value, members of objects in any order. */
export function isSameJson(a: JsonValue, b: JsonValue): boolean {
  if (isNumber(a) && isNumber(b)) return decimalKey(String(a)) === decimalKey(String(b));
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => isSameJson(item, b[index] as JsonValue));
  if (isJsonObject(a) && isJsonObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSameJson(a[key] as JsonValue, b[key] as JsonValue));
  }
  return a === b;
}

function isNumber(value: JsonValue): value is number | JsonNumber {
  return typeof value === 'number' || value instanceof JsonNumber;
}

/** One text for all ways to write a number: sign, significant digits, exponent of the last of them. */
function decimalKey(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const last = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${last}`;
}
