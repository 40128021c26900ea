// Keyset cursor of a page: the last match's sort value and id, signed, and bound to the search that made it. A cursor
// opens nothing: the next page is authorized and restricted like the first.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { fhirError } from '../fhir/fhir-error.ts';

export interface Keyset {
  /** Milliseconds, ±Infinity, or null when the sort value is the id itself. */
  value: number | null;
  id: string;
  /** Where the order has several keys: the value of each but the id; `value` is null then. Infinite instants are numbers. */
  further?: readonly (number | string)[];
}

/** What a cursor belongs to: organisation, type and the parameters that took effect. */
export function searchFingerprint(org: number, type: string, used: readonly [string, string][]): string {
  const relevant = used.filter(([name]) => name !== '_count' && name !== '_total');
  return createHash('sha256').update(JSON.stringify([org, type, relevant])).digest('base64url').slice(0, 16);
}

function mac(key: Buffer, payload: string): Buffer {
  return createHmac('sha256', key).update(payload).digest().subarray(0, 16);
}

export function printCursor(key: Buffer, fingerprint: string, keyset: Keyset): string {
  const value = keyset.value === null ? '' : String(keyset.value);
  // A number that JSON does not have travels as text, and its mark says so.
  const further = keyset.further === undefined ? '' : `~${JSON.stringify(keyset.further.map((one) => (typeof one === 'number' ? [String(one)] : one)))}`;
  const payload = `${fingerprint}~${value}~${keyset.id}${further}`;
  return `${Buffer.from(payload).toString('base64url')}.${mac(key, payload).toString('base64url')}`;
}

/** Raises 400 `invalid-parameter` for a cursor that is forged or belongs to another search. */
export function parseCursor(key: Buffer, fingerprint: string, text: string): Keyset {
  const [encoded = '', signature = ''] = text.split('.');
  const payload = Buffer.from(encoded, 'base64url').toString('utf8');
  const given = Buffer.from(signature, 'base64url');
  const expected = mac(key, payload);
  const [owner, value, id, ...rest] = payload.split('~');
  const genuine = given.length === expected.length && timingSafeEqual(given, expected);
  if (!genuine || owner !== fingerprint || id === undefined || value === undefined) {
    throw fhirError('invalid-parameter', '_cursor does not belong to this search');
  }
  const keyset = { value: value === '' ? null : Number(value), id };
  return rest.length === 0 ? keyset : { ...keyset, further: readFurther(rest.join('~')) };
}

function readFurther(text: string): (number | string)[] {
  return (JSON.parse(text) as (string | [string])[]).map((one) => (typeof one === 'string' ? one : Number(one[0])));
}
