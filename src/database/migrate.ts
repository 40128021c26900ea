// Forward-only migrations, safe when several servers start at once: an advisory lock of the session is held
// throughout, so a killed server leaves no lock behind.
import knexConstructor, { type Knex } from 'knex';
import pg from 'pg';
import * as roles from '../../migrations/0001-roles.ts';
import * as organisation from '../../migrations/0002-organisation.ts';
import * as resource from '../../migrations/0003-resource.ts';
import * as searchIndex from '../../migrations/0004-search-index.ts';
import * as content from '../../migrations/0005-content.ts';
import * as accessEvent from '../../migrations/0006-access-event.ts';
import * as outbox from '../../migrations/0007-outbox.ts';
import * as mirror from '../../migrations/0008-mirror.ts';
import * as searchWords from '../../migrations/0009-search-words.ts';
import * as historyIndex from '../../migrations/0010-history-index.ts';
import * as idempotencyAnswer from '../../migrations/0011-idempotency-answer.ts';
import * as searchReindex from '../../migrations/0012-search-reindex.ts';
import * as accessEventSearch from '../../migrations/0013-access-event-search.ts';
import * as scrub from '../../migrations/0014-scrub.ts';
import * as storeEpoch from '../../migrations/0015-store-epoch.ts';
import * as policy from '../../migrations/0016-policy.ts';
import * as medicalRecord from '../../migrations/0017-medical-record.ts';
import * as mirrorComparison from '../../migrations/0018-mirror-comparison.ts';
import * as mirrorPause from '../../migrations/0019-mirror-pause.ts';
import * as log from '../../migrations/0020-log.ts';
import * as breakGlass from '../../migrations/0021-break-glass.ts';
import * as patientFile from '../../migrations/0022-patient-file.ts';
import * as scan from '../../migrations/0023-scan.ts';
import * as accessGrant from '../../migrations/0024-access-grant.ts';
import * as upload from '../../migrations/0025-upload.ts';
import * as fileHandle from '../../migrations/0026-file-handle.ts';
import * as organisationLimits from '../../migrations/0027-organisation-limits.ts';
import * as contentUse from '../../migrations/0028-content-use.ts';
import * as retention from '../../migrations/0029-retention.ts';
import * as rendition from '../../migrations/0030-rendition.ts';
import * as accessEntityTime from '../../migrations/0031-access-entity-time.ts';
import * as mirrorDecisions from '../../migrations/0032-mirror-decisions.ts';
import * as mirrorAccess from '../../migrations/0033-mirror-access.ts';
import * as profileImage from '../../migrations/0034-profile-image.ts';
import * as recordForward from '../../migrations/0035-record-forward.ts';
import * as replica from '../../migrations/0036-replica.ts';
import * as recordRemoval from '../../migrations/0037-record-removal.ts';
import * as outboxEvent from '../../migrations/0038-outbox-event.ts';
import * as inventory from '../../migrations/0039-inventory.ts';
import * as directUrl from '../../migrations/0040-direct-url.ts';
import * as retentionIndex from '../../migrations/0041-retention-index.ts';
import * as fileEvent from '../../migrations/0042-file-event.ts';
import * as accessShape from '../../migrations/0043-access-shape.ts';
import * as usedProof from '../../migrations/0044-used-proof.ts';

interface Migration {
  name: string;
  up: (knex: Knex) => Promise<void>;
}

