// The token of a signed URL: names a grant and proves by HMAC-SHA-256 (RFC 2104) that this server made it. It holds nothing
// that the grant's row decides. One form alone is valid: base64url without padding or bits to spare, of 72 characters, or of 96
// where it names the picture that it is for as well.
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface GrantKey {
  /** From 1 on; its last eight bits stand in the token. */
  number: number;
  secret: Buffer;
}

/** A small picture: the content that it is made of, and the pixels of its longer edge. */
export interface NamedPicture {
  content: string;
  edge: number;
}

export interface NamedGrant {
  org: number;
  id: string;
  picture?: NamedPicture;
}

const LAYOUT = 1;
const PICTURE_LAYOUT = 2;
/** Layout, number of the key, organisation, id: what is signed. */
const SIGNED_BYTES = 1 + 1 + 4 + 16;
/** The same, and the picture. */
const PICTURE_BYTES = SIGNED_BYTES + 16 + 2;
const FORM = /^(?:[\w-]{72}|[\w-]{96})$/;

function sign(signed: Buffer, { secret }: GrantKey): Buffer {
  return createHmac('sha256', secret).update(signed).digest();
}

const bytesOf = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex');

function uuidAt(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export function printGrantToken(key: GrantKey, { org, id, picture }: NamedGrant): string {
  const signed = Buffer.alloc(picture === undefined ? SIGNED_BYTES : PICTURE_BYTES);
  signed.writeUInt8(picture === undefined ? LAYOUT : PICTURE_LAYOUT, 0);
  signed.writeUInt8(key.number & 0xff, 1);
  signed.writeUInt32BE(org, 2);
  bytesOf(id).copy(signed, 6);
  if (picture !== undefined) {
    bytesOf(picture.content).copy(signed, SIGNED_BYTES);
    signed.writeUInt16BE(picture.edge, SIGNED_BYTES + 16);
  }
  return Buffer.concat([signed, sign(signed, key)]).toString('base64url');
}

/** Number of the key that the token says it is signed by; undefined for what has not the form of a token. */
export function keyNumberOf(token: string): number | undefined {
  if (!FORM.test(token)) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  return bytes[0] === (token.length === 72 ? LAYOUT : PICTURE_LAYOUT) ? bytes[1] : undefined;
}

/** The grant that the token names; undefined unless one of the keys signed it. Compared in constant time. */
export function readGrantToken(keys: readonly GrantKey[], token: string): NamedGrant | undefined {
  const number = keyNumberOf(token);
  const key = number === undefined ? undefined : keys.find((one) => (one.number & 0xff) === number);
  if (key === undefined) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const length = bytes[0] === LAYOUT ? SIGNED_BYTES : PICTURE_BYTES;
  const signed = bytes.subarray(0, length);
  if (!timingSafeEqual(bytes.subarray(length), sign(signed, key))) return undefined;
  const named = { org: signed.readUInt32BE(2), id: uuidAt(signed, 6) };
  return length === SIGNED_BYTES ? named : { ...named, picture: { content: uuidAt(signed, SIGNED_BYTES), edge: signed.readUInt16BE(SIGNED_BYTES + 16) } };
}
