// HAPI lays a placeholder over a resource whose first version arrives at the same moment as something that refers to it:
// so what refers comes behind, on any number of servers. Against a server that knows what it held when each request came.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { claimAccesses } from '../../src/mirror/access-cursor.ts';
import { createDelivery } from '../../src/mirror/deliver.ts';
import { listParked } from '../../src/mirror/mirror-commands.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { namedIn, referencesIn } from '../../src/mirror/precedence.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultyServer, type FaultyServer, type ReceivedRequest } from '../support/faulty-server.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';
import { createSmallFhir, outcome, writesIn, type SmallFhir } from './small-fhir.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };

jest.setTimeout(60_000);

let store: MirrorDatabase;
let hapi: FaultyServer;
let fhir: SmallFhir;
let workers: MirrorWorker[] = [];
/** What was referred to before HAPI had it, or while its first version was on its way. */
let early: string[];

/** References of a resource as HAPI resolves them. */
const referred = ({ body }: ReceivedRequest): string[] => [...body.matchAll(/"reference":"((?:DocumentReference|Binary|Media|List)\/[^/"]+)/g)].map(([, reference = '']) => reference);

beforeAll(async () => { store = await startMirrorDatabase(); });
afterAll(() => store.stop());
beforeEach(async () => {
  await store.empty();
  early = [];
  fhir = createSmallFhir('/fhir');
  hapi = await startFaultyServer((request) => fhir.work(request));
  hapi.fault = (request) => {
    // What a transaction brings itself is there in it.
    const brought = new Set(writesIn(request).map(({ path }) => path.slice('/fhir/'.length)));
    early.push(...writesIn(request).flatMap(referred).filter((reference) => fhir.history(reference).length === 0 && !brought.has(reference)));
    return { kind: 'late', ms: 10 };
  };
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  workers = [];
  await hapi.stop();
});

function start(database = store.database): void {
  const delivery = createDelivery({ baseUrl: `${hapi.url}/fhir`, publicBase: 'http://muniment.test/fhir', timeoutMs: 1_000, access: 'writes' });
  workers.push(startMirrorWorker({ database, delivery, log, random: () => 0.01, pollMs: 50 }));
}

const drainedBut = (left: number): Promise<unknown> => eventually(() => store.sql('select id from outbox'), (rows) => rows.length === left, 30_000);
const drained = (): Promise<unknown> => drainedBut(0);
const writes = (): ReceivedRequest[] => hapi.requests.flatMap((request) => writesIn(request));
const provenances = (): string[] => writes().filter(({ method, path }) => method === 'PUT' && path.startsWith('/fhir/Provenance/')).map(({ path }) => path);

/** Bytes and their document, made by one write. */
async function publishWithBytes(name: string, patient: string): Promise<void> {
  await store.publish(`DocumentReference/${name}`, { description: name }, { patient });
  await store.publish(`Binary/b-${name}`, { contentType: 'text/plain' });
  const [document] = await store.sql<{ event: string }>('select event from outbox where id = $1', [name]);
  const targets = (...references: string[]): string => `"targets":[${references.map((reference) => `"${reference}/_history/1"`).join(',')}]`;
  await store.sql('alter table access_event disable trigger user');
  await store.sql('update access_event e set shape = 0, parts = replace(e.body, $2, $3) where e.id = $1', [document?.event, targets(`DocumentReference/${name}`), targets(`DocumentReference/${name}`, `Binary/b-${name}`)]);
  await store.sql('alter table access_event enable trigger user');
  await store.sql('update outbox set event = $1 where id = $2', [document?.event, `b-${name}`]);
}

