// The leaf of one version of a resource: what it was published as, its text and its bytes by their digests.
export interface VersionLeaf {
  /** Organisation name as in tokens. */
  org: string;
  /** Type/id/_history/version */
  reference: string;
  /** undefined where no such version is stored. */
  stored: StoredVersion | undefined;
}

export interface StoredVersion {
  /** FHIR instant in UTC with milliseconds. */
  lastUpdated: string;
  method: string;
  /** SHA-256 of the stored text, hexadecimal; undefined for a deletion. */
  sha256: string | undefined;
  /** The bytes of a Binary. */
  content: StoredBytes | undefined;
}

export interface StoredBytes {
  id: string;
  /** Hexadecimal, both null while no bytes are known under the id. */
  sha256: string | null;
  /** SHA-256 over the chunk digests. */
  chunks: string | null;
  size: number | null;
}

/** Canonical text: keys in the order of their code units, no white space. It begins as no event does. */
export function versionLeafText({ org, reference, stored }: VersionLeaf): string {
  if (stored === undefined) return JSON.stringify({ absent: true, kind: 'version', org, reference });
  const { content, lastUpdated, method, sha256 } = stored;
  return JSON.stringify({
    ...(content === undefined ? {} : { content: { chunks: content.chunks, id: content.id, sha256: content.sha256, size: content.size } }),
    kind: 'version', lastUpdated, method, org, reference,
    ...(sha256 === undefined ? {} : { sha256 }),
  });
}
