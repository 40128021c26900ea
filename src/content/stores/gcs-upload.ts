// A resumable upload (cloud.google.com/storage/docs/performing-resumable-uploads): parts go one after the other, and the service
// says how far it has kept them. After a broken connection it is asked, and the upload goes on from there.
import { gcsError, isPassing, type GcsCaller } from './gcs-call.ts';
import { createPatience } from './patience.ts';
import type { Part } from './s3-multipart.ts';
import { unreachable } from './store-errors.ts';
import type { StoreAnswer } from './store-request.ts';
import { StoreConnectionError } from './store-silence.ts';

export interface GcsUpload {
  /** A part that is not the last; resolves when the service has all of it. */
  send(part: Part): Promise<void>;
  /** The last part; answers the object that was made, and its length. */
  finish(part: Part): Promise<{ answer: StoreAnswer; size: number }>;
  /** Never rejects: the service forgets by itself after a week. */
  cancel(): Promise<void>;
}

/** Its address is as good as a password for this object, and is kept here alone. */
export async function openUpload(caller: GcsCaller, key: string, condition: Record<string, string>): Promise<GcsUpload> {
  const begun = await caller.call({ method: 'POST', path: caller.uploads, query: { uploadType: 'resumable', name: key, ...condition }, headers: { 'x-upload-content-type': 'application/octet-stream' }, body: [] });
  const { location } = begun.headers;
  if (begun.status !== 200 || location === undefined || !URL.canParse(location)) throw gcsError(begun);
  const { pathname, search } = new URL(location);
  const path = pathname + search;
  const ask = (range: string, body: readonly Buffer[]): Promise<StoreAnswer> => caller.once({ method: 'PUT', path, headers: { 'content-range': `bytes ${range}` }, body });
  let kept = 0;

  /** What the service says to the bytes; undefined when it said nothing, or "not now". */
  async function tried(range: string, body: readonly Buffer[]): Promise<StoreAnswer | undefined> {
    try {
      const answer = await ask(range, body);
      return isPassing(answer.status) ? undefined : answer;
    } catch (error) {
      // A silent store has had its time.
      if (error instanceof StoreConnectionError && error.code !== 'ETIMEDOUT') return undefined;
      throw error;
    }
  }

  /** All of the part, which begins at `start`; undefined when it is kept, the answer when it made the object. */
  async function sendFrom(start: number, part: Part, total: string): Promise<StoreAnswer | undefined> {
    const end = start + part.size;
    let again = createPatience();
    for (let asked = false; ;) {
      const range = asked || kept === end ? '*' : `${kept}-${end - 1}`;
      const answer = await tried(`${range}/${total}`, range === '*' ? [] : piecesFrom(part, kept - start));
      if (answer === undefined) {
        if (!await again()) throw unreachable(new Error('The store does not take the bytes'));
        asked = true;
        continue;
      }
      if (answer.status !== 308) return answer;
      const next = keptBytes(answer);
      if (next < start || next > end) throw unreachable(new Error('The store lost a part that it had kept'));
      if (next > kept) again = createPatience();
      else if (!asked && !await again()) throw unreachable(new Error('The store does not take the bytes'));
      kept = next;
      asked = false;
      if (kept === end && total === '*') return undefined;
    }
  }

  return {
    async send(part) {
      const answer = await sendFrom(kept, part, '*');
      if (answer !== undefined) throw gcsError(answer);
    },
    async finish(part) {
      const size = kept + part.size;
      const answer = await sendFrom(kept, part, String(size));
      if (answer?.status !== 200 && answer?.status !== 201) throw gcsError(answer ?? begun);
      return { answer, size };
    },
    async cancel() {
      await caller.once({ method: 'DELETE', path }).catch(() => undefined);
    },
  };
}

/** Without the header nothing is kept yet. */
function keptBytes({ headers }: StoreAnswer): number {
  const last = /^bytes=0-(\d{1,15})$/.exec(headers.range ?? '')?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

function piecesFrom({ pieces }: Part, offset: number): Buffer[] {
  const rest: Buffer[] = [];
  let at = 0;
  for (const piece of pieces) {
    if (at + piece.length > offset) rest.push(at >= offset ? piece : piece.subarray(offset - at));
    at += piece.length;
  }
  return rest;
}
