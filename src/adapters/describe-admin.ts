// The rows of /admin, as the document of the API tells of them.
import { ACTIONS, CATEGORIES, DOCUMENT_CATEGORIES } from '../access/policy.ts';
import { FILE_EVENTS } from '../resources/file-events.ts';
import { answer, JSON_TYPE, schema, TEXT, type Parameter, type RowDescription, type Schema } from './row-description.ts';

const STRINGS = { type: 'array', items: TEXT, minItems: 1 } as const;
const ALLOWED = { anyOf: [{ type: 'string', description: 'A shipped preset' }, STRINGS, { type: 'null' }], description: 'A preset or media types, with * for anything' } as const;
const BOUND = { type: ['integer', 'null'], minimum: 0 } as const;
const LIMITS = {
  allowedTypes: ALLOWED, allowedTypesOf: { type: ['object', 'null'], properties: { Binary: ALLOWED, DocumentReference: ALLOWED, Media: ALLOWED }, additionalProperties: false },
  quotaBytes: { ...BOUND, description: 'Bytes of all contents; null = no bound' }, quotaCount: { ...BOUND, description: 'How many contents; null = no bound' }, issuers: { anyOf: [STRINGS, { type: 'null' }] },
  retention: { type: ['string', 'null'], description: 'The retention profile' },
} as const;
const TITLE = { type: ['string', 'null'], maxLength: 200 } as const;
const RULES = {
  type: 'array',
  items: { type: 'object', required: ['role', 'category', 'action', 'effect'], properties: { role: { type: 'string', minLength: 1, maxLength: 64 }, category: { enum: CATEGORIES }, action: { enum: ACTIONS }, effect: { enum: ['permit', 'deny'] } }, additionalProperties: false },
} as const;
const WHO = { type: 'object', properties: { issuer: TEXT, subject: TEXT, client: TEXT, fhirUser: TEXT } } as const;
const CHANGE = { type: 'object', required: ['version', 'changed', 'by', 'reason'], properties: { version: { type: 'integer' }, changed: TEXT, by: WHO, reason: TEXT } } as const;
const ONE_OR_MORE = { anyOf: [TEXT, { type: 'array', items: TEXT }] } as const;

const FILE_MEMBERS = {
  id: TEXT, binary: TEXT, content: TEXT, state: TEXT, content_type: { type: ['string', 'null'] }, recognised_type: { type: ['string', 'null'] }, size: { type: ['integer', 'null'] }, sha256: { type: ['string', 'null'] }, created: TEXT, by: WHO,
  quarantined: TEXT, documents: { type: 'array', items: TEXT }, linked: { type: 'boolean' },
} as const;

