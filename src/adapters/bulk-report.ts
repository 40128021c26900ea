// What became of the files of a bulk upload: of each how it ended and why, and the counts. Pure.
import type { FhirError } from '../fhir/fhir-error.ts';
import type { DocumentFields } from './document-fields.ts';

export interface FileReport {
  /** Place in the form, from 0. */
  index: number;
  filename: string | null;
  status: 'succeeded' | 'failed' | 'rolled-back';
  /** The stable code and the text of what failed. */
  code?: string;
  detail?: string;
}

export type SucceededFile = FileReport & DocumentFields;

export interface BulkReport {
  success: boolean;
  total: number;
  succeeded: number;
  failed: number;
  files: (FileReport | SucceededFile)[];
}

export function failedFile(index: number, filename: string | undefined, error: FhirError): FileReport {
  return { index, filename: filename ?? null, status: 'failed', code: error.detail, detail: error.issues.map(({ diagnostics }) => diagnostics).join('; ') };
}

export function reportOf(files: readonly FileReport[]): BulkReport {
  const count = (status: FileReport['status']): number => files.filter((file) => file.status === status).length;
  const [succeeded, failed] = [count('succeeded'), count('failed')];
  return { success: succeeded === files.length, total: files.length, succeeded, failed, files: [...files] };
}
