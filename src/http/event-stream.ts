// Server-sent events (html.spec.whatwg.org, 9.2) for a client that follows its own request: how far it has come, and at last
// the answer that it would have had. Steps and answer leave once the record has them.
import type { ServerResponse } from 'node:http';

export interface EventStream {
  /** Begins the stream with the first call. */
  tell(step: Readonly<Record<string, unknown>>): void;
  began(): boolean;
  /** The last event, with the answer's JSON. */
  end(event: 'result' | 'error', json: string | undefined): void;
}

/** Whether Accept names the type itself: `*` means an answer in one piece. */
export const acceptsEvents = (accept: string | undefined): boolean => /(?:^|,)\s*text\/event-stream\s*(?:;|,|$)/i.test(accept ?? '');

/** One event; JSON has no line break outside its texts, and within them it is escaped. */
const printEvent = (event: string, json: string): string => `event: ${event}\ndata: ${json}\n\n`;

export function openEventStream(response: ServerResponse, headers: Readonly<Record<string, string>>): EventStream {
  const begin = (): void => {
    if (!response.headersSent) response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
  };
  return {
    tell(step) {
      // The last event is the answer.
      if (response.writableEnded || response.destroyed) return;
      begin();
      response.write(printEvent('progress', JSON.stringify(step)));
    },
    began: () => response.headersSent,
    end(event, json = '{}') {
      begin();
      response.end(printEvent(event, json));
    },
  };
}
