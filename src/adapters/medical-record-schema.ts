// What a medical record with a drawing looks like when an application sends it. Every fault is told with its place.
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { FhirError, fhirError, issueOf, type Issue } from '../fhir/fhir-error.ts';
import { JsonSyntaxError, parseJson } from '../fhir/json.ts';
import type { FhirRequest } from '../interactions/interaction.ts';
import type { PlainJson, PlainObject } from '../resources/medical-records.ts';
import { isPlainObject } from './merge-patch.ts';

/** Bytes of a draft, drawing and form together, as JSON. */
export const DRAFT_BYTES_MAX = 16 * 1024 * 1024;
const FORM_BYTES_MAX = 1024 * 1024;
/** Longer data: URLs are files and belong into one. */
const DATA_URL_CHARACTERS_MAX = 1_024;

const COLOR = { type: 'string', pattern: '^#[0-9A-Fa-f]{6}$' } as const;
const STROKE = { type: 'number', exclusiveMinimum: 0, maximum: 10_000 } as const;
const NUMBER = { type: 'number' } as const;
const ID = { anyOf: [{ type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }, { type: 'string', pattern: '^[A-Za-z0-9\\-.]{1,64}$' }] } as const;
const POINTS = { type: 'array', items: NUMBER, maxItems: 1_000_000 } as const;

const shape = (type: string, required: string[]): object => ({ if: { properties: { type: { const: type } } }, then: { required } });

export const DRAWING_SCHEMA = {
  type: 'object',
  properties: {
    lines: {
      type: 'array',
      items: { type: 'object', required: ['tool', 'points', 'color', 'strokeWidth'], properties: { tool: { enum: ['pen', 'eraser'] }, points: POINTS, color: COLOR, strokeWidth: STROKE } },
    },
    shapes: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'type', 'x', 'y'],
        properties: {
          id: { type: 'string', minLength: 1, maxLength: 200 }, type: { enum: ['circle', 'rect', 'arrow', 'text'] }, x: NUMBER, y: NUMBER, width: NUMBER, height: NUMBER,
          radius: { type: 'number', minimum: 0 }, points: POINTS, text: { type: 'string', maxLength: 100_000 }, color: COLOR, strokeWidth: STROKE,
        },
        allOf: [shape('circle', ['radius']), shape('rect', ['width', 'height']), shape('arrow', ['points']), shape('text', ['text'])],
      },
    },
    stageSize: { type: 'object', required: ['width', 'height'], properties: { width: { type: 'number', exclusiveMinimum: 0 }, height: { type: 'number', exclusiveMinimum: 0 } } },
    backgroundType: { enum: ['image', 'pdf', null] },
    backgroundFileId: { type: ['integer', 'null'], minimum: 1 },
    pdfPageNumber: { type: ['integer', 'null'], minimum: 1 },
    pdfNumPages: { type: ['integer', 'null'], minimum: 1 },
  },
} as const;

export const RECORD_SCHEMA = {
  type: 'object',
  required: ['appointment_id'],
  properties: {
    appointment_id: ID, template_id: { anyOf: [ID, { type: 'null' }] }, patient_id: ID, drawing_data: DRAWING_SCHEMA, form_data: { type: 'object' },
    background_file: { type: 'null' }, attachment_files: { type: 'array', maxItems: 0 },
  },
  additionalProperties: false,
} as const;

export const DRAFT_SCHEMA = {
  type: 'object',
  properties: { drawing_data: DRAWING_SCHEMA, form_data: { type: 'object' } },
  additionalProperties: false,
} as const;

/** A patch may hold null anywhere and parts of what is required: what it makes is checked in its place. */
export const PATCH_SCHEMA = { type: 'object', properties: { drawing_data: { type: 'object' }, form_data: { type: 'object' } }, additionalProperties: false, minProperties: 1 } as const;

const ajv = new Ajv({ allErrors: true, strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true });
const compiled = new Map<object, ValidateFunction>();

function validatorOf(schema: object): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const made = ajv.compile(schema);
  compiled.set(schema, made);
  return made;
}

