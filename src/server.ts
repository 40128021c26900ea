// The composition root: the one place that builds the parts and joins them. Read top to bottom it is the start.
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createAuthenticator } from './access/authenticate.ts';
import { OBSERVER_PREFIX } from './audit/who.ts';
import { ConfigurationError, type Config } from './config/config.ts';
import { templateProblem } from './content/object-key.ts';
import { countedReader, createContentReader, distrustContent, quarantineContent, type ContentReader } from './content/read-content.ts';
import { createContentReceiver } from './content/receive-content.ts';
import type { Scanner } from './content/scanner.ts';
import { createPictureMaker } from './content/pictures.ts';
import { createUploadPartStore } from './content/upload-parts.ts';
import { haltedStores } from './content/epoch-fence.ts';
import { startInventories, strayStatus } from './content/inventory.ts';
import { startRescanning } from './content/rescan-worker.ts';
import { replicaStatus, startReplicating } from './content/replicate.ts';
import { scrubStatus, startScrubbing } from './content/scrub-worker.ts';
import { startSweeping } from './content/sweep.ts';
import type { ContentStore } from './content/content-store.ts';
import type { Database } from './database/database.ts';
import { AUTHORIZATION_MOUNT } from './embedded/authorization-metadata.ts';
import { finishPurge, startFinishingPurges } from './gate/finish-purges.ts';
import { createGate } from './gate/perform.ts';
import { createAccessRecorder, type AccessRecorder } from './gate/record-access.ts';
import { createScrubRecord } from './gate/record-scrub.ts';
import { createRefusalRecord } from './gate/record-refusals.ts';
import { createThrottle } from './gate/record-throttled.ts';
import { aim } from './http/aim.ts';
import { trustedProxies } from './http/client-address.ts';
import type { AdapterGroup } from './adapters/adapter-route.ts';
import { buildAdapters } from './adapters/adapters.ts';
import type { FileParts } from './adapters/file-parts.ts';
import { adapterEntry } from './http/adapter-entry.ts';
import { createBodyRooms } from './http/body-room.ts';
import { fhirEntry } from './http/fhir-entry.ts';
import { createReadiness, healthRoutes, type HealthChecks, type HealthPart } from './http/health.ts';
import { listen, serveMetrics } from './http/listen.ts';
import { openPages } from './http/open-pages.ts';
import { buildPipeline } from './http/pipeline.ts';
import { publicRoutes } from './http/public-routes.ts';
import { type Route } from './http/match-route.ts';
import { buildRoutes, type RouteParts } from './http/routes.ts';
import { printCapabilities } from './interactions/capabilities.ts';
import { replayResult } from './interactions/replay-result.ts';
import { startForwarding } from './log/forward-record.ts';
import { startLog, type LogWorker } from './log/log-worker.ts';
import { createLogProofs } from './log/read-proofs.ts';
import type { Logger } from './logger.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createBinaryData } from './mirror/binary-bytes.ts';
import { createDelivery } from './mirror/deliver.ts';
import { createConsentSource } from './mirror/consents.ts';
import { createReadThrough, type ReadThrough } from './mirror/read-through.ts';
import { startMirrorWorker, type MirrorWorker } from './mirror/mirror-worker.ts';
import { startWatching } from './mirror/watch-changes.ts';
import { openIssuers } from './open-issuers.ts';
import { openConfiguredDatabase, openConfiguredReplica, openConfiguredScanner, openConfiguredStore, requireProtection, requireSessions, sharedSecret } from './open-parts.ts';
import { createThumbnailLender } from './operations/lend-thumbnails.ts';
import { findBinaryOwners } from './resources/binary-access.ts';
import { FILE_EVENTS, startCountingFileEvents } from './resources/file-events.ts';
import { createGrantKeys } from './resources/grant-keys.ts';
import { createLinkTargetLoader } from './resources/load-link-target.ts';
import { createNewestLoader } from './resources/load-newest.ts';
import { startRenditions } from './resources/rendition-worker.ts';
import { startReindexing } from './resources/reindex-worker.ts';
import { createOrganisations } from './resources/organisation.ts';
import { startTellingExpired } from './resources/tell-expired.ts';
import { createUsedProofs } from './resources/used-proofs.ts';
import { SOFTWARE_VERSION } from './software-version.ts';

