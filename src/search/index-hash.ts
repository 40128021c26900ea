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

/** A code of an element that has an implied system has one key. */
export const codeKey = anySystem;

/** An Identifier by its type and value, for `:of-type`. */
export function ofTypeKey(system: string, code: string, value: string): string {
  return `^${system}\t${code}\t${value}`;
}

/** The whole text, for `:exact`. */
export function exactTextKey(text: string): string {
  return `"${text}`;
}

/** A logical reference has the token keys of its identifier. No key of a literal reference begins so. */
export function logicalReferenceKey(tokenKey: string): string {
  return `\t${tokenKey}`;
}

/** Both parts of one relation: its code and the key of its target. */
export function relationKey(code: string, target: string): string {
  return `${code}\t${target}`;
}