/** /drawing_data/shapes/0/radius → drawing_data.shapes[0].radius */
function placeOf({ instancePath, params }: ErrorObject): string {
  const missing = (params as { missingProperty?: string }).missingProperty ?? (params as { additionalProperty?: string }).additionalProperty;
  const steps = [...instancePath.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')), ...(missing === undefined ? [] : [missing])];
  return steps.reduce((path, step) => (/^\d+$/.test(step) ? `${path}[${step}]` : path === '' ? step : `${path}.${step}`), '').slice(0, 200);
}

function issueFor(error: ErrorObject): Issue {
  const place = placeOf(error);
  const detail = error.keyword === 'type' || error.keyword === 'additionalProperties' ? 'structure' : error.keyword === 'required' ? 'required' : 'invalid-value';
  return issueOf(detail, `${place === '' ? 'The body' : place}: ${error.keyword === 'required' ? 'is missing' : error.message ?? 'is not as it should be'}`, place === '' ? undefined : place);
}

const ISSUES_MAX = 50;

/** Raises 400 with every fault that the schema finds. */
export function requireSchema(schema: object, value: PlainJson): void {
  const validate = validatorOf(schema);
  if (validate(value)) return;
  const issues = (validate.errors ?? []).filter(({ keyword }) => keyword !== 'if' && keyword !== 'anyOf').map(issueFor);
  throw new FhirError((issues.length === 0 ? [issueOf('invalid-value', 'The body is not as it should be')] : issues).slice(0, ISSUES_MAX), { status: 400 });
}

/** What no schema says: points come in pairs, a page lies within its file, text can be stored, files do not hide in it. */
export function requireSound(drawing: PlainObject, form: PlainObject): void {
  const issues: Issue[] = [];
  const list = (value: PlainJson | undefined): PlainJson[] => (Array.isArray(value) ? value : []);
  for (const kind of ['lines', 'shapes']) {
    list(drawing[kind]).forEach((one, at) => {
      if (isPlainObject(one) && list(one['points']).length % 2 !== 0) issues.push(issueOf('invalid-value', `drawing_data.${kind}[${at}].points: x and y come in pairs`, `drawing_data.${kind}[${at}].points`));
    });
  }
  const [page, pages] = [drawing['pdfPageNumber'], drawing['pdfNumPages']];
  if (typeof page === 'number' && typeof pages === 'number' && page > pages) issues.push(issueOf('invalid-value', `drawing_data.pdfPageNumber: the file has ${pages} pages`, 'drawing_data.pdfPageNumber'));
  requireText({ drawing_data: drawing, form_data: form }, '', issues);
  if (issues.length > 0) throw new FhirError(issues.slice(0, ISSUES_MAX), { status: 400 });
  if (Buffer.byteLength(JSON.stringify(form)) > FORM_BYTES_MAX) throw fhirError('too-long', `form_data may have ${FORM_BYTES_MAX} bytes`, { expression: 'form_data' });
  if (Buffer.byteLength(JSON.stringify({ drawing, form })) > DRAFT_BYTES_MAX) throw fhirError('too-long', `A draft may have ${DRAFT_BYTES_MAX} bytes`);
}

function textFault(text: string): string | undefined {
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f]|\p{Surrogate}/u.test(text)) return 'a character that cannot be stored';
  if (text.length > DATA_URL_CHARACTERS_MAX && /^data:/i.test(text)) return 'a file as data: URL; send it to /api/patients/{id}/files and refer to it';
  return undefined;
}

function requireText(value: PlainJson, place: string, issues: Issue[]): void {
  if (issues.length >= ISSUES_MAX) return;
  if (typeof value === 'string') {
    const fault = textFault(value);
    if (fault !== undefined) issues.push(issueOf('invalid-value', `${place.slice(0, 200)}: ${fault}`, place.slice(0, 200)));
  } else if (Array.isArray(value)) value.forEach((one, at) => { requireText(one, `${place}[${at}]`, issues); });
  else if (value !== null && typeof value === 'object') {
    for (const [name, one] of Object.entries(value)) {
      if (textFault(name) !== undefined) issues.push(issueOf('invalid-value', `${place}: a name with a character that cannot be stored`, place));
      requireText(one, place === '' ? name : `${place}.${name}`, issues);
    }
  }
}

const JSON_TYPE = /^application\/(?:merge-patch\+)?json\s*(?:;|$)/i;

/** The JSON object in a body. Raises 415 for any other, 413 past the bound, 400 for what is no JSON. */
export async function readJsonObject(request: FhirRequest, bytesMax: number): Promise<PlainObject> {
  if (!JSON_TYPE.test(request.body.contentType ?? '')) throw fhirError('media-type', 'The body must be application/json', { members: { allowedTypes: ['application/json'] } });
  const text = await request.body.text(bytesMax);
  try {
    // What is too deep or too wide is refused before it is built a second time.
    parseJson(text, { depthMax: 64, keysMax: 1_000_000 });
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw fhirError('malformed-json', error.message);
    throw error;
  }
  const value = JSON.parse(text) as PlainJson;
  if (!isPlainObject(value)) throw fhirError('malformed-json', 'The body must be a JSON object');
  return value;
}
