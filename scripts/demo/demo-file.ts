// A file that the demo makes: any part of it can be made again, so that what comes back is compared byte for byte.
import { createHash } from 'node:crypto';

export interface DemoFile {
  /** As a person would call it. */
  title: string;
  contentType: string;
  size: number;
  sha256: Buffer;
  sha1: Buffer;
  /** Bytes from `start` on, in pieces. */
  read(start: number, length: number): Iterable<Buffer>;
}

/** A file that is small enough to be held. */
export function fileOf(title: string, contentType: string, bytes: Buffer): DemoFile {
  return {
    title, contentType, size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest(),
    sha1: createHash('sha1').update(bytes).digest(),
    *read(start, length) { yield bytes.subarray(start, start + length); },
  };
}

/** Repr-Digest (RFC 9530) of bytes with this SHA-256. */
export function reprDigest(sha256: Buffer): string {
  return `sha-256=:${sha256.toString('base64')}:`;
}
