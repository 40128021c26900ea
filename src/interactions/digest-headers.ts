// What a request claims of its bytes: Repr-Digest and Content-Digest (RFC 9530).
import type { ContentClaims } from '../content/receive-content.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { FhirRequest } from './interaction.ts';

const MEMBER = /(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]*):/i;

/** The SHA-256 that a digest header claims; algorithms that this server does not compute are passed over. */
export function readDigestClaims(request: FhirRequest): ContentClaims | undefined {
  const claimed = ['repr-digest', 'content-digest'].flatMap((name) => {
    const value = MEMBER.exec(request.header(name) ?? '')?.[1];
    return value === undefined ? [] : [{ name, sha256: Buffer.from(value, 'base64') }];
  });
  const first = claimed[0];
  if (first === undefined) return undefined;
  for (const { name, sha256 } of claimed) {
    if (sha256.length !== 32) throw fhirError('digest-mismatch', `${name}: sha-256 must be the base64 of 32 bytes`);
    if (!sha256.equals(first.sha256)) throw fhirError('digest-mismatch', 'Repr-Digest and Content-Digest differ');
  }
  return { sha256: first.sha256, error: 'digest-mismatch' };
}
