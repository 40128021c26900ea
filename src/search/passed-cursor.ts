// Cursor of a page of what is passed on: where HAPI goes on, signed and bound to the organisation and the search that
// made it, so that HAPI's own links never leave and none of another search is followed.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { fhirError } from '../fhir/fhir-error.ts';

export interface PassedStart {
  /** Under which HAPI keeps the result. */
  id: string;
  offset: number;
  /** Of the whole, where it was known. */
  total: number | undefined;
}

/** Over another text than the cursors of our own types, so that neither passes for the other. */
function mac(key: Buffer, fingerprint: string, payload: string): Buffer {
  return createHmac('sha256', key).update(`passed~${fingerprint}~${payload}`).digest().subarray(0, 16);
}

export function printPassedCursor(key: Buffer, fingerprint: string, { id, offset, total }: PassedStart): string {
  const payload = `${id}~${offset}~${total ?? ''}`;
  return `${Buffer.from(payload).toString('base64url')}.${mac(key, fingerprint, payload).toString('base64url')}`;
}

/** Raises 400 `invalid-parameter` for a cursor that is forged or belongs to another search. */
export function parsePassedCursor(key: Buffer, fingerprint: string, text: string): PassedStart {
  const [encoded = '', signature = ''] = text.split('.');
  const payload = Buffer.from(encoded, 'base64url').toString('utf8');
  const given = Buffer.from(signature, 'base64url');
  const expected = mac(key, fingerprint, payload);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw fhirError('invalid-parameter', '_cursor does not belong to this search');
  const [id = '', offset = '', total = ''] = payload.split('~');
  return { id, offset: Number(offset), total: total === '' ? undefined : Number(total) };
}
