// One comparison from the configuration to the signed report, for the command line and for the server.
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { backfill, type BackfillOptions, type BackfillProgress } from './backfill.ts';
import { NO_BINARY_DATA, type BinaryData } from './binary-bytes.ts';
import { callHapi } from './call-hapi.ts';
import { isPerOrganisation, openHapi, type HapiAddress } from './hapi-client.ts';
import { createHapiSide } from './hapi-side.ts';
import { mirroredOrganisation } from './mirror-status.ts';
import { organisationSource } from './mirrored-text.ts';
import { COMPARED_TYPES, type ComparedType, type MirroredOrg } from './our-side.ts';
import { makeReport, signReport, type ReconcileReport } from './reconcile-report.ts';
import { endRun, forgetUnseen, readDrift, type ReconcileProgress } from './reconcile-progress.ts';
import { reconcile } from './reconcile.ts';
import type { RepairParts } from './repair.ts';
import type { ReportSigner } from './report-signer.ts';

export interface ComparisonConfig extends HapiAddress {
  database: Pick<Database, 'workerTransaction'>;
  publicBase: string;
  access: 'off' | 'writes' | 'all';
  timeoutMs?: number;
  /** Without it Binaries are stubs. */
  binaryData?: BinaryData;
}

export interface ReconcileWish {
  /** The first organisation without one. */
  org?: string;
  scope: 'all' | 'ours';
  repair: boolean;
  /** Together with `repair`: removes what others made at HAPI. */
  removeOthers: boolean;
  again: boolean;
  pace: (count: number) => Promise<void>;
  stop: AbortSignal;
  onProgress?: (progress: ReconcileProgress) => void;
  settleMs?: number;
}

const TIMEOUT_MS = 30_000;
const LISTED_MAX = 1_000;

/** What compares and repairs an organisation. Rejects with an Error for people when it is not mirrored. */
export async function comparisonParts(config: ComparisonConfig, wish: Pick<ReconcileWish, 'org' | 'scope' | 'removeOthers' | 'stop'>): Promise<RepairParts> {
  const { database, publicBase, timeoutMs = TIMEOUT_MS } = config;
  const org: MirroredOrg = await database.workerTransaction((tx) => mirroredOrganisation(tx, wish.org, isPerOrganisation(config.baseUrl)));
  const client = openHapi(config, org.orgName);
  return {
    ...org, database, publicBase, binaryData: config.binaryData ?? NO_BINARY_DATA, removeOthers: wish.removeOthers,
    hapi: createHapiSide({ client, timeoutMs, sourcePrefix: wish.scope === 'all' ? undefined : organisationSource(org.orgName) }),
    call: (request) => callHapi(client, request, timeoutMs, wish.stop),
  };
}

/** Undefined when it was stopped: the next one goes on. */
export async function runReconcile(config: ComparisonConfig, wish: ReconcileWish, { key, verifier }: ReportSigner): Promise<{ report: ReconcileReport; jws: string } | undefined> {
  const parts = await comparisonParts(config, wish);
  const types = comparedTypes(config);
  const run = await reconcile({ ...parts, ...wish, ...pick(parts), types });
  if (run === undefined) return undefined;
  return config.database.workerTransaction(async (tx) => {
    await forgetUnseen(tx, parts.org, run.startedAt);
    const report = makeReport(run, {
      ...pick(parts), hapiBase: parts.hapi.base, scope: wish.scope, repair: wish.repair, ...await leftOver(tx, parts.org),
    }, new Date());
    run.progress.left = report.driftCount;
    const jws = signReport(report, key, verifier);
    await endRun(tx, parts.org, 'reconcile', run, jws);
    return { report, jws };
  });
}

function comparedTypes({ access }: ComparisonConfig): ComparedType[] {
  return COMPARED_TYPES.filter((type) => type !== 'Provenance' || access !== 'off');
}

export type BackfillWish = Pick<BackfillOptions, 'again' | 'pace' | 'stop' | 'onProgress' | 'onTrouble'> & { org?: string };

/** Undefined when it was stopped: the next one goes on. */
export async function runBackfill(config: ComparisonConfig, wish: BackfillWish): Promise<BackfillProgress | undefined> {
  const parts = await comparisonParts(config, { ...wish, scope: 'all', removeOthers: false });
  return backfill({ ...parts, ...wish, ...pick(parts), types: comparedTypes(config) });
}

function pick({ org, orgName }: MirroredOrg): MirroredOrg {
  return { org, orgName };
}

async function leftOver(tx: Transaction, org: OrgId): Promise<Pick<ReconcileReport, 'parked' | 'driftCount' | 'drift'>> {
  const { rows } = await tx.query<{ parked: number; drift: number }>(`
    select (select count(*)::int from mirror_head where org = $1 and state = 'parked') as parked, (select count(*)::int from mirror_drift where org = $1) as drift`, [org]);
  return { parked: rows[0]?.parked ?? 0, driftCount: rows[0]?.drift ?? 0, drift: await readDrift(tx, org, LISTED_MAX) };
}
