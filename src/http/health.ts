// Liveness says that the process runs; readiness asks each part for real work, at most once a second.
import { Router } from 'express';

export type PartState = 'up' | 'degraded' | 'down';

export interface HealthPart {
  state: PartState;
  /** For people; never a secret or an address. */
  note?: string;
}

export type PartName = 'database' | 'storage' | 'audit' | 'mirror' | 'scanner';
export type HealthChecks = Record<PartName, () => Promise<HealthPart>>;

/** Without these three nothing can be answered; without the others the server works on, degraded. */
const ESSENTIAL: ReadonlySet<PartName> = new Set(['database', 'storage', 'audit']);
const REMEMBERED_MS = 1_000;
const CHECK_TIMEOUT_MS = 3_000;

export interface HealthReport {
  status: 'up' | 'degraded' | 'down';
  parts: Record<PartName, HealthPart>;
}

async function checkPart(check: () => Promise<HealthPart>): Promise<HealthPart> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HealthPart>((resolve) => { timer = setTimeout(() => resolve({ state: 'down', note: 'no answer in time' }), CHECK_TIMEOUT_MS); });
  try {
    return await Promise.race([check(), late]);
  } catch {
    return { state: 'down' };
  } finally {
    clearTimeout(timer);
  }
}

async function report(checks: HealthChecks): Promise<HealthReport> {
  const names = Object.keys(checks) as PartName[];
  const parts = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await checkPart(checks[name])] as const))) as HealthReport['parts'];
  const broken = names.filter((name) => parts[name].state === 'down' || parts[name].state === 'degraded');
  const down = broken.some((name) => ESSENTIAL.has(name) && parts[name].state === 'down');
  return { status: down ? 'down' : broken.length > 0 ? 'degraded' : 'up', parts };
}

export function createReadiness(checks: HealthChecks): () => Promise<HealthReport> {
  let last: { at: number; result: Promise<HealthReport> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at > REMEMBERED_MS) last = { at: performance.now(), result: report(checks) };
    return last.result;
  };
}

export function healthRoutes(readiness: () => Promise<HealthReport>, draining: () => boolean): Router {
  const router = Router();
  router.get('/live', (_request, response) => {
    response.json({ status: 'up' });
  });
  router.get('/ready', async (_request, response) => {
    const { status, parts } = await readiness();
    const shown = draining() ? 'down' : status;
    const names = Object.keys(parts) as PartName[];
    const states = Object.fromEntries(names.map((name) => [name, parts[name].state]));
    const notes = Object.fromEntries(names.flatMap((name) => (parts[name].note === undefined ? [] : [[name, parts[name].note]])));
    response.status(shown === 'down' ? 503 : 200).json({ status: shown, ...states, notes });
  });
  return router;
}
