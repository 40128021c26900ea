// A plain FHIR client over HTTP: what a stranger sees.
import { randomUUID } from 'node:crypto';

export interface Answer {
  status: number;
  headers: Headers;
  bytes: Buffer;
  text: string;
  /** Parsed body; undefined when it is not JSON. */
  json: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into answers of any shape
}

export interface Call {
  method?: string;
  body?: string | Buffer | object | undefined;
  headers?: Record<string, string>;
  /** `manual`: an answer that leads elsewhere is the answer. */
  redirect?: 'manual';
  /** null = no token at all. */
  token?: string | null;
}

export interface FhirClient {
  base: string;
  call(path: string, call?: Call): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body: Call['body'], headers?: Record<string, string>): Promise<Answer>;
  put(path: string, body: Call['body'], headers?: Record<string, string>): Promise<Answer>;
  delete(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** The AuditEvents of the request with this X-Request-Id. */
  auditOf(requestId: string): Promise<any[]>; // eslint-disable-line @typescript-eslint/no-explicit-any -- see above
}

function bodyOf(body: Call['body']): { body?: string | Buffer; type?: string } {
  if (body === undefined) return {};
  return typeof body === 'string' || Buffer.isBuffer(body) ? { body } : { body: JSON.stringify(body), type: 'application/fhir+json' };
}

export function fhirClient(base: string, token: string): FhirClient {
  const call: FhirClient['call'] = async (path, { method = 'GET', body, headers = {}, token: own = token, redirect = undefined } = {}) => {
    const sent = bodyOf(body);
    const response = await fetch(path.startsWith('http') ? path : `${base}/${path}`, {
      method,
      headers: { ...(own === null ? {} : { authorization: `Bearer ${own}` }), ...(sent.type === undefined ? {} : { 'content-type': sent.type }), 'x-request-id': randomUUID(), ...headers },
      ...(sent.body === undefined ? {} : { body: sent.body }),
      ...(redirect === undefined ? {} : { redirect }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const text = bytes.toString('utf8');
    let json: unknown;
    try { json = JSON.parse(text); } catch { json = undefined; }
    return { status: response.status, headers: response.headers, bytes, text, json };
  };
  return {
    base,
    call,
    get: (path, headers = {}) => call(path, { headers }),
    post: (path, body, headers = {}) => call(path, { method: 'POST', body, headers }),
    put: (path, body, headers = {}) => call(path, { method: 'PUT', body, headers }),
    delete: (path, headers = {}) => call(path, { method: 'DELETE', headers }),
    async auditOf(requestId) {
      const { json } = await call(`AuditEvent?request-id=${requestId}&_count=1000`);
      return (json as { entry?: { resource: unknown }[] }).entry?.map((entry) => entry.resource) ?? [];
    },
  };
}

/** A document as hospitals send it; every call is about another patient unless told. */
export function documentReference(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    resourceType: 'DocumentReference',
    status: 'current',
    identifier: [{ system: 'urn:test:accession', value: randomUUID() }],
    type: { coding: [{ system: 'http://loinc.org', code: '34133-9', display: 'Summary of episode note' }] },
    category: [{ coding: [{ system: 'https://muniment.example/fhir/CodeSystem/document-category', code: 'clinical-note' }] }],
    subject: { reference: `Patient/${randomUUID()}` },
    date: '2024-05-06T07:08:09.123Z',
    author: [{ reference: 'Practitioner/writer' }],
    content: [{ attachment: { contentType: 'text/plain', data: Buffer.from('A short note.').toString('base64'), title: 'Note' } }],
    ...overrides,
  };
}

export function media(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    resourceType: 'Media',
    status: 'completed',
    type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/media-type', code: 'image' }] },
    subject: { reference: `Patient/${randomUUID()}` },
    createdDateTime: '2024-05-06',
    content: { contentType: 'text/plain', data: Buffer.from('pixels').toString('base64') },
    ...overrides,
  };
}