export interface RunningServer {
  fhirBase: string;
  port: number;
  /** The route table, for whoever walks it. */
  routes: readonly Route[];
  /** The ways in beside FHIR, for the same. */
  adapters: readonly AdapterGroup[];
  /** Drains: running answers finish, then every part is closed. */
  stop(): Promise<void>;
}


function healthChecks(config: Config, database: Database, store: ContentStore, recorder: AccessRecorder, mirror: MirrorWorker | undefined, scanner: Scanner | undefined): HealthChecks {
  return {
    database: async () => { await database.query({ text: 'select 1' }); return { state: 'up' }; },
    storage: async () => { await store.probe(); return { state: 'up' }; },
    audit: async () => { await database.auditQuery({ text: 'select 1' }); return recorder.depth() > 1_000 ? { state: 'degraded', note: 'accesses wait to be recorded' } : { state: 'up' }; },
    mirror: async () => {
      if (mirror === undefined) return { state: 'up', note: 'off: MIRROR_BASE_URL is not set' };
      const { pending, oldestSeconds, parked, unreachable, waiting, drift, paused } = await mirror.status();
      const note = `${pending} pending, oldest ${Math.round(oldestSeconds ?? 0)} s, ${parked} parked, ${drift} different, ${waiting.length} organisations not mirrored${paused.map(({ reason, since }) => `; ${reason}, since ${since}`).join('')}`;
      return { state: unreachable.length > paused.length ? 'down' : (oldestSeconds ?? 0) > 300 || parked + drift + paused.length + waiting.length > 0 ? 'degraded' : 'up', note };
    },
    scanner: () => scannerHealth(config, scanner),
  };
}

async function scannerHealth({ scan }: Config, scanner: Scanner | undefined): Promise<HealthPart> {
  if (scan === 'off') return { state: 'up', note: 'off: SCAN=off' };
  if (scanner === undefined) return scan === 'required' ? { state: 'down', note: 'SCAN=required, and CLAMAV_HOST is not set: bytes are refused' } : { state: 'up', note: 'off: CLAMAV_HOST is not set' };
  try {
    const { engine, signatures } = await scanner.version();
    return { state: 'up', note: signatures === undefined ? engine : `${engine}, signatures ${signatures}` };
  } catch { return { state: 'down', note: scan === 'required' ? 'out of reach: bytes are refused' : 'out of reach: bytes are taken unscanned' }; }
}

function startMirror(config: Config, database: Database, reader: ContentReader, logger: Logger, metrics: Metrics): MirrorWorker | undefined {
  if (config.mirrorBaseUrl === undefined) return undefined;
  const hapi = {
    baseUrl: config.mirrorBaseUrl.reveal(), security: config.mirrorSecurity, publicBase: config.fhirBase, timeoutMs: config.mirrorSecurity.timeoutMs, access: config.mirrorAccess,
    binaryData: createBinaryData({ database, reader, bytesMax: config.mirrorBinaryBytesMax }),
  };
  const worker = startMirrorWorker({ database, delivery: createDelivery(hapi), log: logger, metrics: { delivery: metrics.delivered } });
  const stopWatching = startWatching({ ...hapi, database, log: logger, changes: config.mirrorChanges, seconds: config.mirrorCheckSeconds, onRepaired: metrics.putBack });
  return { ...worker, stop: async () => { await Promise.all([stopWatching(), worker.stop()]); } };
}

function openReadThrough({ mirrorBaseUrl, mirrorSecurity, fhirBase }: Config, database: Database, logger: Logger): { outside?: ReadThrough } {
  return mirrorBaseUrl === undefined ? {} : { outside: createReadThrough({ baseUrl: mirrorBaseUrl.reveal(), security: mirrorSecurity, publicBase: fhirBase, database, log: logger }) };
}

/** Answers what ends it. */
function forwardRecord(target: NonNullable<Config['syslog']>, database: Database, logger: Logger, metrics: Metrics): () => Promise<void> {
  const forwarder = startForwarding({ database, logger, target });
  metrics.gauges({ record_forward_waiting: 'Leaves of the log that the audit repository has not yet', record_forward_lag_seconds: 'Age of the oldest event that it has not yet' }, async () => {
    const { lagSeconds, waiting } = await forwarder.status();
    return { record_forward_waiting: waiting, record_forward_lag_seconds: lagSeconds };
  });
  return () => forwarder.stop();
}

