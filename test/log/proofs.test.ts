// Proofs as an auditor gets them over FHIR: what they are worth with the public key alone, and to whom they are refused.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { leafHash } from '../../src/audit/access-event.ts';
import { openCheckpoint, readVerifier, type NoteVerifier } from '../../src/audit/checkpoint.ts';
import { verifyConsistency, verifyInclusion } from '../../src/audit/merkle-log.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- Parameters */

let server: TestMuniment;
let auditor: FhirClient;
let doctor: FhirClient;
let verifier: NoteVerifier;

beforeAll(async () => {
  server = await startMuniment();
  auditor = fhirClient(server.fhirBase, await server.token({ roles: ['auditor'], user: 'Practitioner/auditor' }));
  doctor = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/doctor' }));
  verifier = readVerifier(await readFile(join(server.dataDir, 'audit-key.pub'), 'utf8')) as NoteVerifier;
});
afterAll(() => server.stop());

const valuesOf = ({ json }: Answer, name: string): any[] => (json).parameter.filter((one: any) => one.name === name).map((one: any) => Object.entries(one).find(([key]) => key.startsWith('value'))?.[1]);
const bytesOf = (answer: Answer, name: string): Buffer[] => valuesOf(answer, name).map((value: string) => Buffer.from(value, 'base64'));

async function eventOf(requestId: string): Promise<string> {
  return ((await auditor.get(`AuditEvent?request-id=${requestId}`)).json).entry[0].resource.id as string;
}

/**
 * An event has its leaf once every transaction before it has ended, also those of other databases of the same PostgreSQL; until
 * then the answer is 503, and the client asks again. Answers as soon as the event has its leaf.
 */
async function sequenced(id: string, client = auditor): Promise<void> {
  await eventually(() => client.get(`AuditEvent/${id}/$inclusion-proof`), ({ status }) => status !== 503, 40_000);
}

describe('$inclusion-proof', () => {
  it('proves an event of a moment ago, and another, with the public key alone', async () => {
    for (const requestId of ['proof-1', 'proof-2', 'proof-3']) {
      await doctor.get('DocumentReference?patient=Patient/proof', { 'x-request-id': requestId });
      const id = await eventOf(requestId);
      await sequenced(id);
      const answer = await auditor.get(`AuditEvent/${id}/$inclusion-proof`);
      expect([answer.status, (answer.json).resourceType]).toEqual([200, 'Parameters']);
      const [text] = bytesOf(answer, 'text') as [Buffer];
      expect(JSON.parse(text.toString('utf8'))).toMatchObject({ id, requestId });
      const checkpoint = openCheckpoint(valuesOf(answer, 'checkpoint')[0], [verifier]);
      expect(checkpoint?.size).toBe(valuesOf(answer, 'size')[0]);
      const leaf = leafHash(text.toString('utf8'));
      expect(bytesOf(answer, 'leaf')).toEqual([leaf]);
      const [index] = valuesOf(answer, 'index') as [number];
      expect(verifyInclusion(index, checkpoint?.size ?? 0, leaf, bytesOf(answer, 'path'), checkpoint?.root ?? leaf)).toBe(true);
      expect(verifyInclusion(index, checkpoint?.size ?? 0, leafHash(`${text.toString('utf8')} `), bytesOf(answer, 'path'), checkpoint?.root ?? leaf)).toBe(false);
    }
  });

  it('is recorded as an access of the event', async () => {
    await doctor.get('DocumentReference?patient=Patient/proof', { 'x-request-id': 'seen' });
    const id = await eventOf('seen');
    await sequenced(id);
    await auditor.get(`AuditEvent/${id}/$inclusion-proof`, { 'x-request-id': 'proof-of-seen' });
    const { json } = await auditor.get('AuditEvent?request-id=proof-of-seen');
    expect(JSON.stringify((json).entry[0].resource.entity)).toContain(`AuditEvent/${id}/_history/1`);
  });

  it('answers 404 for an id that is none, for one of nobody and for one of another organisation', async () => {
    const other = fhirClient(server.fhirBase, await server.token({ roles: ['auditor'], org: 'elsewhere' }));
    await other.get('DocumentReference?patient=Patient/1', { 'x-request-id': 'elsewhere' });
    const id = ((await other.get('AuditEvent?request-id=elsewhere')).json).entry[0].resource.id as string;
    await sequenced(id, other);
    expect((await other.get(`AuditEvent/${id}/$inclusion-proof`)).status).toBe(200);
    for (const unknown of [id, '01a215a6-2960-776c-b5fd-6ec4de5b43d8', 'x']) expect((await auditor.get(`AuditEvent/${unknown}/$inclusion-proof`)).status).toBe(404);
  });
});

