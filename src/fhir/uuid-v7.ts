// UUID version 7 (RFC 9562 5.7): 48 bits of Unix milliseconds first, so that the order of ids is the order of time.
import { randomFillSync } from 'node:crypto';

const MS_LIMIT = 2 ** 48;
/** 12 bits of rand_a and the first 20 of rand_b count within one millisecond (RFC 9562 6.2, method 1). */
const COUNTER_LIMIT = 2 ** 32;

/** The id of `unixMs` (whole milliseconds) over ten random bytes, of which 74 bits are used. */
export function uuidV7(unixMs: number, random: Uint8Array): string {
  if (!Number.isInteger(unixMs) || unixMs < 0 || unixMs >= MS_LIMIT) throw new RangeError(`No UUIDv7 at ${unixMs} ms`);
  if (random.length !== 10) throw new RangeError('A UUIDv7 takes ten random bytes');
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(unixMs, 0, 6);
  bytes.set(random, 6);
  bytes[6] = 0x70 | (bytes.readUInt8(6) & 0x0f);
  bytes[8] = 0x80 | (bytes.readUInt8(8) & 0x3f);
  return printed(bytes);
}

function printed(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The lowest id of that millisecond: `id >= uuidV7Floor(from)` selects by time. */
export function uuidV7Floor(unixMs: number): string {
  return uuidV7(unixMs, new Uint8Array(10));
}

/** The highest id of that millisecond: `id <= uuidV7Ceil(until)` selects by time. */
export function uuidV7Ceil(unixMs: number): string {
  return uuidV7(unixMs, new Uint8Array(10).fill(0xff));
}

/** The millisecond that an id was made of. */
export function uuidV7Time(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** Random bytes are drawn in bulk: a call to the generator for each id would cost more than the id. */
const pool = Buffer.alloc(4_000);
let drawn = pool.length;

function takeRandom(): Uint8Array {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += 10;
  return Uint8Array.prototype.slice.call(pool, drawn - 10, drawn);
}

let last = { ms: -1, counter: 0 };

/**
 * A new id of `nowMs`; later ones of the same millisecond sort after it in this process. The time is never moved on,
 * so that the id stays that of the instant which is recorded beside it.
 */
export function newUuidV7(nowMs: number): string {
  const random = takeRandom();
  last = nowMs === last.ms ? { ms: nowMs, counter: last.counter + 1 } : { ms: nowMs, counter: firstCounter(random) };
  // Half of the range is left free above the first value: two thousand million ids in one millisecond do not occur.
  if (last.counter >= COUNTER_LIMIT) throw new RangeError('Too many ids in one millisecond');
  placeCounter(random, last.counter);
  return uuidV7(nowMs, random);
}

function firstCounter(random: Uint8Array): number {
  return new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1;
}

/** Bytes 0 and 1 end as rand_a (12 bits), byte 2 loses its first two bits to the variant. */
function placeCounter(random: Uint8Array, counter: number): void {
  const view = new DataView(random.buffer, random.byteOffset);
  view.setUint16(0, counter >>> 20);
  view.setUint16(2, (counter >>> 6) & 0x3fff);
  view.setUint8(4, ((counter & 0x3f) << 2) | (view.getUint8(4) & 0x03));
}
