// Brings the engines up, leaves running what runs, and says in one line why one cannot be had.
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { DirectoryInUseError, lockDirectory } from '../../src/embedded/directory-lock.ts';
import { clamavEngine } from './clamav-engine.ts';
import { ENGINE_NAMES, EngineUnavailable, type Engine, type EngineContext, type EngineName } from './engine.ts';
import { engineFolders, type EngineFolders } from './engine-folders.ts';
import { endProcess, isPortTaken, launchDetached, logTail, processFiles, runningProcess } from './engine-process.ts';
import { gcsEngine } from './gcs-engine.ts';
import { hapiEngine, partitionedHapiEngine } from './hapi-engine.ts';
import { minioEngine } from './minio-engine.ts';
import { postgresEngine } from './postgres-engine.ts';

const ENGINES: Record<EngineName, Engine> = { postgres: postgresEngine, minio: minioEngine, hapi: hapiEngine, clamav: clamavEngine, gcs: gcsEngine, 'hapi-partitions': partitionedHapiEngine };
// Another checkout may be building at this moment.
const LOCK_LIMIT_MS = 30 * 60_000;

export interface EngineReport {
  name: EngineName;
  state: 'running' | 'unavailable';
  /** One line. */
  reason?: string;
  /** The last lines of the log of an engine that ended while it started. */
  logTail?: string;
  /** The variables that join a server to it; empty when it is unavailable. */
  environment: Record<string, string>;
}

export interface EngineOptions {
  /** Where programs and state are kept, in place of the user's cache folder. */
  cacheHome?: string;
  /** Added to the port of each engine, so that a second set stands beside the first. */
  portOffset?: number;
}

/** Starts what is wanted and does not run, and waits until each really answers. Never throws for an engine that cannot be had. */
export async function ensureEngines(
  options: EngineOptions & { wanted: readonly EngineName[]; build: boolean; log: (line: string) => void },
): Promise<EngineReport[]> {
  const folders = engineFolders(options.cacheHome);
  const unlock = await waitForLock(folders, options.log);
  try {
    const begun = new Map<EngineName, Promise<EngineReport>>();
    const ensure = (name: EngineName): Promise<EngineReport> => {
      const known = begun.get(name);
      if (known !== undefined) return known;
      const report = ensureEngine(ENGINES[name], contextOf(ENGINES[name], folders, options), ensure);
      begun.set(name, report);
      return report;
    };
    return await Promise.all(options.wanted.map(ensure));
  } finally {
    unlock();
  }
}

/** Ends exactly what was started here, in the order of dependence. Returns the processes ended. */
export async function stopEngines(options: EngineOptions = {}): Promise<{ name: EngineName; pid: number }[]> {
  const folders = engineFolders(options.cacheHome);
  const unlock = await waitForLock(folders, () => {});
  try {
    const ended: { name: EngineName; pid: number }[] = [];
    for (const name of [...ENGINE_NAMES].reverse()) {
      const pid = await endProcess(processFiles(folders.state, name), ENGINES[name].stopLimitMs);
      if (pid !== undefined) ended.push({ name, pid });
    }
    return ended;
  } finally {
    unlock();
  }
}

/** What runs and answers at this moment; starts nothing. */
export async function inspectEngines(options: EngineOptions = {}): Promise<EngineReport[]> {
  const folders = engineFolders(options.cacheHome);
  return await Promise.all(ENGINE_NAMES.map(async (name) => {
    const context = contextOf(ENGINES[name], folders, { ...options, build: false, log: () => {} });
    if (runningProcess(processFiles(folders.state, name)) === undefined) return unavailable(name, 'not started');
    try {
      await ENGINES[name].probe(context);
      return running(ENGINES[name], context);
    } catch (error) {
      return unavailable(name, `started, does not answer: ${reasonOf(error)}`);
    }
  }));
}

function contextOf(engine: Engine, folders: EngineFolders, options: EngineOptions & { build: boolean; log: (line: string) => void }): EngineContext {
  return { folders, port: engine.port + (options.portOffset ?? 0), mayBuild: options.build, log: options.log };
}

async function ensureEngine(engine: Engine, context: EngineContext, ensure: (name: EngineName) => Promise<EngineReport>): Promise<EngineReport> {
  const files = processFiles(context.folders.state, engine.name);
  try {
    if (runningProcess(files) === undefined) await startEngine(engine, context, ensure);
    await waitUntilAnswering(engine, context);
    await engine.furnish(context);
    return running(engine, context);
  } catch (error) {
    const report = unavailable(engine.name, reasonOf(error));
    const tail = error instanceof EngineUnavailable ? '' : logTail(files);
    return tail === '' ? report : { ...report, logTail: tail };
  }
}

async function startEngine(engine: Engine, context: EngineContext, ensure: (name: EngineName) => Promise<EngineReport>): Promise<void> {
  if (await isPortTaken(context.port)) throw new EngineUnavailable(`port ${context.port} is held by a program that was not started from here`);
  // What takes long to get is got while the engines it needs are started.
  const [command, ...needed] = await Promise.all([engine.obtain(context), ...engine.needs.map(ensure)]);
  const missing = needed.find(({ state }) => state === 'unavailable');
  if (missing !== undefined) throw new EngineUnavailable(`needs ${ENGINES[missing.name].title}, which is unavailable`);
  context.log(`starting ${engine.title} on 127.0.0.1:${context.port}`);
  await launchDetached(command, processFiles(context.folders.state, engine.name));
}

async function waitUntilAnswering(engine: Engine, context: EngineContext): Promise<void> {
  const files = processFiles(context.folders.state, engine.name);
  const until = Date.now() + engine.startLimitMs;
  let last = 'its port is not open';
  while (Date.now() < until) {
    if (runningProcess(files) === undefined) throw new Error('ended while it started');
    if (await isPortTaken(context.port)) {
      try {
        await engine.probe(context);
        return;
      } catch (error) {
        last = reasonOf(error);
      }
    }
    await sleep(50);
  }
  throw new Error(`does not answer after ${engine.startLimitMs / 1000} s: ${last}`);
}

function running(engine: Engine, context: EngineContext): EngineReport {
  return { name: engine.name, state: 'running', environment: engine.environment(context) };
}

function unavailable(name: EngineName, reason: string): EngineReport {
  return { name, state: 'unavailable', reason, environment: {} };
}

// fetch says no more than "fetch failed"; what it met is the cause.
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  const reason = cause instanceof Error && message === 'fetch failed' ? `${message}: ${cause.message}` : message;
  return reason.split('\n')[0] as string;
}

async function waitForLock({ state }: EngineFolders, log: (line: string) => void): Promise<() => void> {
  const until = Date.now() + LOCK_LIMIT_MS;
  for (let turn = 0; ; turn += 1) {
    try {
      return await lockDirectory(join(state, 'lock'));
    } catch (error) {
      if (!(error instanceof DirectoryInUseError) || Date.now() > until) throw error;
      if (turn === 0) log(`waiting: ${error.message.split(';')[0]}`);
      await sleep(200);
    }
  }
}
