// How old the consents of an organisation may be, what happens when HAPI cannot be asked for them, and how many are kept.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ConsentState } from '../../src/access/consent-denials.ts';
import { createLogger } from '../../src/logger.ts';
import { CONSENTS_MAX, createConsentSource, type ConsentSource } from '../../src/mirror/consents.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultyServer, type FaultyServer } from '../support/faulty-server.ts';
import { outcome } from './small-fhir.ts';

const JSON_TYPE = { 'content-type': 'application/fhir+json;charset=UTF-8' };
const ORG = { id: 1, name: 'demo' };

let hapi: FaultyServer;
let count: number;
let now: number;
let ask: ConsentSource;

const consent = (number: number): object => ({ resource: { resourceType: 'Consent', id: `c${number}`, status: 'active', scope: { coding: [{ code: 'patient-privacy' }] }, patient: { reference: `Patient/p${number}` }, provision: { type: 'deny' } }, search: { mode: 'match' } });

beforeEach(async () => {
  [count, now] = [1, 1_000_000];
  hapi = await startFaultyServer(({ path }) => {
    const base = `${hapi.url}/demo/fhir`;
    const below = path.slice('/demo/fhir'.length);
    if (below.startsWith('/metadata')) return { status: 200, headers: JSON_TYPE, body: '{"resourceType":"CapabilityStatement"}' };
    if (!below.startsWith('/Consent?') && !below.startsWith('?')) return { ...outcome(404, below), headers: JSON_TYPE };
    const query = new URL(path, 'http://x').searchParams;
    const [offset, size] = [Number(query.get('_getpagesoffset') ?? 0), Number(query.get('_count'))];
    const entry = Array.from({ length: Math.max(0, Math.min(size, count - offset)) }, (_, at) => consent(offset + at));
    const link = [{ relation: 'self', url: `${base}/Consent?x=y` }, ...(offset + size < count ? [{ relation: 'next', url: `${base}?_getpages=kept&_getpagesoffset=${offset + size}&_count=${size}` }] : [])];
    return { status: 200, headers: JSON_TYPE, body: JSON.stringify({ resourceType: 'Bundle', type: 'searchset', link, entry }) };
  });
  ask = createConsentSource({ baseUrl: `${hapi.url}/{org}/fhir`, log: createLogger('error'), clock: () => now, database: { workerTransaction: () => Promise.reject(new Error('Organisations with a HAPI each need no database')) } });
});
afterEach(() => hapi.stop());

const known = (state: ConsentState | undefined): number | undefined => (state?.kind === 'known' ? state.consents.length : undefined);
const fetches = (): number => hapi.requests.filter(({ path }) => path.includes('/Consent?')).length;
const fail = (): void => { hapi.fault = () => ({ kind: 'refuse' }); };

describe('the consents of an organisation', () => {
  it('are fetched once for many who ask, active ones about privacy alone, and known at once afterwards', async () => {
    const states = await Promise.all(Array.from({ length: 20 }, async () => ask(ORG)));
    expect([states.map(known).every((one) => one === 1), fetches()]).toEqual([true, 1]);
    expect(hapi.requests[0]?.path).toBe('/demo/fhir/Consent?status=active&scope=patient-privacy&_count=500&_summary=data');
    expect([ask(ORG) instanceof Promise, known(await ask(ORG))]).toEqual([false, 1]);
  });

  it('are of one organisation each', async () => {
    await Promise.all([ask(ORG), ask({ id: 2, name: 'other' })]);
    expect(new Set(hapi.requests.map(({ path }) => path.split('/')[1]))).toEqual(new Set(['demo', 'other']));
  });

  it('are fetched page by page to the end', async () => {
    count = 1_201;
    expect(known(await ask(ORG))).toBe(1_201);
  });

  it('are renewed beside from 30 s on, and never older than a minute', async () => {
    await ask(ORG);
    count = 2;
    now += 29_999;
    expect([known(await ask(ORG)), fetches()]).toEqual([1, 1]);
    now += 1;
    expect([ask(ORG) instanceof Promise, fetches() <= 2]).toEqual([false, true]);
    expect(await eventually(async () => known(await ask(ORG)), (one) => one === 2)).toBe(2);
    count = 3;
    now += 60_000;
    expect(known(await ask(ORG))).toBe(3);
  });

  it('stay known for their minute while HAPI fails, and are unknown then', async () => {
    await ask(ORG);
    fail();
    now += 59_999;
    expect(known(await ask(ORG))).toBe(1);
    now += 1;
    expect(await ask(ORG)).toEqual({ kind: 'unknown' });
  });

  it('are unknown where HAPI refuses, answers nonsense or a part; nobody waits again until five seconds have passed', async () => {
    for (const body of ['{"resourceType":"Bundle","type":"batch"}', '{"resourceType":"Patient"}', '<html></html>', '{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":"urn:x"}]}']) {
      hapi.fault = () => ({ kind: 'answer', answer: { status: 200, headers: JSON_TYPE, body } });
      expect([body, await ask(ORG)]).toEqual([body, { kind: 'unknown' }]);
      const before = fetches();
      now += 4_999;
      expect([ask(ORG) instanceof Promise, fetches()]).toEqual([false, before]);
      now += 1;
    }
    hapi.fault = () => undefined;
    expect(known(await ask(ORG))).toBe(1);
  });

  it('keep nobody waiting for longer than two seconds; who comes after they arrived has them', async () => {
    hapi.fault = () => ({ kind: 'slow', ms: 2_500 });
    expect(await ask(ORG)).toEqual({ kind: 'unknown' });
    expect(await eventually(async () => known(await ask(ORG)), (one) => one === 1)).toBe(1);
    expect(fetches()).toBe(1);
  });

  it('are unknown where there are more than are kept, and not fetched again at every request', async () => {
    count = CONSENTS_MAX + 1;
    expect(await ask(ORG)).toEqual({ kind: 'unknown' });
    const before = hapi.requests.length;
    now += 30_000;
    expect(await ask(ORG)).toEqual({ kind: 'unknown' });
    expect(hapi.requests.length).toBe(before);
    count = CONSENTS_MAX;
    now += 30_000;
    expect(known(await ask(ORG))).toBe(CONSENTS_MAX);
  });
});
