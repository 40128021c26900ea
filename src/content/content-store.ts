// What a store of bytes must do. A key is written once, never renamed, never overwritten.

export interface StoredObject {
  size: number;
  /** Set when the store itself validated a SHA-256 over what it holds. */
  sha256?: Buffer;
  /** Version id that the store gave. */
  version?: string;
}

export interface ContentStore {
  /** Name kept in each content row: local, minio, s3, ... */
  readonly name: string;
  /**
   * Writes all of `bytes` under a new key and resolves when they are durable. `size` when it is known beforehand.
   * Backpressured, with flat memory. Rejects when the key exists, with `storage-full` on a full disk and with
   * `unavailable` when the store can't be reached; a partial object is removed as far as possible.
   */
  put(key: string, bytes: AsyncIterable<Buffer>, options: { size?: number; signal?: AbortSignal }): Promise<StoredObject>;
  /** What the store holds; undefined = no such key. */
  stat(key: string, version?: string): Promise<StoredObject | undefined>;
  /** `length` bytes from `start` on; fewer, or none, when the store holds fewer. */
  get(key: string, range: { start: number; length: number }, options?: { version?: string; signal?: AbortSignal }): Promise<AsyncIterable<Buffer>>;
  /** Removes the object; a missing one is no error. */
  remove(key: string, version?: string): Promise<void>;
  /** Proves by a real small write and read that the store works now; rejects with the reason. */
  probe(): Promise<void>;
}
