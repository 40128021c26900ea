// POST /graphql over HTTP: the requests of the guide as they stand, and what is refused.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let root: string;
let admin: FhirClient;
const as = async (options: TokenOptions): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token(options));

beforeAll(async () => {
  server = await startMuniment();
  root = server.fhirBase.replace(/\/fhir$/, '');
  admin = await as({});
});
afterAll(() => server.stop());

const ask = (client: FhirClient, query: string, variables: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Answer> =>
  client.call(`${root}/graphql`, { method: 'POST', body: JSON.stringify({ query, variables }), headers: { 'content-type': 'application/json', ...headers } });

async function form(client: FhirClient, operations: unknown, map: unknown, files: readonly (readonly [string, Buffer, string])[]): Promise<Answer> {
  const data = new FormData();
  data.append('operations', JSON.stringify(operations));
  data.append('map', JSON.stringify(map));
  for (const [field, bytes, name] of files) data.append(field, new Blob([new Uint8Array(bytes)], { type: 'application/pdf' }), name);
  const encoded = new Request('http://localhost', { method: 'POST', body: data });
  return client.call(`${root}/graphql`, { method: 'POST', body: Buffer.from(await encoded.arrayBuffer()), headers: { 'content-type': encoded.headers.get('content-type') ?? '' } });
}

const PDF = Buffer.from(`%PDF-1.4\n${'annual check-up '.repeat(20)}\n%%EOF`);
const hex = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const SECURE_UPLOAD = `mutation SecureUpload($file: Upload!) {
uploadFile(
forEntity: "Patient/123"
data: $file
filename: "2024-annual-checkup.pdf"
contentType: "application/pdf"
security: {
encryption: AES256
accessWindow: "15m"
allowedIps: ["192.168.1.0/24"]
}
) {
url
storagePath
sasToken
expiresAt
hashSha256
}
}`;

const upload = async (filename: string, bytes: Buffer, contentType: string, client = admin): Promise<Record<string, string>> => {
  const { json } = await ask(client, 'mutation ($data: Upload!, $name: String!, $type: String!) { uploadFile(data: $data, filename: $name, contentType: $type) { id url storagePath sasToken hashSha256 size } }', { data: bytes.toString('base64'), name: filename, type: contentType });
  expect(json.errors).toBeUndefined();
  return json.data.uploadFile;
};

const createDocument = (hash: string): string => `mutation CreateDocumentWithProvenance {
createDocumentReference(resource: {
status: "current"
category: {
coding: {
system: "http://loinc.org"
code: "34133-9"
display: "Summary of episode note"
}
}
content: [{
attachment: {
title: "Discharge Summary"
url: "azure-blob://discharge-2024.pdf"
hash: "${hash}"
creation: "2024-03-15"
}
}]
subject: { reference: "Patient/123" }
author: { reference: "Practitioner/456" }
}) {
id
meta { versionId }
content { attachment { size } }
}
}`;

const CREATE_MEDIA = `mutation CreateMediaWithDevice {
createMedia(resource: {
status: "completed"
content: {
contentType: "image/dicom"
url: "azure-blob://ct-abdomen.dcm"
height: 512
width: 512
frames: 120
}
device: {
identifier: {
system: "urn:oid:1.2.840.10008.2.6.1"
value: "CT-Scanner-789"
}
}
note {
text: "Abdominal CT with contrast"
}
}) {
id
content { duration }
}
}`;

describe('the requests of the guide', () => {
  it('upload a file as base64 and as a part of a form, alike', async () => {
    const inline = await ask(admin, SECURE_UPLOAD, { file: PDF.toString('base64') }, { 'x-file-metadata': '{"purpose":"patient_consent"}' });
    const parts = await form(admin, { query: SECURE_UPLOAD, variables: { file: null } }, { 0: ['variables.file'] }, [['0', PDF, 'a.pdf']]);
    for (const { status, json } of [inline, parts]) {
      expect(json.errors).toBeUndefined();
      expect(status).toBe(200);
      const file = json.data.uploadFile;
      expect(file).toEqual({ url: expect.stringMatching(new RegExp(`^${root}/files/`)), storagePath: expect.stringMatching(/^muniment:\/\/.+\/2024-annual-checkup\.pdf$/), sasToken: expect.any(String), expiresAt: expect.any(String), hashSha256: hex(PDF) });
      const minutes = (Date.parse(file.expiresAt) - Date.now()) / 60_000;
      expect(minutes).toBeGreaterThan(13);
      expect(minutes).toBeLessThan(16);
      // The client's address is outside 192.168.1.0/24.
      expect((await fetch(file.url)).status).toBe(403);
    }
  });

  it('take a type that is not allowed with fileTypeOverride, from those who may override, with its reason in the record', async () => {
    const query = 'mutation ($data: Upload!, $why: String) { uploadFile(data: $data, filename: "scan.dat", contentType: "application/x-scanner-raw", fileTypeOverride: $why) { id } }';
    const data = Buffer.from('a type that nobody allows').toString('base64');
    const refused = (await ask(admin, query, { data })).json.errors[0].extensions;
    expect(refused).toMatchObject({ code: 'media-type', status: 415, allowedTypes: expect.any(Array) });
    const practitioner = await as({ roles: ['practitioner'], user: 'Practitioner/p' });
    expect((await ask(practitioner, query, { data, why: 'I want to' })).json.errors[0].extensions).toMatchObject({ code: 'forbidden', status: 403 });
    const requestId = randomUUID();
    const { json } = await ask(admin, query, { data, why: 'Evidence of case 12' }, { 'x-request-id': requestId });
    expect([json.errors, json.data.uploadFile.id]).toEqual([undefined, expect.any(String)]);
    expect((await admin.auditOf(requestId)).some(({ outcomeDesc }: { outcomeDesc?: string }) => outcomeDesc?.includes('Evidence of case 12') === true)).toBe(true);
  });

  it('bind it to a DocumentReference by its handle, with Provenance', async () => {
    const { id } = await upload('discharge-2024.pdf', PDF, 'application/pdf');
    const requestId = randomUUID();
    const { json } = await ask(admin, createDocument(`sha256:${hex(PDF)}`), {}, { 'x-request-id': requestId });
    expect(json).toEqual({ data: { createDocumentReference: { id: expect.any(String), meta: { versionId: '1' }, content: [{ attachment: { size: PDF.length } }] } } });
    const { json: document } = await admin.get(`DocumentReference/${json.data.createDocumentReference.id}`);
    expect(document).toMatchObject({ category: [{ coding: [{ code: '34133-9' }] }], author: [{ reference: 'Practitioner/456' }], content: [{ attachment: { url: `${server.fhirBase}/Binary/${id}`, creation: '2024-03-15' } }] });
    const provenance = await admin.get(`Provenance?target=DocumentReference/${document.id}`);
    expect(provenance.json.total).toBeGreaterThan(0);
    const events = await admin.auditOf(requestId);
    expect(events.map(({ action }) => action).sort()).toEqual(['C', 'E']);
  });

  it('make a Media of a DICOM file, with its geometry where R4 has it', async () => {
    const dicom = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), randomBytes(64)]);
    await upload('ct-abdomen.dcm', dicom, 'image/dicom');
    const { json } = await ask(admin, CREATE_MEDIA);
    expect(json).toEqual({ data: { createMedia: { id: expect.any(String), content: { duration: null } } } });
    expect((await admin.get(`Media/${json.data.createMedia.id}`)).json).toMatchObject({ height: 512, width: 512, frames: 120, note: [{ text: 'Abdominal CT with contrast' }], device: { identifier: { value: 'CT-Scanner-789' } } });
  });

  it('renew a URL by itself or by its token', async () => {
    const file = await upload(`${randomUUID()}.pdf`, PDF, 'application/pdf');
    expect(hex(Buffer.from(await (await fetch(file['url'] as string)).arrayBuffer()))).toBe(file['hashSha256']);
    for (const name of ['url', 'sasToken']) {
      const one = await upload(`${randomUUID()}.pdf`, PDF, 'application/pdf');
      const { json } = await ask(admin, `mutation ($value: String!) { refreshFileUrl(${name}: $value) { url sasToken expiresAt } }`, { value: one[name] });
      expect(json.errors).toBeUndefined();
      expect((await fetch(json.data.refreshFileUrl.url)).status).toBe(200);
    }
    expect((await ask(admin, 'mutation { refreshFileUrl(sasToken: "forged") { url } }')).json.errors[0].extensions).toMatchObject({ code: 'not-found', status: 404 });
  });
});

