// The files of a GraphQL multipart request (jaydenseric's convention: `operations`, `map`, then the files). What comes waits until
// the form was read to its end: of one that breaks nothing becomes anything, whichever file it breaks in.
import { creatorOf } from '../access/principal.ts';
import { PART_BYTES, type UploadPart as StoredPart, type UploadPartStore } from '../content/upload-parts.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import { partsOf } from './resumable-receive.ts';
import type { UploadPart } from './graphql-resolvers.ts';

/** A few bytes wait in memory, for all files of a request; the others in the store, in parts. */
const HELD_BYTES = PART_BYTES;

const malformed = (diagnostics: string): Error => fhirError('malformed-form', diagnostics);

export class FormFiles {
  private readonly expected = new Map<string, { bytes?: AsyncIterable<Buffer> }>();
  private readonly stored: StoredPart[] = [];
  private held = 0;
  private readonly uploads: UploadPartStore;
  private readonly context: InteractionContext;

  constructor(uploads: UploadPartStore, context: InteractionContext) {
    this.uploads = uploads;
    this.context = context;
  }

  /** What stands in the variables in place of the file of this field: its bytes, once they came. */
  expect(field: string): UploadPart {
    const slot: { bytes?: AsyncIterable<Buffer> } = {};
    this.expected.set(field, slot);
    return { get bytes() { return slot.bytes ?? (async function* () { /* Nothing came, which `requireAll` told. */ })(); } };
  }

  /** Takes the bytes of a file. Raises 400 for one that nobody asked for, and what the store raises. */
  async take(field: string, bytes: AsyncIterable<Buffer>): Promise<void> {
    const slot = this.expected.get(field);
    if (slot === undefined || slot.bytes !== undefined) throw malformed('A file stands in the form that the map does not name, or names twice');
    const { org, principal } = this.context;
    const parts: StoredPart[] = [];
    const inMemory: Buffer[] = [];
    slot.bytes = read(this.uploads, inMemory, parts);
    let at = 0;
    for await (const part of partsOf(bytes, undefined)) {
      if (at === 0 && part.length < PART_BYTES && this.held + part.length <= HELD_BYTES) {
        this.held += part.length;
        inMemory.push(part);
      } else {
        const kept = await this.uploads.keep(org, at, part, creatorOf(principal), Date.now());
        this.stored.push(kept);
        parts.push(kept);
      }
      at += part.length;
    }
  }

  /** Raises 400 where a file that the map names did not come. */
  requireAll(): void {
    if ([...this.expected.values()].some(({ bytes }) => bytes === undefined)) throw malformed('A file that the request refers to is missing');
  }

  /** What waited in the store is of no more use. Never raises. */
  discard(): Promise<void> {
    return this.uploads.discard(this.context.org.id, this.stored);
  }
}

async function* read(uploads: UploadPartStore, inMemory: readonly Buffer[], parts: readonly StoredPart[]): AsyncGenerator<Buffer> {
  yield* inMemory;
  yield* uploads.read(parts);
}
