// The document that stands for a medical record: a DocumentReference about the appointment, with the drawing as its bytes and
// the form beside it as QuestionnaireResponse (R4 questionnaireresponse.html), each under its own digest.
import type { JsonObject, JsonValue } from '../fhir/json.ts';
import type { PlainJson, PlainObject } from '../resources/medical-records.ts';
import { CATEGORY_SYSTEM } from './document-fields.ts';
import { isPlainObject } from './merge-patch.ts';

export const RECORD_IDENTIFIER_SYSTEM = 'urn:muniment:medical-record';

export interface RecordContent {
  appointment: string;
  template: string | null;
  patient: string | null;
  drawing: PlainObject;
  form: PlainObject;
  /** Type/id of the user who saves. */
  author: string | undefined;
  final: boolean;
  /** Ids of documents: the one that is drawn upon, and those that belong to it. */
  background?: string;
  attachments?: readonly string[];
  /** Milliseconds. */
  now: number;
  fhirBase: string;
}

const AUTHORS = /^(?:Practitioner|PractitionerRole|Organization|Device|Patient|RelatedPerson)\//;
const base64 = (value: PlainJson | JsonValue): string => Buffer.from(JSON.stringify(value)).toString('base64');

function answerOf(value: PlainJson): JsonObject[] {
  if (typeof value === 'boolean') return [{ valueBoolean: value }];
  if (typeof value === 'number') return [{ valueDecimal: value }];
  if (typeof value === 'string') return value.trim() === '' ? [] : [{ valueString: value }];
  return [];
}

/** linkId is the path of keys; an empty value has no item. */
export function itemsOf(form: PlainObject, path = ''): JsonObject[] {
  return Object.entries(form).flatMap(([key, value]): JsonObject[] => {
    const linkId = path === '' ? key : `${path}.${key}`;
    const head = { linkId, ...(key.trim() === '' ? {} : { text: key }) };
    if (isPlainObject(value)) {
      const item = itemsOf(value, linkId);
      return item.length === 0 ? [] : [{ ...head, item }];
    }
    const values = Array.isArray(value) ? value : [value];
    const groups = values.filter(isPlainObject).map((one) => itemsOf(one, linkId)).filter((item) => item.length > 0);
    const answer = values.flatMap(answerOf);
    return [...groups.map((item) => ({ ...head, item })), ...(answer.length === 0 ? [] : [{ ...head, answer }])];
  });
}

export function questionnaireResponse({ form, template, patient, author, final, now, fhirBase }: RecordContent): JsonObject {
  return {
    resourceType: 'QuestionnaireResponse',
    ...(template === null ? {} : { questionnaire: `${fhirBase}/Questionnaire/${template}` }),
    status: final ? 'completed' : 'in-progress',
    ...(patient === null ? {} : { subject: { reference: `Patient/${patient}` } }),
    authored: new Date(now).toISOString(),
    ...(author === undefined || !AUTHORS.test(author) ? {} : { author: { reference: author } }),
    item: itemsOf(form),
  };
}

/** The resource without its identifier, which is known when it is stored. */
export function recordDocument(record: RecordContent): JsonObject {
  const { appointment, patient, drawing, form, author, final, now, background, attachments = [] } = record;
  const hasForm = itemsOf(form).length > 0;
  return {
    resourceType: 'DocumentReference',
    status: 'current',
    docStatus: final ? 'final' : 'preliminary',
    type: { coding: [{ system: 'http://loinc.org', code: '34109-9', display: 'Note' }] },
    category: [{ coding: [{ system: CATEGORY_SYSTEM, code: 'clinical-note' }] }],
    ...(patient === null ? {} : { subject: { reference: `Patient/${patient}` } }),
    date: new Date(now).toISOString(),
    ...(author === undefined || !AUTHORS.test(author) ? {} : { author: [{ reference: author }] }),
    content: [
      { attachment: { contentType: 'application/json', data: base64(drawing), title: 'drawing.json' } },
      ...(hasForm ? [{ attachment: { contentType: 'application/fhir+json', data: base64(questionnaireResponse(record)), title: 'form.json' } }] : []),
    ],
    ...(background === undefined ? {} : { relatesTo: [{ code: 'transforms', target: { reference: `DocumentReference/${background}` } }] }),
    context: { related: [{ reference: `Appointment/${appointment}` }, ...attachments.map((id) => ({ reference: `DocumentReference/${id}` }))] },
  };
}
