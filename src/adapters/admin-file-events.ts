// The topic of what happens to files, for other systems of an organisation: read page by page, each going on behind the one before.
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { defineInteraction, type FhirRequest, type Interaction } from '../interactions/interaction.ts';
import { readFileEvents, START_OF_EVENTS, type FileEvent, type FileEventCursor } from '../resources/file-events.ts';
import { jsonAnswer, pageCount } from './admin-body.ts';

/** Raises 400 `invalid-parameter`. */
function cursorOf({ query }: FhirRequest): FileEventCursor {
  const after = query.find(([name]) => name === 'after')?.[1];
  if (after === undefined) return START_OF_EVENTS;
  const [, writtenIn, seq] = /^(\d{1,18})-(\d{1,18})$/.exec(after) ?? [];
  if (writtenIn === undefined || seq === undefined) throw fhirError('invalid-parameter', 'after is what a `next` of this topic named');
  return { writtenIn, seq };
}

const shown = ({ at, ...event }: FileEvent): object => ({ at: printInstant(at.getTime()), ...event });

/** `next` is there on every page: it answers what happens from then on. */
export function listFileEvents(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { org, request }) => {
      const count = pageCount(request);
      const { events, next } = await readFileEvents(tx, org.id, cursorOf(request), count);
      const references = new Set(events.flatMap(({ binary, document }) => [binary, document]).filter((reference) => reference !== undefined));
      return {
        response: jsonAnswer(200, { events: events.map(shown), next: `/admin/file-events?after=${next.writtenIn}-${next.seq}&_count=${count}` }),
        entities: [...references].map((reference) => ({ reference, role: 'data' as const })),
      };
    },
  });
}
