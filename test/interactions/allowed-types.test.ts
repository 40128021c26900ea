// Which files are taken, by what they say they are and by what they are.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PDFDocument } from 'pdf-lib';
import sharp from 'sharp';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
const files: Record<string, Buffer> = {};

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: '#345' } });
  files['jpeg'] = await picture.clone().jpeg().toBuffer();
  files['png'] = await picture.clone().png().toBuffer();
  files['tiff'] = await picture.clone().tiff().toBuffer();
  files['webp'] = await picture.clone().webp().toBuffer();
  const pdf = await PDFDocument.create();
  pdf.addPage();
  files['pdf'] = Buffer.from(await pdf.save());
  files['dicom'] = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(200, 1)]);
  files['rtf'] = Buffer.from('{\\rtf1\\ansi A letter}');
  files['text'] = Buffer.from('Ein Befund, mit Umlauten: äöü.');
  files['cda'] = Buffer.from('<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>');
  files['json'] = Buffer.from('{"resourceType":"Patient"}');
  files['elf'] = Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(200)]);
  files['exe'] = windowsProgram();
  files['script'] = Buffer.from('#!/bin/sh\nrm -rf /\n');
  files['unknown'] = Buffer.from([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 200, 201]);
});
afterAll(() => server.stop());

function windowsProgram(): Buffer {
  const bytes = Buffer.alloc(256);
  bytes.write('MZ', 0, 'latin1');
  bytes.writeUInt32LE(128, 0x3c);
  bytes.write('PE\0\0', 128, 'latin1');
  return bytes;
}

describe('a file', () => {
  it.each([
    ['pdf', 'application/pdf', 201], ['jpeg', 'image/jpeg', 201], ['jpeg', 'image/jpg', 201], ['png', 'image/png', 201], ['tiff', 'image/tiff', 201], ['webp', 'image/webp', 201],
    ['dicom', 'application/dicom', 201], ['rtf', 'application/rtf', 201], ['text', 'text/plain; charset=utf-8', 201], ['cda', 'application/xml', 201], ['cda', 'text/xml', 201], ['cda', 'application/cda+xml', 201],
    ['json', 'application/json', 201], ['json', 'application/vnd.acme+json', 201], ['pdf', 'application/octet-stream', 201], ['unknown', 'video/mp4', 201], ['unknown', 'application/octet-stream', 201], ['text', 'TEXT/PLAIN', 201],
    ['pdf', 'image/jpeg', 415], ['jpeg', 'application/pdf', 415], ['jpeg', 'image/png', 415], ['png', 'text/plain', 415], ['dicom', 'application/pdf', 415],
    ['elf', 'application/octet-stream', 415], ['exe', 'application/octet-stream', 415], ['exe', 'application/pdf', 415], ['script', 'text/plain', 415], ['script', 'application/octet-stream', 415],
    ['unknown', 'application/x-msdownload', 415], ['unknown', 'application/javascript', 415], ['unknown', 'application/x-sh', 415], ['text', 'nonsense', 415], ['text', 'text/', 415],
  ])('that is %s and is declared as %s is %i', async (file, type, status) => {
    const answer = await client.post('Binary', files[file], { 'content-type': type });
    expect([file, type, answer.status]).toEqual([file, type, status]);
    if (status === 415) return;
    const read = await client.get(`Binary/${answer.json.id}`);
    expect([read.headers.get('content-type'), read.bytes.equals(files[file] as Buffer)]).toEqual([type, true]);
  });

  it('inside a document is judged alike, and a refusal names what is allowed', async () => {
    const data = (files['exe'] as Buffer).toString('base64');
    const refused = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'application/pdf', data } }] }));
    expect([refused.status, refused.json.issue[0].code]).toEqual([415, 'not-supported']);
    const unlisted = await client.post('Binary', 'x', { 'content-type': 'application/x-msdownload' });
    expect(unlisted.json.issue[0].diagnostics).toContain('application/pdf');
  });

  it('a FHIR resource that is no Binary is kept as the content that it is, byte for byte', async () => {
    const text = '{ "resourceType" : "Patient",\n "id": "p" }';
    const created = await client.post('Binary', text, { 'content-type': 'application/fhir+json' });
    expect([created.status, created.json.resourceType, created.json.contentType]).toEqual([201, 'Binary', 'application/fhir+json']);
    expect((await client.get(`Binary/${created.json.id}`)).text).toBe(text);
    expect((await client.get(`Binary/${created.json.id}`, { accept: 'application/fhir+json' })).json.resourceType).toBe('Binary');
  });

  it('a form is not among them, nor is what has no Content-Type; a Binary in JSON is held to R4', async () => {
    const form = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n';
    expect((await client.post('Binary', form, { 'content-type': 'multipart/form-data; boundary=b' })).status).toBe(415);
    expect((await client.call('Binary', { method: 'POST', body: Buffer.from('x'), headers: {} })).status).toBe(415);
    const { status, json } = await client.post('Binary', { resourceType: 'Binary', contentType: 'pdf', data: 'aGk=' });
    expect([status, json.issue[0].expression[0]]).toEqual([422, 'Binary.contentType']);
    for (const body of [{ resourceType: 'Binary', data: 'aGk=' }, { resourceType: 'Binary', contentType: 'text/plain', data: 'a*b=' }, { resourceType: 'Binary', contentType: 'text/plain', url: 'x' }]) {
      expect([400, 422]).toContain((await client.post('Binary', body)).status);
    }
  });
});
