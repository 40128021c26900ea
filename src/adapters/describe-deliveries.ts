// The rows of /admin/deliveries, as the document of the API tells of them.
import { answer, JSON_TYPE, schema, TEXT, type RowDescription, type Schema } from './row-description.ts';

const INSTANT = { anyOf: [TEXT, { type: 'null' }] } as const;
const NUMBER = { type: 'integer', minimum: 0 } as const;

export const DELIVERY_SCHEMAS: Readonly<Record<string, Schema>> = {
  ParkedDelivery: { type: 'object', required: ['reference', 'attempts', 'parked', 'reason'], properties: { reference: TEXT, attempts: NUMBER, parked: INSTANT, reason: TEXT } },
  Delivery: {
    type: 'object', required: ['reference', 'state', 'deliveredVersion', 'attempts', 'refusals', 'pendingVersions', 'skipped'],
    properties: {
      reference: TEXT, state: { enum: ['waiting', 'parked'] }, deliveredVersion: NUMBER, hapiVersion: INSTANT, attempts: NUMBER, refusals: NUMBER, inFlight: { type: 'boolean' }, lastError: INSTANT,
      next: INSTANT, parked: INSTANT, pendingVersions: { type: 'array', items: NUMBER },
      skipped: { type: 'array', items: { type: 'object', required: ['version', 'reason', 'at'], properties: { version: NUMBER, reason: TEXT, at: TEXT } } },
    },
  },
};

const RESOURCE: RowDescription['path'] = { type: TEXT, id: TEXT };
const WITH_REASON: RowDescription['body'] = { [JSON_TYPE]: { type: 'object', required: ['reason'], properties: { reason: { type: 'string', minLength: 1, maxLength: 500 } }, additionalProperties: false } };
const REPLAYED = answer(200, { type: 'object', required: ['replayed', 'references'], properties: { replayed: NUMBER, references: { type: 'array', items: TEXT } } });

export const DELIVERY_ROWS = {
  list: {
    summary: 'List deliveries to the mirror that wait for a person', answers: answer(200, { type: 'object', required: ['parked'], properties: { parked: { type: 'array', items: schema('ParkedDelivery') }, next: TEXT } }),
    query: { _count: { schema: { type: 'integer', minimum: 1, maximum: 1_000, default: 100 }, about: 'How many at most' }, after: { schema: TEXT, about: 'Those behind this reference' } },
  },
  show: { summary: 'Show what the mirror knows of a resource', path: RESOURCE, answers: answer(200, schema('Delivery')) },
  replay: { summary: 'Try a parked delivery again', path: RESOURCE, answers: REPLAYED, body: WITH_REASON },
  replayAll: { summary: 'Try all parked deliveries of the organisation again', answers: REPLAYED, body: WITH_REASON },
  skip: { summary: 'Give up one version of a parked delivery', path: RESOURCE, answers: answer(200, { type: 'object', required: ['skipped'], properties: { skipped: TEXT } }), body: WITH_REASON },
} as const satisfies Record<string, RowDescription>;