function registerGauges(metrics: Metrics, database: Database, recorder: AccessRecorder, log: LogWorker, mirror: MirrorWorker | undefined): void {
  metrics.gauges({ access_events_waiting: 'Accesses that wait to be recorded' }, () => ({ access_events_waiting: recorder.depth() }));
  metrics.gauges({ content_sweep_halted: 'Stores where nothing is removed, because the store or the database was restored' }, async () => ({ content_sweep_halted: await haltedStores(database) }));
  metrics.gauges({ store_stray_objects: 'Objects that no content has', store_stray_quarantined: 'Those that an administrator may remove' }, async () => {
    const { strays, quarantined } = await strayStatus(database);
    return { store_stray_objects: strays, store_stray_quarantined: quarantined };
  });
  metrics.gauges({ content_quarantined: 'Contents out of service', content_unverified_seconds: 'Since when the content at rest that was verified longest ago was not' }, async () => {
    const { quarantined, oldestSeconds } = await scrubStatus(database);
    return { content_quarantined: quarantined, content_unverified_seconds: oldestSeconds };
  });
  metrics.gauges({
    log_leaves: 'Leaves of the tamper-evident log', log_unsealed_leaves: 'Leaves that no checkpoint covers', log_waiting_seconds: 'Age of the oldest event that has no leaf', log_halted: 'Whether sealing stopped because the log is not the one that was sealed',
  }, async () => {
    const { size, unsealed, waitingSeconds, broken } = await log.status();
    return { log_leaves: size, log_unsealed_leaves: unsealed, log_waiting_seconds: waitingSeconds, log_halted: broken === undefined ? 0 : 1 };
  });
  if (mirror === undefined) return;
  metrics.gauges({
    mirror_pending: 'Versions that HAPI has not yet', mirror_oldest_seconds: 'Age of the oldest of them', mirror_parked: 'Resources whose delivery waits for a person',
    mirror_drift: 'Resources that differ at HAPI', mirror_paused: 'HAPI servers that do not let us in', mirror_access_oldest_seconds: 'Age of the oldest access that HAPI was not told of, under MIRROR_ACCESS=all',
  }, async () => {
    const { pending, oldestSeconds, parked, drift, paused, access } = await mirror.status();
    return { mirror_pending: pending, mirror_oldest_seconds: oldestSeconds ?? 0, mirror_parked: parked, mirror_drift: drift, mirror_paused: paused.length, mirror_access_oldest_seconds: access?.oldestSeconds ?? 0 };
  });
}

/** Answers the stop. */
function startReplica(replica: ContentStore, store: ContentStore, database: Database, metrics: Metrics, logger: Logger): () => Promise<void> {
  metrics.gauges({ replica_waiting: 'Contents that the replica has not yet', replica_lag_seconds: 'Since when the oldest of them is published' }, async () => {
    const { waiting, lagSeconds } = await replicaStatus(database);
    return { replica_waiting: waiting, replica_lag_seconds: lagSeconds };
  });
  return startReplicating({ database, stores: [store], replica, logger });
}

/** Reads that tell the database, the log and the metrics what they found wrong. */
function openReader({ store, replica, database, metrics, logger }: { store: ContentStore; replica: ContentStore | undefined; database: Database; metrics: Metrics; logger: Logger }): ContentReader {
  return createContentReader({
    stores: [store],
    ...(replica === undefined ? {} : { replica }),
    onRescue(row, chunk, from) {
      metrics.rescued(from);
      logger.warn({ content: row.id, chunk, from }, 'a stored chunk does not match its digest; it was read from another copy');
      database.transaction(row.org, (tx) => distrustContent(tx, row.org, row.id)).catch((error: unknown) => logger.warn({ err: error, content: row.id }, 'a rescue could not be noted'));
    },
    onDamage: async (row, error) => {
      logger.error({ content: row.id, chunk: error.chunk }, 'stored bytes do not match their digest; quarantined');
      if (await database.transaction(row.org, (tx) => quarantineContent(tx, row.org, row.id, error.message))) metrics.quarantined();
    },
  });
}

