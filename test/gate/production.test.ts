import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let operator: FhirClient;

beforeAll(async () => {
  server = await startMuniment({ NODE_ENV: 'production', ALLOW_EMBEDDED_IN_PRODUCTION: 'true', OPERATOR_ORG: 'operations', SCAN: 'off' });
  operator = fhirClient(server.fhirBase, await server.token({ org: 'operations' }));
});
afterAll(() => server.stop());

it.each([
  ['a request without a token', null, 401],
  ['a token of an organisation that nobody opened', 'stranger', 403],
])('in production %s is recorded under the operator', async (_title, org, status) => {
  const requestId = randomUUID();
  const token = org === null ? null : await server.token({ org });
  const answer = await operator.call('DocumentReference', { token, headers: { 'x-request-id': requestId } });
  expect(answer.status).toBe(status);
  expect(await operator.auditOf(requestId)).toHaveLength(1);
  expect(await server.sql(`select 1 from organisation where name = 'stranger'`)).toEqual([]);
});
