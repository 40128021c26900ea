// The files of a GraphQL multipart request (jaydenseric's convention: `operations`, `map`, then the files). Each is read by the
// field that uses it while it comes; nothing is kept here. So files come in the order in which they are used, and the last one
// ends when the form has: bytes of a form that breaks behind them become nothing.
import { fhirError } from '../fhir/fhir-error.ts';
import type { UploadPart } from './graphql-resolvers.ts';

interface Slot {
  arrived?: AsyncIterable<Buffer>;
  /** Whoever wants its bytes. */
  wanted?: { resolve(bytes: AsyncIterable<Buffer>): void; reject(error: unknown): void };
  finished?: () => void;
  /** Its bytes were read, or will not be any more. */
  isRead?: true;
}

const malformed = (diagnostics: string): Error => fhirError('malformed-form', diagnostics);

export class FormFiles {
  private readonly slots = new Map<string, Slot>();
  private ended = false;
  private settle: { whole(): void; broken(error: unknown): void } = { whole() {}, broken() {} };
  private readonly form = new Promise<void>((resolve, reject) => { this.settle = { whole: resolve, broken: reject }; });

  constructor() {
    this.form.catch(() => { /* Told by whoever reads the form. */ });
  }

  /** What stands in the variables in place of the file of this field. */
  expect(field: string): UploadPart {
    const slot: Slot = {};
    this.slots.set(field, slot);
    const open = (): Promise<AsyncIterable<Buffer>> => this.open(slot);
    const ends = (): Promise<void> | undefined => ([...this.slots.values()].every((one) => one === slot || one.isRead === true) ? this.form : undefined);
    return {
      bytes: {
        async* [Symbol.asyncIterator]() {
          const bytes = await open();
          try {
            yield* bytes;
          } finally {
            slot.isRead = true;
            slot.finished?.();
          }
          await ends();
        },
      },
    };
  }

  private open(slot: Slot): Promise<AsyncIterable<Buffer>> {
    if (slot.arrived !== undefined) return Promise.resolve(slot.arrived);
    if (this.ended) return Promise.reject(malformed('A file that the request refers to is missing'));
    // One that came and that nobody reads would hold up the one that is wanted.
    if ([...this.slots.values()].some(({ arrived, finished }) => arrived !== undefined && finished !== undefined)) return Promise.reject(malformed('Files come in the order in which the request uses them'));
    return new Promise((resolve, reject) => { slot.wanted = { resolve, reject }; });
  }

  /** Hands a file over and waits until it was read, or until nothing will read it. Raises 400 for one that nobody asked for. */
  async take(field: string, bytes: AsyncIterable<Buffer>): Promise<void> {
    const slot = this.slots.get(field);
    if (slot === undefined || slot.arrived !== undefined) throw malformed('A file stands in the form that the map does not name, or names twice');
    for (const other of this.slots.values()) {
      if (other === slot || other.wanted === undefined) continue;
      other.wanted.reject(malformed('Files come in the order in which the request uses them'));
      delete other.wanted;
    }
    slot.arrived = bytes;
    if (this.ended) return;
    const finished = new Promise<void>((resolve) => {
      slot.finished = () => { delete slot.finished; resolve(); };
    });
    slot.wanted?.resolve(bytes);
    delete slot.wanted;
    await finished;
  }

  /** The form cannot be read to its end: what comes of it in the moment fails with that. */
  fail(error: unknown): void {
    this.settle.broken(error);
    this.end();
  }

  /** No more files come, or nobody reads them any more. */
  end(): void {
    this.ended = true;
    this.settle.whole();
    for (const slot of this.slots.values()) {
      slot.wanted?.reject(malformed('A file that the request refers to is missing'));
      delete slot.wanted;
      slot.finished?.();
    }
  }
}