describe('what one write made', () => {
  it('has its Provenance once, behind all of it, also with three servers', async () => {
    const names = Array.from({ length: 30 }, (_, at) => `d${at}`);
    for (const [at, name] of names.entries()) await publishWithBytes(name, `p${at % 7}`);
    for (const database of [store.database, store.open(), store.open()]) start(database);
    await drained();
    expect(early).toEqual([]);
    expect(new Set(provenances()).size).toBe(names.length);
    expect(provenances()).toHaveLength(names.length);
    expect(writes().filter(({ path }) => path.includes('Provenance')).every((request) => referred(request).length >= 2)).toBe(true);
  });

  it('goes on, with its Provenance, where a part of it is parked', async () => {
    const late = hapi.fault;
    hapi.fault = (request) => (writesIn(request).some(({ path }) => path.startsWith('/fhir/Binary/')) ? { kind: 'answer', answer: outcome(422, 'no such bytes') } : late(request));
    await publishWithBytes('d', 'p');
    start();
    await eventually(() => listParked(store.database), (parked) => parked.length === 1, 20_000);
    await drainedBut(1);
    expect(fhir.history('DocumentReference/d')).toHaveLength(1);
    const [{ event }] = await store.sql<{ event: string }>('select event from outbox') as [{ event: string }];
    expect(fhir.history(`Provenance/${event}`)).toHaveLength(1);
  });
});

describe('a document that refers to another', () => {
  it('comes behind it, however long HAPI takes for that one', async () => {
    let refusals = 3;
    const late = hapi.fault;
    await store.publish('DocumentReference/first', { description: 'first' }, { patient: 'p1' });
    await store.publish('DocumentReference/second', { relatesTo: [{ code: 'appends', target: { reference: 'DocumentReference/first' } }] }, { patient: 'p2' });
    await store.publish('List/third', { entry: [{ item: { reference: 'DocumentReference/second' } }, { item: { reference: 'DocumentReference/elsewhere' } }] }, { patient: 'p3' });
    hapi.fault = (request) => {
      if (request.method !== 'PUT' || request.path !== '/fhir/DocumentReference/first' || refusals === 0) return request.body.includes('elsewhere') && request.path.startsWith('/fhir/List') ? { kind: 'late', ms: 1 } : late(request);
      refusals -= 1;
      return { kind: 'answer', answer: { status: 503, body: 'busy' } };
    };
    start();
    start(store.open());
    await drained();
    expect(early).toEqual([]);
    const order = hapi.requests.filter(({ method, path }) => method === 'PUT' && /first|second|third/.test(path)).map(({ path }) => path.split('/').pop());
    expect(order.slice(-3)).toEqual(['first', 'second', 'third']);
  });

  it('does not wait for what refers back to it, nor for a later version', async () => {
    await store.publish('DocumentReference/a', { relatesTo: [{ code: 'appends', target: { reference: 'DocumentReference/b' } }] }, { patient: 'p1' });
    await store.publish('DocumentReference/b', { relatesTo: [{ code: 'appends', target: { reference: 'DocumentReference/a' } }] }, { patient: 'p2' });
    await store.publish('DocumentReference/a', { relatesTo: [{ code: 'appends', target: { reference: 'DocumentReference/b' } }], description: 'again' }, { patient: 'p1' });
    start();
    await drained();
    expect([fhir.history('DocumentReference/a').length, fhir.history('DocumentReference/b').length]).toEqual([2, 1]);
  });
});

describe('an access', () => {
  it('is told once what it names is at HAPI, and those behind it then as well', async () => {
    await store.publish('DocumentReference/known', { description: 'known' });
    start();
    await drained();
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    await store.publish('DocumentReference/fresh', { description: 'fresh' });
    await store.publish('DocumentReference/known', { description: 'known again' });
    const claim = async (): Promise<string[]> => {
      await store.sql('truncate mirror_access');
      const portion = await store.database.workerTransaction((tx) => claimAccesses(tx, { low: 1, high: 1, blocked: [] }, 50));
      return portion?.events.flatMap(({ text }) => namedIn(text).map(({ id }) => id)) ?? [];
    };
    expect(new Set(await claim())).toEqual(new Set(['known']));
    start();
    await drained();
    expect(new Set(await claim())).toEqual(new Set(['known', 'fresh']));
  });
});

it.each([
  ['{"reference":"DocumentReference/a"}', ['a'], ['a']],
  ['{"reference":"Media/m/_history/3"}', ['m'], ['m']],
  ['{"url":"Binary/b","x":"List/l/_history/1"}', [], ['b', 'l']],
  ['{"reference":"Patient/p"}', [], []],
  ['{"reference":"https://other.example/fhir/DocumentReference/x"}', [], []],
])('of %s what is ours is found', (text, references, named) => {
  expect([referencesIn(text).map(({ id }) => id), namedIn(text).map(({ id }) => id)]).toEqual([references, named]);
});
