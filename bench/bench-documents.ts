// What the driver sends: small documents of many patients, and bytes that no compression or cache makes cheaper.
import { randomBytes } from 'node:crypto';

export const PATIENTS = 50;
const CATEGORY_SYSTEM = 'http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category';
const CATEGORIES = ['clinical-note', 'imaging', 'laboratory', 'correspondence'];
const FIRST_DAY_MS = Date.UTC(2024, 0, 1);
const DAY_MS = 86_400_000;

export interface AttachmentOf {
  url?: string;
  contentType: string;
  size?: number;
}

/** JSON text of the `position`th DocumentReference, about 1.2 KB. */
export function documentText(position: number, attachment: AttachmentOf): string {
  const patient = `Patient/bench-${position % PATIENTS}`;
  const code = CATEGORIES[position % CATEGORIES.length];
  const date = new Date(FIRST_DAY_MS + (position % 700) * DAY_MS).toISOString();
  return JSON.stringify({
    resourceType: 'DocumentReference',
    identifier: [{ system: 'urn:muniment:bench', value: `document-${process.pid}-${position}` }],
    status: 'current',
    docStatus: 'final',
    type: { coding: [{ system: 'http://loinc.org', code: '11506-3', display: 'Progress note' }] },
    category: [{ coding: [{ system: CATEGORY_SYSTEM, code }], text: code }],
    subject: { reference: patient, display: 'Bench, Patient' },
    date,
    author: [{ reference: `Practitioner/bench-${position % 20}`, display: 'Dr. Bench' }],
    custodian: { reference: 'Organization/bench', display: 'Bench General Hospital' },
    description: 'Stable after review of the imaging findings; follow up in clinic as agreed with the family.',
    content: [{ attachment: { ...attachment, title: `Progress note ${date.slice(0, 10)}.pdf`, creation: date } }],
    context: { encounter: [{ reference: `Encounter/bench-${position}` }], period: { start: date, end: date } },
  });
}

/** Query of one page: a patient's documents of one category, newest first. */
export function categoryQuery(position: number): string {
  const category = encodeURIComponent(`${CATEGORY_SYSTEM}|${CATEGORIES[position % CATEGORIES.length]}`);
  return `patient=Patient/bench-${position % PATIENTS}&category=${category}&_sort=-date&_count=20`;
}

/** Incompressible bytes behind a text that no signature matches. */
export function streamBlock(): Buffer {
  const block = randomBytes(1_048_576);
  block.write('muniment bench: bytes of no known type\n');
  return block;
}

/** A body that begins as a PDF does; a new one each time costs the driver one copy. */
export function pdfOf(block: Buffer, position: number): Buffer {
  const body = Buffer.from(block);
  body.write(`%PDF-1.7\n% ${process.pid} ${position}\n`);
  return body;
}
