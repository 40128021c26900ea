// Keys of the index tables: 64 bits of SHA-1 stand for a token or a reference, so a row is narrow whatever its text.
import { hash } from 'node:crypto';

/** Signed 64-bit value of a key's text. */
export function indexHash(key: string): bigint {
  return Buffer.from(hash('sha1', key, 'binary'), 'latin1').readBigInt64BE(0);
}

/** The keys of one token as stored: `system|code`, `code` whatever its system, `system|` whatever its code. */
export function tokenKeys(system: string | undefined, code: string): string[] {
  return system === undefined ? [exactToken('', code), anySystem(code)] : [exactToken(system, code), anySystem(code), anyCode(system)];
}

// The first character says which kind of key it is, and a tab cannot stand in a uri: no key can be read in two ways.
const exactToken = (system: string, code: string): string => `=${system}\t${code}`;
const anySystem = (code: string): string => `*${code}`;
const anyCode = (system: string): string => `|${system}`;

/** The key that a search value asks for (R4 search.html 3.1.1.5.5): code, system|code, |code, system| */
export function tokenSearchKey(value: { system: string | undefined; code: string }): string {
  if (value.system === undefined) return anySystem(value.code);
  return value.code === '' ? anyCode(value.system) : exactToken(value.system, value.code);
}