describe('$audit-checkpoint and $audit-consistency', () => {
  it('prove that each checkpoint continues the one before', async () => {
    const checkpoints: { size: number; root: Buffer }[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { id } = (await doctor.post('DocumentReference', documentReference())).json;
      await doctor.get(`DocumentReference/${id}`, { 'x-request-id': `round-${round}` });
      await auditor.get(`AuditEvent/${await eventOf(`round-${round}`)}/$inclusion-proof`);
      const answer = await auditor.get('$audit-checkpoint');
      const verifiers = (valuesOf(answer, 'key') as string[]).map(readVerifier) as NoteVerifier[];
      expect(verifiers).toEqual([verifier]);
      const checkpoint = openCheckpoint(valuesOf(answer, 'checkpoint')[0], verifiers);
      expect(checkpoint).toBeDefined();
      if (checkpoint !== undefined) checkpoints.push(checkpoint);
    }
    for (const from of [{ size: 0, root: undefined }, { size: 1, root: undefined }, ...checkpoints]) {
      const to = checkpoints[2] as { size: number; root: Buffer };
      const answer = await auditor.get(`$audit-consistency?from=${from.size}&to=${to.size}`);
      expect(answer.status).toBe(200);
      const [fromRoot, toRoot] = [...bytesOf(answer, 'from-root'), ...bytesOf(answer, 'to-root')] as [Buffer, Buffer];
      expect(toRoot).toEqual(to.root);
      if (from.root !== undefined) expect(fromRoot).toEqual(from.root);
      expect(verifyConsistency(from.size, to.size, fromRoot, to.root, bytesOf(answer, 'path'))).toBe(true);
    }
  });

  it.each(['', '?from=-1', '?from=x', '?from=1&from=2', '?from=2&to=1', '?from=1&to=999999999', '?from=01'])('answers 400 for %s', async (query) => {
    expect((await auditor.get(`$audit-consistency${query}`)).status).toBe(400);
  });

  it.each(['$audit-checkpoint', '$audit-consistency?from=0', 'AuditEvent/01a215a6-2960-776c-b5fd-6ec4de5b43d8/$inclusion-proof'])('answer 403 at %s to whoever may not read the whole record', async (path) => {
    const patients = fhirClient(server.fhirBase, await server.token({ scope: 'patient/*.rs', patient: '1' }));
    for (const client of [doctor, patients, fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.rs' }))]) expect((await client.get(path)).status).toBe(403);
  });

  it('are named by the CapabilityStatement with their definitions', async () => {
    const [rest] = ((await auditor.get('metadata')).json).rest;
    expect(rest.operation.map(({ name }: any) => name)).toEqual(expect.arrayContaining(['audit-checkpoint', 'audit-consistency']));
    expect(rest.resource.find(({ type }: any) => type === 'AuditEvent').operation).toEqual([{ name: 'inclusion-proof', definition: 'https://muniment.example/fhir/OperationDefinition/inclusion-proof' }]);
    expect((await auditor.get('OperationDefinition/inclusion-proof')).status).toBe(200);
  });
});
