// How much of the bodies under way may be held in memory at once. A request that would go over it is refused before its body
// is read: what is under way ends sooner, and the process does not run out of memory.
import { fhirError } from '../fhir/fhir-error.ts';

/** The room of one request. */
export interface BodyRoom {
  /** Raises 503 `unavailable` with Retry-After when there is no room for so many bytes. */
  take(bytes: number): void;
  /** Gives back what it took. */
  leave(): void;
}

export interface BodyRooms {
  open(): BodyRoom;
  /** Bytes that are taken. */
  taken(): number;
}

/** A body that is larger than the whole room is taken when nothing else is under way. */
export function createBodyRooms(bytesMax: number): BodyRooms {
  let taken = 0;
  return {
    taken: () => taken,
    open() {
      let own = 0;
      return {
        take(bytes) {
          const more = Math.max(bytes - own, 0);
          if (taken > own && taken + more > bytesMax) {
            // Those who come again do so at different moments.
            throw fhirError('unavailable', 'The server receives as much as it can hold; try again', { headers: { 'Retry-After': String(1 + Math.floor(Math.random() * 5)) } });
          }
          taken += more;
          own += more;
        },
        leave() {
          taken -= own;
          own = 0;
        },
      };
    },
  };
}
