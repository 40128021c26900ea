// Signed tree heads: a checkpoint (C2SP tlog-checkpoint) in a signed note (C2SP signed-note) with Ed25519, so that
// witnesses and verifiers that are not ours can read it.
import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto';
import { HASH_BYTES } from './merkle-log.ts';

export interface Checkpoint {
  /** Names the log, and never changes: one line without white space. */
  origin: string;
  size: number;
  root: Buffer;
}

/** Who may have signed: the name in the signature line and the Ed25519 key. */
export interface NoteVerifier {
  name: string;
  publicKey: KeyObject;
}

const ED25519 = 0x01;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
// The fixed beginning of an Ed25519 SubjectPublicKeyInfo (RFC 8410 4); the 32 bytes of the key follow.
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');
const NAME = /^[^\s+]+$/u;
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u;
const BODY = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*$/u;

function keyBytes(publicKey: KeyObject): Buffer {
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new Error('The key of the log must be an Ed25519 key');
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-KEY_BYTES);
}

/** The first four bytes of SHA-256 over name, LF, algorithm and key. */
function keyId({ name, publicKey }: NoteVerifier): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([ED25519]), keyBytes(publicKey)]), 'buffer').subarray(0, 4);
}

/** `name+hash+key` of signed-note: what is given to whoever verifies. */
export function printVerifier(verifier: NoteVerifier): string {
  const key = Buffer.concat([Buffer.from([ED25519]), keyBytes(verifier.publicKey)]).toString('base64');
  return `${verifier.name}+${keyId(verifier).toString('hex')}+${key}`;
}

/** undefined for what is no verifier key of Ed25519, or whose hash is not its own. */
export function readVerifier(text: string): NoteVerifier | undefined {
  const [, name, id, key] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text.trim()) ?? [];
  const bytes = Buffer.from(key ?? '', 'base64');
  if (name === undefined || bytes.length !== 1 + KEY_BYTES || bytes[0] !== ED25519) return undefined;
  const verifier = { name, publicKey: createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes.subarray(1)]), format: 'der', type: 'spki' }) };
  return keyId(verifier).toString('hex') === id ? verifier : undefined;
}

/** A signed note over `body`, which ends with LF. Throws for a name that is none, and for a key that is not Ed25519. */
export function signNote(body: string, name: string, privateKey: KeyObject): string {
  if (!NAME.test(name)) throw new Error('Who signs for a log has a name without white space and plus signs');
  const id = keyId({ name, publicKey: createPublicKey(privateKey) });
  const signature = Buffer.concat([id, sign(null, Buffer.from(body), privateKey)]).toString('base64');
  return `${body}\n\u2014 ${name} ${signature}\n`;
}

/** The body of a note that one of the verifiers signed. Signatures of others are passed over, one of a verifier's that is wrong is not. */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): string | undefined {
  const { body, signatures } = splitNote(note) ?? {};
  if (body === undefined || signatures === undefined) return undefined;
  const own = signatures.flatMap(({ name, bytes }) => verifiers.filter((verifier) => verifier.name === name && keyId(verifier).equals(bytes.subarray(0, 4))).map(({ publicKey }) => ({ publicKey, signature: bytes.subarray(4) })));
  const signed = own.length > 0 && own.every(({ publicKey, signature }) => signature.length === SIGNATURE_BYTES && verify(null, Buffer.from(body), publicKey, signature));
  return signed ? body : undefined;
}

/** The signed note. The name of the key is the origin. */
export function signCheckpoint({ origin, size, root }: Checkpoint, privateKey: KeyObject): string {
  return signNote(`${origin}\n${size}\n${root.toString('base64')}\n`, origin, privateKey);
}

/** The checkpoint of a note, whoever signed it; undefined for what is none. */
export function parseCheckpoint(note: string): Checkpoint | undefined {
  const { body } = splitNote(note) ?? {};
  const [, origin, size, encoded] = BODY.exec(body ?? '') ?? [];
  if (origin === undefined || size === undefined || encoded === undefined) return undefined;
  const root = Buffer.from(encoded, 'base64');
  const exact = root.length === HASH_BYTES && root.toString('base64') === encoded && Number.isSafeInteger(Number(size));
  return exact ? { origin, size: Number(size), root } : undefined;
}

/** The checkpoint when one of the verifiers signed it. */
export function openCheckpoint(note: string, verifiers: readonly NoteVerifier[]): Checkpoint | undefined {
  return openNote(note, verifiers) === undefined ? undefined : parseCheckpoint(note);
}

interface SplitNote {
  /** With the LF of its last line. */
  body: string;
  signatures: { name: string; bytes: Buffer }[];
}

function splitNote(note: string): SplitNote | undefined {
  const at = note.lastIndexOf('\n\n');
  if (at < 0 || !note.endsWith('\n')) return undefined;
  const lines = note.slice(at + 2, -1).split('\n').map((line) => SIGNATURE_LINE.exec(line));
  const signatures = lines.flatMap((match) => (match === null ? [] : [{ name: match[1] as string, bytes: Buffer.from(match[2] as string, 'base64') }]));
  return signatures.length === lines.length ? { body: note.slice(0, at + 1), signatures } : undefined;
}
