// A plain client of the documents API over HTTP: forms as browsers send them, and forms that no browser sends.
import { randomUUID } from 'node:crypto';
import type { Answer, FhirClient } from './fhir-client.ts';

export interface SentFile {
  name?: string;
  type?: string;
  bytes: Buffer | string;
  field?: string;
}

/** Fields that are undefined are left out. */
export function formOf(files: readonly SentFile[], fields: Readonly<Record<string, string | undefined>> = {}): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.append(name, value);
  for (const { name = 'scan.pdf', type = 'application/pdf', bytes, field = 'file' } of files) {
    form.append(field, new Blob([typeof bytes === 'string' ? bytes : new Uint8Array(bytes)], { type }), name);
  }
  return form;
}

export interface DocumentsClient {
  base: string;
  call: FhirClient['call'];
  postForm(path: string, form: FormData, headers?: Record<string, string>): Promise<Answer>;
  /** A body as it is, with its own Content-Type. */
  postRaw(path: string, contentType: string, body: string | Buffer, headers?: Record<string, string>): Promise<Answer>;
}

export function documentsClient(fhir: FhirClient): DocumentsClient {
  const base = fhir.base.replace(/\/fhir$/, '/documents');
  const call: FhirClient['call'] = (path, options) => fhir.call(path.startsWith('http') ? path : `${base}${path}`, options);
  const postRaw: DocumentsClient['postRaw'] = (path, contentType, body, headers = {}) => call(path, { method: 'POST', body, headers: { 'content-type': contentType, ...headers } });
  return {
    base, call, postRaw,
    async postForm(path, form, headers = {}) {
      const encoded = new Response(form);
      return postRaw(path, encoded.headers.get('content-type') ?? '', Buffer.from(await encoded.arrayBuffer()), headers);
    },
  };
}

/** A small PDF that is like no other. */
export const somePdf = (): Buffer => Buffer.from(`%PDF-1.4\n% ${randomUUID()}\n%%EOF\n`);