describe('documents', () => {
  it('are read with their files and their record', async () => {
    await upload('discharge-2024-b.pdf', PDF, 'application/pdf');
    const made = (await ask(admin, createDocument(`sha256:${hex(PDF)}`).replace('discharge-2024.pdf', 'discharge-2024-b.pdf').replaceAll('Patient/123', 'Patient/reads'))).json.data.createDocumentReference;
    const { json } = await ask(admin, 'query ($id: ID!) { documentReference(id: $id) { id status content { attachment { contentType hashSha256 signedUrl(minutes: 5) { url } } } record { action agent } } allowedTypes }', { id: made.id });
    expect(json.errors).toBeUndefined();
    expect(json.data.documentReference).toMatchObject({ id: made.id, content: [{ attachment: { hashSha256: hex(PDF) } }] });
    expect(json.data.documentReference.record.map(({ action }: { action: string }) => action)).toContain('C');
    expect((await fetch(json.data.documentReference.content[0].attachment.signedUrl.url)).status).toBe(200);
    expect(json.data.allowedTypes).toContain('application/pdf');
    const list = await ask(admin, '{ documentReferences(patient: "reads", first: 1) { total items { id } } none: documentReference(id: "unknown") { id } }');
    expect(list.json.data).toEqual({ documentReferences: { total: 1, items: [{ id: made.id }] }, none: null });
  });

  it('are confined as everywhere', async () => {
    const made = (await ask(admin, 'mutation { createDocumentReference(resource: { status: "current", subject: { reference: "Patient/g1" }, content: { attachment: { contentType: "text/plain", data: "aGk=" } } }) { id } }')).json.data.createDocumentReference;
    const ofOther = await as({ scope: 'patient/*.cruds', patient: 'g2' });
    expect((await ask(ofOther, `{ documentReference(id: "${made.id}") { id } }`)).json).toEqual({ data: { documentReference: null } });
    const writeOnly = await as({ scope: 'fhir.write files.write', roles: ['practitioner'] });
    expect((await ask(writeOnly, `{ documentReference(id: "${made.id}") { id } }`)).json.errors[0].extensions).toMatchObject({ code: 'forbidden', status: 403 });
  });

  it('are written with the scopes of the guide, and files with them', async () => {
    const client = await as({ scope: 'files.write fhir.write', roles: ['practitioner'] });
    const name = `${randomUUID()}.pdf`;
    const file = await upload(name, PDF, 'application/pdf', client);
    const { json } = await ask(client, createDocument(`sha256:${file['hashSha256']}`).replace('discharge-2024.pdf', name));
    expect(json.errors).toBeUndefined();
    expect((await ask(await as({ scope: 'fhir.write', roles: ['practitioner'] }), SECURE_UPLOAD, { file: PDF.toString('base64') })).json.errors[0].extensions.code).toBe('forbidden');
  });
});

