// A database of our schema on a real PostgreSQL for the tests of the mirror, and the writes that a published version leaves in it.
import pg from 'pg';
import { canonicalText, type AccessEvent } from '../../src/audit/access-event.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import type { VersionRow } from '../../src/database/tables.ts';
import { typeNumber, type ResourceType } from '../../src/fhir/resource-type.ts';
import { newUuidV7 } from '../../src/fhir/uuid-v7.ts';
import { createOrganisations } from '../../src/resources/organisation.ts';
import { insertFirstVersion, NO_INDEX_VALUES, supersedeVersion } from '../../src/resources/write-version.ts';
import { createDatabase } from '../support/start-muniment.ts';

export interface MirrorDatabase {
  database: Database;
  /** As the owner, past row-level security. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Publishes the next version of a resource as the server does, and returns its number. A body of null deletes. */
  publish(reference: string, body: Record<string, unknown> | string | null, options?: { org?: string; patient?: string }): Promise<number>;
  /** Forgets all resources, deliveries and organisations; the organisation `demo` is there again as the first. */
  empty(): Promise<void>;
  /** Another pool on the same database, as another server has it. */
  open(): Database;
  stop(): Promise<void>;
}

export async function startMirrorDatabase(): Promise<MirrorDatabase> {
  const url = await createDatabase();
  const owner = new pg.Pool({ connectionString: url, max: 2 });
  const open = (): Database => openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true });
  const database = open();
  const opened = [database];
  const sql: MirrorDatabase['sql'] = async (text, values) => (await owner.query(text, values)).rows as never;
  return {
    database,
    sql,
    publish: (reference, body, options) => publish(database, reference, body, options),
    async empty() {
      await sql(`alter table access_event disable trigger user`);
      await sql(`truncate resource, resource_history, outbox, mirror_head, mirror_skip, mirror_run, mirror_drift, mirror_pause, access_event, organisation restart identity`);
      await sql(`alter table access_event enable trigger user`);
      await sql(`insert into organisation (name) values ('demo')`);
    },
    open() {
      const another = open();
      opened.push(another);
      return another;
    },
    async stop() {
      await Promise.all([owner.end(), ...opened.map((one) => one.close())]);
    },
  };
}

async function publish(database: Database, reference: string, body: Record<string, unknown> | string | null, { org: orgName = 'demo', patient }: { org?: string; patient?: string } = {}): Promise<number> {
  const [type, id] = reference.split('/') as [ResourceType, string];
  const org = await createOrganisations(database, true).resolve(orgName);
  return database.transaction(org, async (tx) => {
    const { rows } = await tx.query<VersionRow>('select * from resource where org = $1 and type = $2 and id = $3 for update', [org, typeNumber(type), id]);
    const previous = rows[0];
    const version = (previous?.version ?? 0) + 1;
    const event = writeEvent(orgName, `${reference}/_history/${version}`, body === null ? 'DELETE' : previous === undefined ? 'CREATE' : 'UPDATE');
    const text = canonicalText(event);
    await tx.query(
      'insert into access_event (org, id, recorded, layout, parts, action, outcome, request_id, write, subtype) values ($1, $2, $3, 1, $4, $5, 0, $6, true, $7)',
      [org, event.id, event.recorded, text, event.action, event.requestId, event.interaction],
    );
    const next = {
      org, type: typeNumber(type), id, version, lastUpdated: Date.now() + version, method: body === null ? 'DELETE' as const : 'PUT' as const,
      body: body === null || typeof body === 'string' ? body : JSON.stringify({ resourceType: type, id, ...body }),
      content: null, creator: null, masterIdentifier: null, retention: 'clinical', index: { ...NO_INDEX_VALUES, patient: patient ?? null }, binaries: [], event: event.id,
    };
    if (previous === undefined) insertFirstVersion(tx, next);
    else await supersedeVersion(tx, next, previous);
    return version;
  });
}

function writeEvent(org: string, target: string, activity: 'CREATE' | 'UPDATE' | 'DELETE'): AccessEvent {
  return {
    layout: 1, id: newUuidV7(Date.now()), recorded: new Date().toISOString(), org, requestId: 'mirror-test',
    interaction: activity === 'DELETE' ? 'delete' : activity === 'CREATE' ? 'create' : 'update',
    action: activity === 'DELETE' ? 'D' : activity === 'CREATE' ? 'C' : 'U', outcome: 0, status: 200,
    request: { method: 'PUT', url: target.split('/_history/', 1)[0]! }, observer: 'test',
    agent: { user: 'Practitioner/demo', issuer: 'https://issuer.test', subject: 'demo', client: 'test' },
    entities: [{ reference: target, role: 'data' }],
    write: { activity, targets: [target], sources: [], authors: [] },
  };
}
