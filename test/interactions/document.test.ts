import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

describe('create', () => {
  it('answers 201 with a versioned Location, an ETag and the resource, its data moved to a Binary', async () => {
    const created = await client.post('DocumentReference', documentReference());
    expect(created.status).toBe(201);
    expect(created.headers.get('etag')).toBe('W/"1"');
    expect(created.headers.get('location')).toBe(`${client.base}/DocumentReference/${created.json.id}/_history/1`);
    const { attachment } = created.json.content[0];
    expect(attachment.data).toBeUndefined();
    expect(attachment.size).toBe(13);
    const bytes = await client.get(attachment.url);
    expect(bytes.text).toBe('A short note.');
  });
});
