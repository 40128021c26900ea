// The digest of a request's body that tells a repetition from another request. A form has another boundary each time that it is
// put together (RFC 7578 4.1), which says nothing of what it holds: it does not count.
import { createHash } from 'node:crypto';

export interface BodyDigest {
  update(bytes: Buffer): void;
  /** SHA-256; once. */
  digest(): Buffer;
}

const BOUNDARY = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]+)"|([^;\s"]+))/i;

export function bodyDigest(contentType: string | undefined): BodyDigest {
  const [, quoted, plain] = BOUNDARY.exec(contentType ?? '') ?? [];
  const boundary = quoted ?? plain;
  return boundary === undefined ? createHash('sha256') : formDigest(Buffer.from(`--${boundary}`, 'latin1'));
}

/** Each delimiter counts as its two hyphens. It may lie across two chunks, so the end of what came waits for the next. */
function formDigest(delimiter: Buffer): BodyDigest {
  const hash = createHash('sha256');
  let waiting = Buffer.alloc(0);
  return {
    update(bytes) {
      const all = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes]);
      let from = 0;
      for (let at = all.indexOf(delimiter); at >= 0; at = all.indexOf(delimiter, from)) {
        hash.update(all.subarray(from, at)).update('--');
        from = at + delimiter.length;
      }
      const until = Math.max(from, all.length - delimiter.length + 1);
      hash.update(all.subarray(from, until));
      // A copy: the rest of the chunk must not be kept for its last bytes.
      waiting = Buffer.from(all.subarray(until));
    },
    digest: () => hash.update(waiting).digest(),
  };
}
