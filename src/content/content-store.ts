// What a store of bytes must do. A key is written once, never renamed, never overwritten.

export interface StoredObject {
  size: number;
  /** Set when the store itself validated a SHA-256 over what it holds. */
  sha256?: Buffer;
  /** Version id that the store gave. */
  version?: string;
  /** How the store says that it encrypts the object: AES256, aws:kms. */
  encryption?: string;
}

export interface PutOptions {
  /** Length, when it is known beforehand. */
  size?: number;
  /** SHA-256 of all the bytes; asked once, after the last of them was taken. Spares a store a pass of its own. */
  sha256?: () => Buffer;
}

export interface ContentStore {
  /** Name kept in each content row: local, minio, s3, ... */
  readonly name: string;
  /** True for a disk of our own: length and fsync are proof. Else a SHA-256 that the store validated, or reading back. */
  readonly lengthProves: boolean;
  /**
   * Writes all of `bytes` under a new key and resolves when they are durable. Backpressured, with flat memory. Raises
   * ObjectExistsError, `storage-full` on a full disk, `unavailable` when the store can't be used, and what the source
   * raised as it is; a partial object is removed as far as possible.
   */
  put(key: string, bytes: AsyncIterable<Buffer>, options: PutOptions): Promise<StoredObject>;
  /** What the store holds; undefined = no such key. */
  stat(key: string, version?: string): Promise<StoredObject | undefined>;
  /** `length` bytes (one at least) from `start` on; fewer, or none, when the store holds fewer. */
  get(key: string, range: { start: number; length: number }, options?: { version?: string }): Promise<AsyncIterable<Buffer>>;
  /** Every version of the object that the store still has, the newest first; only where a store keeps versions. */
  versions?(key: string): Promise<StoredObject[]>;
  /** Every object behind the key `after` in its newest version, in the order of the keys' bytes. Only where a store can list. */
  list?(after: string): AsyncIterable<ListedObject>;
  /** Removes the object; a missing one is no error. */
  remove(key: string, version?: string): Promise<void>;
  /** What the store says of an object that it was just given: whether it keeps versions, and encrypts. Only where a store can say. */
  protection?(): Promise<StoreProtection>;
  /** Proves by a real small write and read that the store works now; rejects with the reason. */
  probe(): Promise<void>;
  /** Only where the store is set up to be asked by clients themselves. */
  readonly direct?: DirectUrls;
}

/** An object as a URL of the store shows it. */
export interface DirectObject {
  key: string;
  version: string | undefined;
  contentType: string;
  disposition: string;
}

/** URLs of the store itself, each for one request that begins within a minute. Raises `unavailable`. */
export interface DirectUrls {
  /** What makes them for reading: asked outside any transaction, and used within one. */
  reading(): Promise<(object: DirectObject) => string>;
  /** One that takes so many bytes of that type under the key. */
  writing(key: string, bytes: { size: number; contentType: string }): Promise<string>;
}

export interface ListedObject {
  key: string;
  size: number;
  /** When it was written, as the store says. */
  modified: Date;
}

export interface StoreProtection {
  versioned: boolean;
  encrypted: boolean;
}

/** The key is taken. Keys are random, so this is a fault of ours, or a request of ours that took effect twice. */
export class ObjectExistsError extends Error {
  constructor() {
    super('The store has an object under this key already');
    this.name = 'ObjectExistsError';
  }
}