/** Starts everything and resolves when the server is ready. Raises an Error with a text for people; what was started is stopped then. */
export async function startServer(config: Config, logger: Logger, onFatal: (reason: string) => void): Promise<RunningServer> {
  const stops: (() => Promise<void>)[] = [];
  const stopAll = async (): Promise<void> => { for (const stop of stops.reverse()) await stop(); };
  try {
    return await startParts(config, logger, onFatal, stops, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function startParts(config: Config, logger: Logger, onFatal: (reason: string) => void, stops: (() => Promise<void>)[], stopAll: () => Promise<void>): Promise<RunningServer> {
  const { fhirBase, operatorOrg } = config;
  const problem = templateProblem(config.storage.keyTemplate);
  if (problem !== undefined) throw new ConfigurationError([`STORAGE_KEY_TEMPLATE ${problem}`]);
  const opened = await openConfiguredDatabase(config, logger, (reason) => { onFatal(`The embedded PostgreSQL ended: ${reason}`); });
  stops.push(opened.stop);
  const { database } = opened;
  const log = await startLog({ database, dataDir: config.dataDir, keyFile: config.auditSigningKeyFile, logger });
  stops.push(log.stop);
  const store = await openConfiguredStore(config, database);
  await store.probe();
  await requireProtection(config, store);
  await requireSessions(store);

  const metrics = createMetrics();
  const organisations = createOrganisations(database, !config.production);
  // Whoever has no organisation is recorded here, so this one must be there before the first request.
  await organisations.open(operatorOrg);
  const recorder = createAccessRecorder(database);
  const observer = `${OBSERVER_PREFIX}${hostname()}`;
  const refusals = createRefusalRecord({ recorder, organisations, operatorOrg, observer, logger });
  stops.push(refusals.stop);
  const throttle = createThrottle({ limits: config.rates, recorder, organisations, observer, logger });
  stops.push(throttle.stop);
  const replica = openConfiguredReplica(config);
  const reader = openReader({ store, replica, database, metrics, logger });
  const mirror = startMirror(config, database, reader, logger, metrics);
  if (mirror !== undefined) stops.push(mirror.stop);
  stops.push(startSweeping({ database, stores: [store], logger }), startInventories({ database, store, logger }), startTellingExpired({ database, logger }));
  metrics.countFileEvents(FILE_EVENTS, startCountingFileEvents(database));
  const reindex = await startReindexing({ database, fhirBase, logger });
  stops.push(reindex.stop);
  registerGauges(metrics, database, recorder, log, mirror);
  if (config.syslog !== undefined) stops.push(forwardRecord(config.syslog, database, logger, metrics));

  if (replica !== undefined) stops.push(startReplica(replica, store, database, metrics, logger));
  const scanner = openConfiguredScanner(config);
  const record = createScrubRecord({ database, observer, by: 'server' });
  stops.push(startScrubbing({
    database, stores: [store], replica, encrypted: config.production && config.storage.type !== 'local', days: config.scrubDays, bytesPerSecond: config.scrubBytesPerSecond, logger,
    record, onQuarantined: metrics.quarantined,
  }));
  if (scanner !== undefined) stops.push(startRescanning({ database, stores: [store], replica, scanner, bytesPerSecond: config.scrubBytesPerSecond, logger, record, onQuarantined: metrics.quarantined }));
  const content = createContentReceiver({ database, store, keyTemplate: config.storage.keyTemplate, scan: { scanner, required: config.scan === 'required', onVerdict: metrics.scanned }, onReceived: (bytes) => metrics.bytesReceived.inc(bytes) });
  const purging = { database, stores: [store], replica, content, fhirBase, observer, logger, onPurged: metrics.purged };
  stops.push(startFinishingPurges(purging));
  const pictures = createPictureMaker();
  const renditions = startRenditions({ database, stores: [store], reader, content, pictures, record, logger, onEnd: metrics.pictured });
  stops.push(renditions.stop);
  metrics.gauges({ renditions_waiting: 'Small pictures that are to be made', renditions_failed: 'Images that no small picture can be made of' }, async () => {
    const { waiting, failed } = await renditions.status();
    return { renditions_waiting: waiting, renditions_failed: failed };
  });
  const issuers = await openIssuers(config, logger);
  const perform = createGate({
    database, organisations, recorder, refusals, throttle, operatorOrg, observer, logger, fhirBase, bodyBytesMax: Math.max(config.uploadBytesMax, config.bodyBytesMax),
    authenticator: createAuthenticator(issuers.trusted, () => Date.now(), issuers.introspected, config.baseUrl, createUsedProofs(database)),
    ...(config.mirrorBaseUrl === undefined ? {} : { consents: createConsentSource({ baseUrl: config.mirrorBaseUrl.reveal(), security: config.mirrorSecurity, database, log: logger }) }),
    replay: (tx, context, result) => replayResult(tx, context, result, fhirBase),
    written: () => mirror?.wake(),
  });
  const grantKeys = createGrantKeys(database);
  const parts: RouteParts & FileParts = {
    ...config, content, reader: countedReader(reader, { onRead: metrics.accessed, onBytes: (bytes) => metrics.bytesSent.inc(bytes) }), store, database, logger, grantKeys, filesBase: `${config.baseUrl}/files`, newest: createNewestLoader(database), targets: createLinkTargetLoader(database),
    owners: (asking, binary) => database.readTransaction(asking.org, (tx) => findBinaryOwners(tx, asking, binary)),
    log: createLogProofs(database, log.sealSoon), perform, cursorKey: await sharedSecret(database, 'cursor'), lacking: reindex.lacking, ...openReadThrough(config, database, logger),
  };
  const routes = buildRoutes(parts);

  const rooms = createBodyRooms(config.inflightBytesMax);
  metrics.gauges({ bodies_held_bytes: 'Bytes of request bodies that may be held in memory now' }, () => ({ bodies_held_bytes: rooms.taken() }));
  let draining = (): boolean => false;
  const access = { perform, logger, rooms, proxies: trustedProxies(config.trustedProxies), requiresTls: config.baseUrl.startsWith('https:') };
  const adapters = buildAdapters({ ...parts, lend: createThumbnailLender(parts), pictures, production: config.production, scrubDays: config.scrubDays, organisations, operatorOrg, finishPurge: (org, id) => finishPurge(purging, org, id), aim: (asked) => aim(routes, asked), database, uploads: createUploadPartStore({ database, store, keyTemplate: config.storage.keyTemplate }) });
  const app = buildPipeline({
    baseUrl: config.baseUrl, corsOrigins: config.corsOrigins,
    health: healthRoutes(createReadiness(healthChecks(config, database, store, recorder, mirror, scanner)), () => draining()),
    publicFhir: publicRoutes({
      capabilities: printCapabilities({ fhirBase, softwareVersion: SOFTWARE_VERSION, date: new Date().toISOString(), routes, smart: issuers.smartConfiguration }),
      smartConfiguration: issuers.smartConfiguration,
      databaseAnswers: () => database.query({ text: 'select 1' }).then(() => true, () => false),
    }),
    pages: openPages({ baseUrl: config.baseUrl, version: SOFTWARE_VERSION, routes, adapters, metricsPort: config.metricsPort === 0 ? undefined : config.metricsPort }),
    fhir: fhirEntry({ ...access, routes }),
    ...(issuers.authorization === undefined ? {} : { authorization: { mount: AUTHORIZATION_MOUNT, answer: issuers.authorization.answer } }),
    adapters: adapters.map((group) => ({ prefix: group.prefix, entry: adapterEntry(access, group) })),
    observe: (request, response) => {
      const start = performance.now();
      response.once('close', () => metrics.answered(request.method, response.statusCode, (performance.now() - start) / 1_000));
    },
    logger,
  });
  stops.push(await serveMetrics(metrics.registry, config.metricsPort));
  const listener = await listen(app, config, logger);
  draining = listener.draining;
  stops.push(listener.drain);
  // `npm run token` finds here whom its tokens are for.
  await writeFile(join(config.dataDir, 'base-url'), `${fhirBase}\n`);
  return { fhirBase, port: listener.port, routes, adapters, stop: stopAll };
}