export const ADMIN_SCHEMAS: Readonly<Record<string, Schema>> = {
  StoredFile: { type: 'object', required: ['id', 'binary', 'content', 'state', 'documents', 'linked'], properties: FILE_MEMBERS },
  LinkedFile: { type: 'object', required: ['id', 'document', 'version', 'changed'], properties: { ...FILE_MEMBERS, document: TEXT, version: TEXT, changed: { type: 'boolean' } } },
  Job: { type: 'object', required: ['name', 'state', 'done', 'total', 'started', 'ended'], properties: { name: TEXT, of: TEXT, organisation: TEXT, state: { enum: ['running', 'waiting', 'complete'] }, done: { type: 'number' }, total: { type: ['number', 'null'] }, started: { type: ['string', 'null'] }, ended: { type: ['string', 'null'] } } },
  Organisation: {
    type: 'object', required: ['name', 'created', 'disabled', 'requireIfMatch', 'directUrls', 'allowedTypes', 'revision'],
    properties: { name: TEXT, title: TEXT, created: TEXT, disabled: { type: 'boolean' }, disabledSince: TEXT, requireIfMatch: { type: 'boolean' }, directUrls: { type: 'boolean' }, ...LIMITS, revision: { type: 'integer' } },
  },
  OrganisationInput: { type: 'object', required: ['name'], properties: { name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}$' }, title: TITLE, requireIfMatch: { type: 'boolean' }, directUrls: { type: 'boolean' }, ...LIMITS }, additionalProperties: false },
  OrganisationPatch: { type: 'object', properties: { title: TITLE, requireIfMatch: { type: 'boolean' }, directUrls: { type: 'boolean' }, disabled: { type: 'boolean' }, ...LIMITS }, additionalProperties: false },
  Policy: { type: 'object', required: ['organisation', 'version', 'rules'], properties: { organisation: TEXT, version: { type: 'integer' }, shipped: { type: 'boolean' }, change: CHANGE, rules: RULES } },
  PolicyInput: { type: 'object', required: ['rules', 'reason'], properties: { rules: RULES, reason: { type: 'string', minLength: 1, maxLength: 500 } }, additionalProperties: false },
  PolicyQuestion: { type: 'object', required: ['as', 'can'], properties: { as: ONE_OR_MORE, can: { enum: ACTIONS }, category: ONE_OR_MORE, scope: TEXT, patient: TEXT, type: TEXT, rules: RULES }, additionalProperties: false },
  Emergency: {
    type: 'object', required: ['id', 'patient', 'declared', 'expires', 'by', 'reason', 'accesses', 'record'],
    properties: { id: TEXT, patient: TEXT, declared: TEXT, expires: TEXT, by: WHO, reason: TEXT, accesses: { type: 'integer' }, record: TEXT, review: { type: 'object', properties: { at: TEXT, by: WHO, note: TEXT } } },
  },
};

const COUNT: Parameter = { schema: { type: 'integer', minimum: 1, maximum: 1_000, default: 100 }, about: 'How many at most' };
const IF_MATCH: Parameter = { schema: TEXT, about: 'The ETag that the caller has seen' };
const page = (member: string, item: Schema): Schema => ({ type: 'object', required: [member], properties: { [member]: { type: 'array', items: item }, next: TEXT } });

export const ADMIN_ROWS = {
  listOrganisations: { summary: 'List the organisations', answers: answer(200, page('organisations', schema('Organisation'))), query: { _count: COUNT, after: { schema: TEXT, about: 'Those behind this name' } } },
  openOrganisation: { summary: 'Open an organisation', answers: answer(201, schema('Organisation')), body: { [JSON_TYPE]: schema('OrganisationInput') } },
  readOrganisation: { summary: 'Read an organisation with its limits', path: { name: TEXT }, answers: answer(200, schema('Organisation')) },
  configureOrganisation: {
    summary: 'Change an organisation: quotas, media types, issuers, or whether it is served', path: { name: TEXT }, answers: answer(200, schema('Organisation')), refusals: [412, 422], headers: { 'If-Match': IF_MATCH },
    body: { 'application/merge-patch+json': schema('OrganisationPatch'), [JSON_TYPE]: schema('OrganisationPatch') },
  },
  readPolicy: { summary: 'Read the policy in force', answers: answer(200, schema('Policy')) },
  replacePolicy: { summary: 'Replace the policy', answers: answer(200, schema('Policy')), refusals: [412, 422], headers: { 'If-Match': { ...IF_MATCH, required: true } }, body: { [JSON_TYPE]: schema('PolicyInput') } },
  listPolicies: { summary: 'List the versions of the policy', answers: answer(200, { type: 'object', required: ['organisation', 'versions'], properties: { organisation: TEXT, versions: { type: 'array', items: CHANGE } } }) },
  readPolicyVersion: { summary: 'Read a version of the policy', path: { version: { type: 'integer', minimum: 0 } }, answers: answer(200, schema('Policy')) },
  explainPolicy: { summary: 'Say what a policy permits, and which rule decides', answers: answer(200, { type: 'object', required: ['organisation', 'permitted', 'reason'], properties: { organisation: TEXT, permitted: { enum: ['yes', 'no', 'in part'] }, reason: TEXT } }), body: { [JSON_TYPE]: schema('PolicyQuestion') } },
  listFiles: {
    summary: 'List files, or find one by its id', answers: answer(200, page('files', schema('StoredFile'))),
    query: { _count: COUNT, fileId: { schema: TEXT, about: 'Id of the Binary or of the content, number of a file of a patient, or the handle that an upload answered' }, linked: { schema: { enum: ['no', 'all'], default: 'all' }, about: 'no shows those that no document uses' }, before: { schema: TEXT, about: 'Those before this one' } },
  },
  readFile: { summary: 'Read what is held of a file', path: { fileId: TEXT }, answers: answer(200, schema('StoredFile')) },
  linkFile: {
    summary: 'Link a file that no document names: to a document, or as a new one about a patient', path: { fileId: TEXT }, answers: answer(200, schema('LinkedFile')), refusals: [410, 412, 423],
    body: { [JSON_TYPE]: { type: 'object', required: ['reason'], properties: { document: TEXT, patient_id: TEXT, encounter_id: TEXT, category: { enum: DOCUMENT_CATEGORIES }, title: { type: 'string', maxLength: 1_000 }, reason: { type: 'string', minLength: 1, maxLength: 500 } }, additionalProperties: false } },
  },
  listFileEvents: {
    summary: 'Read what happens to files, behind what was read before', query: { _count: COUNT, after: { schema: TEXT, about: 'Behind this change, as `next` names it' } },
    answers: answer(200, { type: 'object', required: ['events', 'next'], properties: { events: { type: 'array', items: { type: 'object', required: ['at', 'event'], properties: { at: TEXT, event: { enum: FILE_EVENTS }, content: TEXT, binary: TEXT, document: TEXT } } }, next: TEXT } }),
  },
  listJobs: { summary: 'List what goes on in the background, and how far it is', answers: answer(200, { type: 'object', required: ['jobs'], properties: { jobs: { type: 'array', items: schema('Job') } } }) },
  readQuota: {
    summary: 'Say how much the organisation holds of what it may',
    answers: answer(200, { type: 'object', required: ['organisation', 'bytes', 'count', 'quotaBytes', 'quotaCount'], properties: { organisation: TEXT, bytes: { type: 'number' }, count: { type: 'number' }, quotaBytes: BOUND, quotaCount: BOUND } }),
  },
  listEmergencies: {
    summary: 'List emergencies that wait for a review', answers: answer(200, page('emergencies', schema('Emergency'))),
    query: { _count: COUNT, reviewed: { schema: { enum: ['no', 'all'], default: 'no' }, about: 'all shows those that were reviewed' }, before: { schema: TEXT, about: 'Those declared before this one' } },
  },
  readEmergency: { summary: 'Read an emergency', path: { id: TEXT }, answers: answer(200, schema('Emergency')) },
  reviewEmergency: { summary: 'Say that an emergency was looked at', path: { id: TEXT }, answers: answer(200, schema('Emergency')), body: { [JSON_TYPE]: { type: 'object', required: ['note'], properties: { note: { type: 'string', minLength: 1, maxLength: 1_000 } }, additionalProperties: false } } },
} as const satisfies Record<string, RowDescription>;
