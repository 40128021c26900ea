// What a purge took is accepted as gone exactly where its leaf names it: text, row and bytes, and nothing that was changed.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { canonicalText, leafHash, type AccessEvent, type AccessPurge } from '../../src/audit/access-event.ts';
import { indexAccess } from '../../src/audit/access-index.ts';
import { readVerifier, type NoteVerifier } from '../../src/audit/checkpoint.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { newUuidV7 } from '../../src/fhir/uuid-v7.ts';
import { readAllVersions } from '../../src/log/read-versions.ts';
import { verifyLog, type VerifyReport } from '../../src/log/verify-log.ts';
import { accessEvent } from '../audit/sample-events.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { insideTransaction, restampTree } from './inside-transaction.ts';

let muniment: TestMuniment;
let owner: pg.Client;
let database: Database;
let trusted: NoteVerifier;
let client: FhirClient;
let document: { org: number; type: number; id: string };
let binary: { org: number; type: number; id: string; content: string };

beforeAll(async () => {
  muniment = await startMuniment();
  owner = new pg.Client({ connectionString: muniment.ownerUrl });
  await owner.connect();
  database = openDatabase({ appUrl: muniment.ownerUrl, auditUrl: muniment.ownerUrl, workerUrl: muniment.ownerUrl, setRoles: true });
  client = fhirClient(muniment.fhirBase, await muniment.token());
  const created = (await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', data: 'cHVyZ2U=' } }] }))).json;
  await client.put(`DocumentReference/${created.id}`, { ...created, description: 'again' });
  await client.put(`DocumentReference/${created.id}`, { ...created, description: 'and again' });
  const { rows: [row] } = await owner.query<typeof document>('select org, type, id from resource where id = $1', [created.id]);
  const { rows: [bytes] } = await owner.query<typeof binary>('select org, type, id, content from resource where content is not null');
  document = row as typeof document;
  binary = bytes as typeof binary;
  trusted = readVerifier(await readFile(join(muniment.dataDir, 'audit-key.pub'), 'utf8')) as NoteVerifier;
  await eventually(() => verifyLog({ database, keys: [trusted], dataDir: muniment.dataDir }), ({ waiting, versions, findingCount }) => waiting === 0 && versions === 4 && findingCount === 0, 40_000);
}, 90_000);

afterAll(async () => {
  await owner.end();
  await database.close();
  await muniment.stop();
});

/** The event of a purge, with its leaf behind all others. `change` makes it another purge than it should be. */
async function purge(change: { purge?: (purge: AccessPurge) => AccessPurge; event?: Partial<AccessEvent>; leaf?: boolean } = {}): Promise<string> {
  const versions = await insideTransaction(owner, database).workerTransaction(async (tx) => [...await readAllVersions(tx, document), ...await readAllVersions(tx, binary)]);
  const { rows: [organisation] } = await owner.query<{ name: string }>('select name from organisation where id = $1', [document.org]);
  const taken: AccessPurge = { versions, requestedBy: 'issuer|one|admin', approvedBy: 'issuer|two|admin', certificate: 'DocumentReference/certificate' };
  const event = accessEvent('operation', { id: newUuidV7(Date.now()), org: organisation?.name ?? '', purge: change.purge?.(taken) ?? taken, ...change.event });
  const body = canonicalText(event);
  const { agentUser, agentSubject, agentClient, entities } = indexAccess(event);
  await owner.query(
    'insert into access_event (org, id, recorded, layout, parts, action, outcome, request_id, agent_user, agent_subject, agent_client, write, subtype) values ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, false, $11)',
    [document.org, event.id, event.recorded, body, event.action, event.outcome, event.requestId, agentUser, agentSubject, agentClient, event.interaction],
  );
  for (const entity of entities) await owner.query('insert into access_entity (org, reference, role, event) values ($1, $2, $3, $4)', [document.org, entity.reference, entity.role, event.id]);
  if (change.leaf === false) return event.id;
  await owner.query('insert into log_leaf (index, org, event, hash) select max(index) + 1, $1, $2, $3 from log_leaf', [document.org, event.id, leafHash(body)]);
  await owner.query('update log_state set written_in = (select written_in from access_event where id = $1), event = $1', [event.id]);
  await restampTree(async (text, values) => (await owner.query(text, values)).rows as never);
  return event.id;
}

async function afterwards(change: () => Promise<unknown>): Promise<VerifyReport> {
  await owner.query('begin');
  try {
    await owner.query(`set local session_replication_role = 'replica'`);
    await change();
    return await verifyLog({ database: insideTransaction(owner, database), keys: [trusted], dataDir: muniment.dataDir });
  } finally { await owner.query('rollback'); }
}

const key = (): unknown[] => [document.org, document.type, document.id];
const emptyTexts = (): Promise<unknown> => owner.query('update resource_history set body = null, patient = null where org = $1 and type = $2 and id = $3', key());
const removeAll = async (): Promise<void> => {
  await owner.query('delete from resource_history where org = $1 and type = $2 and id = $3', key());
  await owner.query('delete from resource where org = $1 and id = any($2)', [document.org, [document.id, binary.id]]);
};
const removeBytes = (): Promise<unknown> => owner.query('delete from content where org = $1 and id = $2', [binary.org, binary.content]);

describe('what a purge took', () => {
  it.each<[string, () => Promise<unknown>, number]>([
    ['texts of older versions', emptyTexts, 2], ['all rows of its versions', removeAll, 4], ['the row of its bytes', removeBytes, 1],
    ['digests of chunks alone', () => owner.query('update content set chunk_digests = null, state = $3 where org = $1 and id = $2', [binary.org, binary.content, 'gone']), 1],
  ])('is not missed: %s', async (_, gone, count) => {
    const report = await afterwards(async () => { await purge(); await gone(); });
    expect(report.findings).toEqual([]);
    expect(report.purged).toBe(count);
    const without = await afterwards(gone);
    expect(without.findingCount).toBe(count);
    expect(without.purged).toBe(0);
  });

  it.each<[string, Parameters<typeof purge>[0]]>([
    ['names other digests', { purge: (taken) => ({ ...taken, versions: taken.versions.map((version) => ({ ...version, sha256: '00'.repeat(32) })) }) }],
    ['names other versions', { purge: (taken) => ({ ...taken, versions: taken.versions.map((version) => ({ ...version, reference: version.reference.replace(/\d+$/, '9') })) }) }],
    ['was refused', { event: { outcome: 4, status: 403 } }],
    ['has no leaf', { leaf: false }],
  ])('is missed where its purge %s', async (_, change) => {
    const { findings, purged } = await afterwards(async () => { await purge(change); await emptyTexts(); });
    expect(findings.map(({ kind }) => kind)).toEqual(['version-changed', 'version-changed']);
    expect(findings.map(({ reference }) => reference)).toEqual([`DocumentReference/${document.id}/_history/1`, `DocumentReference/${document.id}/_history/2`]);
    expect(purged).toBe(0);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a text', () => owner.query(`update resource_history set body = replace(body, 'current', 'superseded') where org = $1 and type = $2 and id = $3 and version = 1`, key())],
    ['the date of an emptied version', () => owner.query(`update resource_history set body = null, last_updated = last_updated - interval '1 day' where org = $1 and type = $2 and id = $3 and version = 1`, key())],
    ['the digest of bytes', () => owner.query(`update content set sha256 = sha256('other') where org = $1 and id = $2`, [binary.org, binary.content])],
  ])('does not cover a change of %s', async (_, change) => {
    const { findingCount, purged } = await afterwards(async () => { await purge(); await change(); });
    expect({ findingCount, purged }).toEqual({ findingCount: 1, purged: 0 });
  });
});
