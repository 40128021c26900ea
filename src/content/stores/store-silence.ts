// How long a store may be silent while we wait for it. Counted by bytes that move on the socket, connecting included,
// because neither Node nor the minio client has a limit of its own.
import type { ClientRequest } from 'node:http';

/** With the step of the clock below a stopped store is noticed within 10 seconds. */
export const SILENCE_MS = 8_000;

/** The connection to the store failed or stayed silent; nothing is known of what it did. */
export class StoreConnectionError extends Error {
  readonly code: string;

  constructor(code: string, cause?: unknown) {
    super(`The connection to the store failed: ${code}`, { cause });
    this.name = 'StoreConnectionError';
    this.code = code;
  }
}

export interface SilenceWatch {
  /** Somebody else is waited for: the source of a body, or whoever takes the answer. */
  pause(): void;
  resume(): void;
  stop(): void;
}

/** Ends `request` when nothing moved for `limitMs`; its error has the code ETIMEDOUT. */
export function watchSilence(request: ClientRequest, limitMs: number): SilenceWatch {
  let paused = false;
  let seen = '';
  let movedAt = performance.now();
  const timer = setInterval(() => {
    const { socket } = request;
    const moved = socket === null ? '' : `${socket.bytesRead} ${socket.bytesWritten} ${socket.writableLength}`;
    if (paused || moved !== seen) {
      seen = moved;
      movedAt = performance.now();
    } else if (performance.now() - movedAt >= limitMs) {
      clearInterval(timer);
      request.destroy(new StoreConnectionError('ETIMEDOUT'));
    }
  }, limitMs / 8);
  return {
    pause() { paused = true; },
    resume() {
      paused = false;
      movedAt = performance.now();
    },
    stop: () => clearInterval(timer),
  };
}
