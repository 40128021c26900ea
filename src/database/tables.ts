// Row types of every table, as pg returns them. The key of each table that belongs to an organisation begins with org.

/** Surrogate of an organisation; the text of tokens stands in `organisation.name`. */
export type OrgId = number;

/** One version of a resource; `resource` holds the newest, `resource_history` those it superseded. */
export interface VersionRow {
  org: OrgId;
  type: number;
  id: string;
  version: number;
  last_updated: Date;
  deleted: boolean;
  /** How this version came to be. */
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Exact JSON text; null for the version that a deletion made. */
  body: string | null;
  /** The bytes of a Binary version. */
  content: string | null;
  /** Who created a Binary: `issuer|subject|client`. */
  creator: string | null;
  /** Whom it is about: the id of a Patient of this server, or its address. A deletion keeps it. */
  patient: string | null;
}

export type ContentState = 'staging' | 'live' | 'quarantined' | 'condemned' | 'gone';

/** Bytes under their digests. `sha256`, `sha1`, `size` and the chunk digests are set from `live` on. */
export interface ContentRow {
  org: OrgId;
  id: string;
  state: ContentState;
  /** Store that holds the bytes: local, minio, s3, ... */
  store: string;
  key: string;
  /** Version id that an object store gave, when it keeps versions. */
  store_version: string | null;
  size: string | null;
  sha256: Buffer | null;
  sha1: Buffer | null;
  chunk_bytes: number;
  /** SHA-256 of each chunk, 32 bytes each, in order. */
  chunk_digests: Buffer | null;
  declared_type: string | null;
  sniffed_type: string | null;
  creator: string | null;
  created_at: Date;
  published_at: Date | null;
  verified_at: Date | null;
  quarantine_reason: string | null;
  /** The key at the replica, where it is another one. */
  replica_key: string | null;
  /** What the scanner said last; null where nothing scanned. */
  scan_verdict: 'clean' | 'unscanned' | 'unscannable' | 'infected' | 'accepted' | null;
  scan_engine: string | null;
  scan_signatures: string | null;
  /** The virus, or why there is no verdict. */
  scan_finding: string | null;
  scanned_at: Date | null;
  /** When the replica had it; null while it has not. */
  replicated_at: Date | null;
  replica_until: Date | null;
  /** The purge that takes its bytes. */
  purge: string | null;
}
