// The state that the drawing application kept in a browser's localStorage: its data: URLs become files. Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import type { PlainJson, PlainObject } from '../resources/medical-records.ts';
import type { FileRole } from '../resources/patient-files.ts';
import { fileNameOf } from './file-name.ts';

export interface SavedFile {
  role: FileRole;
  name: string | undefined;
  contentType: string;
  bytes: Buffer;
}

const KNOWN = ['appointment_id', 'template_id', 'patient_id', 'form_data', 'lines', 'shapes', 'stageSize', 'backgroundImageDataUrl', 'pdfFileName', 'pdfFileDataUrl', 'pdfPageNumber', 'pdfNumPages', 'savedAt'];
const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)(?:;[^,;]*)*;base64,([A-Za-z0-9+/]*={0,2})$/;

function fileIn(state: PlainObject, name: string, role: FileRole, fileName: PlainJson | undefined): SavedFile[] {
  const value = state[name];
  if (value === undefined || value === null || value === '') return [];
  const [, contentType, data] = DATA_URL.exec(typeof value === 'string' ? value : '') ?? [];
  if (contentType === undefined || data === undefined || data.length % 4 !== 0) throw fhirError('invalid-value', `${name} is a data: URL in base64`, { expression: name });
  return [{ role, name: typeof fileName === 'string' ? fileNameOf(fileName) : undefined, contentType: contentType.toLowerCase(), bytes: Buffer.from(data, 'base64') }];
}

/** A record's body and its files: what was drawn upon is the PDF where there is one, else the image. Raises 400. */
export function readSavedState(state: PlainObject): { body: PlainObject; files: SavedFile[] } {
  const unknown = Object.keys(state).find((name) => !KNOWN.includes(name));
  if (unknown !== undefined) throw fhirError('structure', `${unknown.slice(0, 64)} is no member of a saved state`, { expression: unknown.slice(0, 64) });
  const pdf = fileIn(state, 'pdfFileDataUrl', 'background', state['pdfFileName'] ?? 'background.pdf');
  const image = fileIn(state, 'backgroundImageDataUrl', pdf.length > 0 ? 'attachment' : 'background', 'background');
  const drawing = Object.fromEntries(['lines', 'shapes', 'stageSize', 'pdfPageNumber', 'pdfNumPages'].flatMap((name) => (state[name] === undefined || state[name] === null ? [] : [[name, state[name]]])));
  const ids = Object.fromEntries(['appointment_id', 'template_id', 'patient_id', 'form_data'].flatMap((name) => (state[name] === undefined ? [] : [[name, state[name]]])));
  const backgroundType = pdf.length > 0 ? 'pdf' : image.length > 0 ? 'image' : null;
  return { body: { ...ids, drawing_data: { ...drawing, backgroundType } }, files: [...pdf, ...image] };
}
