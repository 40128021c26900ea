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
  /** True when `put` needs the length beforehand to write in one pass; without it the store may buffer parts. */
  /** Writes all of `bytes` under a new key. Rejects when the key exists. When it resolves the bytes are durable. `size` when known beforehand; the number of bytes is otherwise open. Backpressured; memory is flat. Rejects with fhirError('storage-full') on a full disk and fhirError('unavailable') when the store can't be reached; a partial object is removed as far as possible. */
  put(key: string, bytes: AsyncIterable<Buffer>, options: { size?: number; signal?: AbortSignal }): Promise<StoredObject>;
  /** What the store holds: size, and the SHA-256 where it validated one. undefined = no such key. */
  stat(key: string, version?: string): Promise<StoredObject | undefined>;
  /** The bytes from `start` (inclusive) on, `length` of them, as a stream of buffers. */
  get(key: string, range: { start: number; length: number }, options?: { version?: string; signal?: AbortSignal }): Promise<AsyncIterable<Buffer>>;
  /** Removes the object; a missing one is no error. */
  remove(key: string, version?: string): Promise<void>;
  /** Proves that the store can be written and read now (a real small write); rejects with the reason. */
  probe(): Promise<void>;
}
