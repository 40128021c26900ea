// The way to HAPI for whoever waits for an answer: few reads at once, a circuit for each HAPI, and 503 with Retry-After
// when it does not answer in time. The deliveries of the mirror have circuits of their own: they can wait.
import { fhirError } from '../fhir/fhir-error.ts';
import type { Logger } from '../logger.ts';
import { ALIVE_PATH, callHapi } from './call-hapi.ts';
import { isPerOrganisation, openHapi, type HapiAddress, type HapiClient } from './hapi-client.ts';
import { createCircuit, type Circuit } from './circuit.ts';
import { readHapi, type HapiQuestion, type HapiReading } from './read-hapi.ts';

/** Bounds of one access, which may ask several times. */
export interface AccessBounds {
  /** Milliseconds of performance.now after which nothing is waited for any more. */
  deadline: number;
  bytesMax: number;
}

/** What HAPI spoke: failures are raised. */
export type HapiAnswered = Exclude<HapiReading, { kind: 'failed' }>;

export interface HapiAccess {
  /** FHIR base of the HAPI of an organisation, without credentials and without a trailing slash. */
  base(orgName: string): string;
  /** Raises 503 `unavailable`. */
  ask(orgName: string, question: HapiQuestion, bounds: AccessBounds): Promise<HapiAnswered>;
}

export interface HapiAccessOptions extends HapiAddress {
  log: Logger;
  random?: () => number;
}

/** Memory is bounded by this many answers at once. */
const AT_ONCE = 8;
const WAITING_MAX = 200;
const RETRY_AFTER_SECONDS = 5;
const PROBE_MS = 10_000;

export function hapiUnavailable(reason: string): Error {
  return fhirError('unavailable', 'The server of patients, practitioners and places does not answer; documents are served', {
    cause: new Error(reason), headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) },
  });
}

interface Hapi {
  client: HapiClient;
  circuit: Circuit;
}

export function createHapiAccess({ log, random = Math.random, ...address }: HapiAccessOptions): HapiAccess {
  const known = new Map<string, Hapi>();
  const turns = createTurns();

  function hapiOf(orgName: string): Hapi {
    const key = isPerOrganisation(address.baseUrl) ? orgName : '';
    const hapi = known.get(key) ?? { client: openHapi(address, orgName), circuit: createCircuit(random) };
    known.set(key, hapi);
    return hapi;
  }

  async function probe({ client, circuit }: Hapi, orgName: string): Promise<void> {
    const { status } = await callHapi(client, { method: 'GET', path: ALIVE_PATH }, PROBE_MS, new AbortController().signal);
    if (status !== 200) return;
    circuit.close();
    log.info({ org: orgName }, 'HAPI answers again: it is read through');
  }

  return {
    base: (orgName) => hapiOf(orgName).client.base,
    async ask(orgName, question, { deadline, bytesMax }) {
      const hapi = hapiOf(orgName);
      if (hapi.circuit.probeDue(performance.now())) void probe(hapi, orgName);
      if (hapi.circuit.open) throw hapiUnavailable('The circuit is open');
      const release = await turns.take(deadline);
      try {
        const timeoutMs = Math.ceil(deadline - performance.now());
        if (timeoutMs <= 0) throw hapiUnavailable('Others were served first, and the time was up');
        const reading = await readHapi(hapi.client, question, { timeoutMs, bytesMax });
        const opened = hapi.circuit.record(reading.kind === 'failed' && reading.transport);
        if (opened) log.warn({ org: orgName }, 'HAPI does not answer: it is not read through, and asked from time to time');
        if (reading.kind === 'failed') throw hapiUnavailable(reading.reason);
        return reading;
      } finally {
        release();
      }
    },
  };
}

interface Turns {
  /** Resolves to what ends the turn. Raises 503 when too many wait, or the deadline comes first. */
  take(deadline: number): Promise<() => void>;
}

function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  let running = 0;

  function release(): void {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }

  return {
    async take(deadline) {
      if (running < AT_ONCE) {
        running += 1;
        return release;
      }
      if (waiting.length >= WAITING_MAX) throw hapiUnavailable('Too many reads wait for HAPI');
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(proceed), 1);
          reject(hapiUnavailable('Others were served first, and the time was up'));
        }, Math.max(0, deadline - performance.now()));
        function proceed(): void {
          clearTimeout(timer);
          resolve();
        }
        waiting.push(proceed);
      });
      return release;
    },
  };
}