describe('what is refused', () => {
  it('names the code of the OperationOutcome, and keeps nothing', async () => {
    const exe = await ask(admin, 'mutation { uploadFile(data: "f0VMRgIBAQAAAAAAAAAAAA==", filename: "a.pdf", contentType: "application/pdf") { id } }');
    expect(exe.json).toMatchObject({ data: { uploadFile: null }, errors: [{ path: ['uploadFile'], extensions: { code: 'media-type', status: 415 } }] });
    const wrong = await ask(admin, createDocument('sha256:abc123...'));
    expect(wrong.json.errors[0].extensions).toMatchObject({ code: 'claim-mismatch', status: 422, expression: 'DocumentReference.content[0].attachment.hash' });
    await upload('discharge-2024-c.pdf', PDF, 'application/pdf');
    const foreign = await ask(admin, createDocument(`sha256:${hex(Buffer.from('other bytes'))}`).replace('discharge-2024.pdf', 'discharge-2024-c.pdf'));
    expect(foreign.json.errors[0].extensions).toMatchObject({ code: 'claim-mismatch', status: 422 });
    await upload('named-twice.pdf', PDF, 'application/pdf');
    await upload('named-twice.pdf', PDF, 'application/pdf');
    const several = await ask(admin, createDocument(`sha256:${hex(PDF)}`).replace('discharge-2024.pdf', 'named-twice.pdf'));
    expect(several.json.errors[0].extensions.code).toBe('unknown-binary');
  });

  it.each([
    ['an array', '[{"query":"{ allowedTypes }"}]', 400],
    ['no JSON', '{"query":', 400],
    ['no query', '{}', 400],
    ['variables that are none', '{"query":"{ allowedTypes }","variables":[1]}', 400],
  ])('%s is a problem document', async (_name, body, status) => {
    const answer = await admin.call(`${root}/graphql`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/problem+json']);
  });

  it.each([
    ['a document that cannot be read', '{ allowedTypes', 'Syntax Error'],
    ['a field that is not there', '{ patients { id } }', 'Cannot query field'],
    ['too many fields at the root', `{ ${Array.from({ length: 21 }, (_, at) => `a${at}: allowedTypes`).join(' ')} }`, '20 fields'],
    ['fragments that multiply', `${Array.from({ length: 12 }, (_, at) => `fragment f${at} on DocumentReference { ${at === 11 ? 'id' : `...f${at + 1} ...f${at + 1}`} }`).join(' ')} { documentReference(id: "1") { ...f0 } }`, '1000 fields'],
    ['a subscription', 'subscription { x }', ''],
  ])('%s is 400 with errors and no data', async (_name, query, message) => {
    const { status, json } = await ask(admin, query);
    expect(status).toBe(400);
    expect(json.data).toBeUndefined();
    expect(json.errors[0].message).toContain(message);
  });

  it('nobody without a token, and no other method', async () => {
    expect((await admin.call(`${root}/graphql`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' }, token: null })).status).toBe(401);
    expect((await admin.call(`${root}/graphql?query={allowedTypes}`)).status).toBe(405);
  });
});