const MIGRATIONS: Migration[] = [
  { name: '0001-roles', up: roles.up },
  { name: '0002-organisation', up: organisation.up },
  { name: '0003-resource', up: resource.up },
  { name: '0004-search-index', up: searchIndex.up },
  { name: '0005-content', up: content.up },
  { name: '0006-access-event', up: accessEvent.up },
  { name: '0007-outbox', up: outbox.up },
  { name: '0008-mirror', up: mirror.up },
  { name: '0009-search-words', up: searchWords.up },
  { name: '0010-history-index', up: historyIndex.up },
  { name: '0011-idempotency-answer', up: idempotencyAnswer.up },
  { name: '0012-search-reindex', up: searchReindex.up },
  { name: '0013-access-event-search', up: accessEventSearch.up },
  { name: '0014-scrub', up: scrub.up },
  { name: '0015-store-epoch', up: storeEpoch.up },
  { name: '0016-policy', up: policy.up },
  { name: '0017-medical-record', up: medicalRecord.up },
  { name: '0018-mirror-comparison', up: mirrorComparison.up },
  { name: '0019-mirror-pause', up: mirrorPause.up },
  { name: '0020-log', up: log.up },
  { name: '0021-break-glass', up: breakGlass.up },
  { name: '0022-patient-file', up: patientFile.up },
  { name: '0023-scan', up: scan.up },
  { name: '0024-access-grant', up: accessGrant.up },
  { name: '0025-upload', up: upload.up },
  { name: '0026-file-handle', up: fileHandle.up },
  { name: '0027-organisation-limits', up: organisationLimits.up },
  { name: '0028-content-use', up: contentUse.up },
  { name: '0029-retention', up: retention.up },
  { name: '0030-rendition', up: rendition.up },
  { name: '0031-access-entity-time', up: accessEntityTime.up },
  { name: '0032-mirror-decisions', up: mirrorDecisions.up },
  { name: '0033-mirror-access', up: mirrorAccess.up },
  { name: '0034-profile-image', up: profileImage.up },
  { name: '0035-record-forward', up: recordForward.up },
  { name: '0036-replica', up: replica.up },
  { name: '0037-record-removal', up: recordRemoval.up },
  { name: '0038-outbox-event', up: outboxEvent.up },
  { name: '0039-inventory', up: inventory.up },
  { name: '0040-direct-url', up: directUrl.up },
  { name: '0041-retention-index', up: retentionIndex.up },
  { name: '0042-file-event', up: fileEvent.up },
  { name: '0043-access-shape', up: accessShape.up },
  { name: '0044-used-proof', up: usedProof.up },
];

const source: Knex.MigrationSource<Migration> = {
  getMigrations: async () => MIGRATIONS,
  getMigrationName: (migration) => migration.name,
  getMigration: async (migration) => ({ up: migration.up, down: async () => { throw new Error('Migrations go forward only'); } }),
};

// Any fixed number: all servers of one database must use the same.
const MIGRATION_LOCK = 7_306_001;

/**
 * Brings the database of `ownerUrl` to the newest schema and returns the names of the migrations that ran.
 * Throws an Error that names the statements to run when the login may not create the runtime roles.
 */
export async function migrate(ownerUrl: string): Promise<string[]> {
  const lock = new pg.Client({ connectionString: ownerUrl });
  await lock.connect();
  try {
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    return await runMigrations(ownerUrl);
  } finally {
    await lock.end();
  }
}

async function runMigrations(ownerUrl: string): Promise<string[]> {
  const knex = knexConstructor({ client: 'pg', connection: ownerUrl, pool: { min: 0, max: 2 }, migrations: { migrationSource: source, tableName: 'migration' } });
  try {
    // Whoever holds the advisory lock is alone: a lock row is what a killed server left.
    await knex.migrate.forceFreeMigrationsLock();
    const [, ran] = (await knex.migrate.latest()) as [number, string[]];
    return ran;
  } catch (error) {
    if ((error as { code?: string }).code === '42501') throw new Error(missingRight(error as Error), { cause: error });
    throw error;
  } finally {
    await knex.destroy();
  }
}

function missingRight(error: Error): string {
  return 'The login of DATABASE_URL may not create roles or grant rights. Run once as an administrator: ' +
    '"create role muniment_app nologin; create role muniment_audit nologin; create role muniment_worker nologin" and ' +
    `"grant muniment_app, muniment_audit, muniment_worker to <owner>". PostgreSQL said: ${error.message}`;
}
