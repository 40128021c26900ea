// The token of a signed URL: names a grant and proves by HMAC-SHA-256 (RFC 2104) that this server made it. It holds nothing
// that the grant's row decides. One form alone is valid: 72 characters of base64url, without padding or bits to spare.
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface GrantKey {
  /** From 1 on; its last eight bits stand in the token. */
  number: number;
  secret: Buffer;
}

export interface NamedGrant {
  org: number;
  id: string;
}

const LAYOUT = 1;
/** Layout, number of the key, organisation, id: what is signed. */
const SIGNED_BYTES = 1 + 1 + 4 + 16;
const FORM = /^[\w-]{72}$/;

function sign(signed: Buffer, { secret }: GrantKey): Buffer {
  return createHmac('sha256', secret).update(signed).digest();
}

export function printGrantToken(key: GrantKey, { org, id }: NamedGrant): string {
  const signed = Buffer.alloc(SIGNED_BYTES);
  signed.writeUInt8(LAYOUT, 0);
  signed.writeUInt8(key.number & 0xff, 1);
  signed.writeUInt32BE(org, 2);
  Buffer.from(id.replaceAll('-', ''), 'hex').copy(signed, 6);
  return Buffer.concat([signed, sign(signed, key)]).toString('base64url');
}

/** Number of the key that the token says it is signed by; undefined for what has not the form of a token. */
export function keyNumberOf(token: string): number | undefined {
  if (!FORM.test(token)) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  return bytes[0] === LAYOUT ? bytes[1] : undefined;
}

/** The grant that the token names; undefined unless one of the keys signed it. Compared in constant time. */
export function readGrantToken(keys: readonly GrantKey[], token: string): NamedGrant | undefined {
  const number = keyNumberOf(token);
  const key = number === undefined ? undefined : keys.find((one) => (one.number & 0xff) === number);
  if (key === undefined) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const signed = bytes.subarray(0, SIGNED_BYTES);
  if (!timingSafeEqual(bytes.subarray(SIGNED_BYTES), sign(signed, key))) return undefined;
  const hex = signed.toString('hex', 6);
  return { org: signed.readUInt32BE(2), id: [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') };
}
