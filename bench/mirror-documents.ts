// A database with documents of one organisation that HAPI was not told of, and the same documents as plain requests to HAPI.
import pg from 'pg';
import { canonicalText, type AccessEvent } from '../src/audit/access-event.ts';
import { renderProvenance } from '../src/audit/render-provenance.ts';
import { openDatabase, type Database, type Transaction } from '../src/database/database.ts';
import { migrate } from '../src/database/migrate.ts';
import type { VersionRow } from '../src/database/tables.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { printInstant } from '../src/fhir/instant.ts';
import { typeNumber } from '../src/fhir/resource-type.ts';
import { newUuidV7 } from '../src/fhir/uuid-v7.ts';
import { mirroredText, sourcedText } from '../src/mirror/mirrored-text.ts';
import { createOrganisations } from '../src/resources/organisation.ts';
import { insertFirstVersion, NO_INDEX_VALUES, supersedeVersion } from '../src/resources/write-version.ts';

export const PUBLIC_BASE = 'http://muniment.bench/fhir';
const AT_ONCE = 200;
const DOCUMENT = typeNumber('DocumentReference');

export interface MirrorStore {
  database: Database;
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Publishes so many documents, with their events, as what HAPI has still to be told. */
  publish(orgName: string, count: number): Promise<void>;
  /** Publishes the next version of a DocumentReference; null deletes it. */
  write(orgName: string, id: string, body: object | null): Promise<void>;
  /** postgres:// of the owner. */
  url: string;
  stop(): Promise<void>;
}

export interface BenchDocument {
  id: string;
  event: AccessEvent;
  text: string;
}

/** Ten documents a patient. */
export function benchDocument(orgName: string, position: number): BenchDocument {
  const id = newUuidV7(Date.now());
  const target = `DocumentReference/${id}/_history/1`;
  const event = writeEvent(orgName, target, 'CREATE');
  const text = JSON.stringify({
    resourceType: 'DocumentReference', id, meta: { versionId: '1', lastUpdated: event.recorded, tag: [{ system: 'urn:bench', code: 'one' }] }, status: 'current', description: `Report ${position}`,
    type: { coding: [{ system: 'http://loinc.org', code: '11502-2', display: 'Laboratory report' }] }, subject: { reference: `Patient/${orgName}-${Math.floor(position / 10)}` }, date: event.recorded,
    content: [{ attachment: { contentType: 'application/pdf', url: `Binary/${id}`, size: 123_456, hash: '2jmj7l5rSw0yVb/vlWAYkK/YBwk=', title: `Report ${position}` } }],
  });
  return { id, event, text };
}

/** As the mirror sends them. */
export const sentDocument = (orgName: string, { id, text }: BenchDocument): string => mirroredText({ orgName, type: 'DocumentReference', id, version: 1 }, text, PUBLIC_BASE);
export const sentProvenance = (orgName: string, { event }: BenchDocument): string => sourcedText({ orgName, type: 'Provenance', id: event.id, version: 1 }, renderProvenance(event));

export async function openMirrorStore(directory: string): Promise<MirrorStore> {
  const postgres = await startEmbeddedPostgres({ directory });
  await migrate(postgres.url);
  const owner = new pg.Pool({ connectionString: postgres.url, max: 2 });
  // A backend that was killed: the next statement tells.
  owner.on('error', () => {});
  const database = openDatabase({ appUrl: postgres.socketUrl, auditUrl: postgres.socketUrl, workerUrl: postgres.socketUrl, setRoles: true });
  return {
    database,
    sql: async (text, values) => (await owner.query<Record<string, unknown>>(text, values)).rows,
    async publish(orgName, count) {
      const org = await createOrganisations(database, true).resolve(orgName);
      for (let begin = 0; begin < count; begin += AT_ONCE) {
        await database.transaction(org, async (tx) => {
          for (let position = begin; position < Math.min(count, begin + AT_ONCE); position++) {
            const { id, event, text } = benchDocument(orgName, position);
            await insertEvent(tx, org, event);
            insertFirstVersion(tx, {
              org, type: DOCUMENT, id, version: 1, lastUpdated: Date.now(), method: 'POST', body: text, content: null, creator: null, masterIdentifier: null, retention: 'clinical',
              index: { ...NO_INDEX_VALUES, patient: `${orgName}-${Math.floor(position / 10)}` }, binaries: [], event: event.id,
            });
          }
        });
      }
    },
    write: (orgName, id, body) => writeNext(database, orgName, id, body),
    url: postgres.url,
    async stop() {
      await Promise.all([owner.end(), database.close()]);
      await postgres.stop();
    },
  };
}

async function writeNext(database: Database, orgName: string, id: string, body: object | null): Promise<void> {
  const org = await createOrganisations(database, true).resolve(orgName);
  await database.transaction(org, async (tx) => {
    const { rows: [previous] } = await tx.query<VersionRow>('select * from resource where org = $1 and type = $2 and id = $3 for update', [org, DOCUMENT, id]);
    const version = (previous?.version ?? 0) + 1;
    const event = writeEvent(orgName, `DocumentReference/${id}/_history/${version}`, body === null ? 'DELETE' : previous === undefined ? 'CREATE' : 'UPDATE');
    await insertEvent(tx, org, event);
    const next = {
      org, type: DOCUMENT, id, version, lastUpdated: Date.now() + version, method: body === null ? 'DELETE' as const : 'PUT' as const, body: body === null ? null : JSON.stringify(body),
      content: null, creator: null, masterIdentifier: null, retention: 'clinical', index: NO_INDEX_VALUES, binaries: [], event: event.id,
    };
    if (previous === undefined) insertFirstVersion(tx, next);
    else await supersedeVersion(tx, next, previous);
  });
}

async function insertEvent(tx: Transaction, org: number, event: AccessEvent): Promise<void> {
  const body = canonicalText(event);
  await tx.query('insert into access_event (org, id, recorded, layout, parts, action, outcome, request_id, write, subtype) values ($1, $2, $3, 1, $4, $5, 0, $6, true, $7)', [org, event.id, event.recorded, body, event.action, event.requestId, event.interaction]);
}

const INTERACTIONS = { CREATE: ['create', 'C', 201], UPDATE: ['update', 'U', 200], DELETE: ['delete', 'D', 204] } as const;

function writeEvent(orgName: string, target: string, activity: keyof typeof INTERACTIONS): AccessEvent {
  const [interaction, action, status] = INTERACTIONS[activity];
  return {
    layout: 1, id: newUuidV7(Date.now()), recorded: printInstant(Date.now()), org: orgName, requestId: 'bench', interaction, action, outcome: 0, status,
    request: { method: activity === 'CREATE' ? 'POST' : 'PUT', url: target.split('/_history/')[0] ?? '' }, observer: 'bench', agent: { user: 'Practitioner/bench', issuer: 'https://issuer.bench', subject: 'bench', client: 'bench' },
    entities: [{ reference: target, role: 'data' }], write: { activity, targets: [target], sources: [], authors: [] },
  };
}
