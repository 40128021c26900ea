// The rows of /admin on legal holds, retention and purges, as the document of the API tells of them.
import { answer, JSON_TYPE, schema, TEXT, type Parameter, type RowDescription, type Schema } from './row-description.ts';

const WHO = { type: 'object', properties: { issuer: TEXT, subject: TEXT, client: TEXT } } as const;
const DECISION = { type: 'object', required: ['at', 'by'], properties: { at: TEXT, by: WHO, reason: TEXT } } as const;
const REASON = { type: 'string', minLength: 1, maxLength: 500 } as const;

export const RETENTION_SCHEMAS: Readonly<Record<string, Schema>> = {
  LegalHold: { type: 'object', required: ['id', 'target', 'reason', 'placed', 'by'], properties: { id: TEXT, target: TEXT, reason: TEXT, placed: TEXT, by: WHO, lifted: DECISION } },
  Purge: {
    type: 'object', required: ['id', 'reference', 'state', 'reason', 'requested'],
    properties: {
      id: TEXT, reference: TEXT, state: { enum: ['requested', 'withdrawn', 'approved', 'done'] }, reason: TEXT, requested: DECISION, withdrawn: DECISION, approved: DECISION,
      retention: { type: 'object', properties: { class: TEXT, until: TEXT } }, done: TEXT, certificate: TEXT,
    },
  },
};

const COUNT: Parameter = { schema: { type: 'integer', minimum: 1, maximum: 1_000, default: 100 }, about: 'How many at most' };
const BEFORE: Parameter = { schema: TEXT, about: 'Those before this one' };
const page = (member: string, item: Schema): Schema => ({ type: 'object', required: [member], properties: { [member]: { type: 'array', items: item }, next: TEXT } });
const ID: RowDescription['path'] = { id: TEXT };
const WITH_REASON: RowDescription['body'] = { [JSON_TYPE]: { type: 'object', required: ['reason'], properties: { reason: REASON }, additionalProperties: false } };

export const RETENTION_ROWS = {
  listHolds: { summary: 'List legal holds', answers: answer(200, page('holds', schema('LegalHold'))), query: { _count: COUNT, lifted: { schema: { enum: ['no', 'all'], default: 'no' }, about: 'all shows those that were lifted' }, before: BEFORE } },
  placeHold: { summary: 'Place a legal hold on a document, a patient or the organisation', answers: answer(201, schema('LegalHold')), body: { [JSON_TYPE]: { type: 'object', required: ['target', 'reason'], properties: { target: { type: 'string', maxLength: 100 }, reason: REASON }, additionalProperties: false } } },
  readHold: { summary: 'Read a legal hold', path: ID, answers: answer(200, schema('LegalHold')) },
  liftHold: { summary: 'Lift a legal hold', path: ID, answers: answer(200, schema('LegalHold')), body: WITH_REASON },
  listDue: {
    summary: 'List what is due for review because its retention is over', query: { _count: COUNT, after: { schema: TEXT, about: 'Those behind this one, as `next` names it' } },
    answers: answer(200, { type: 'object', required: ['profile', 'classes', 'due'], properties: { profile: TEXT, classes: { type: 'array', items: { type: 'object' } }, due: { type: 'array', items: { type: 'object', required: ['reference'] } }, next: TEXT } }),
  },
  listPurges: { summary: 'List purges', answers: answer(200, page('purges', schema('Purge'))), query: { _count: COUNT, state: { schema: { enum: ['requested', 'withdrawn', 'approved', 'done'] }, about: 'In this state' }, before: BEFORE } },
  requestPurge: {
    summary: 'Ask for a purge after the retention; somebody else approves it', answers: answer(201, schema('Purge')), refusals: [404, 423],
    body: { [JSON_TYPE]: { type: 'object', required: ['reference', 'reason'], properties: { reference: { type: 'string', maxLength: 100 }, reason: REASON }, additionalProperties: false } },
  },
  readPurge: { summary: 'Read a purge', path: ID, answers: answer(200, schema('Purge')) },
  approvePurge: { summary: 'Approve a purge that somebody else asked for', path: ID, answers: answer(200, schema('Purge')), refusals: [423], body: WITH_REASON },
  withdrawPurge: { summary: 'Withdraw a purge', path: ID, answers: answer(200, schema('Purge')), body: WITH_REASON },
} as const satisfies Record<string, RowDescription>;
