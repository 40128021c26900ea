// A HAPI that is slow, broken or lies: what is passed on is 503 with Retry-After, within its time, and nothing leaks.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Principal } from '../../src/access/principal.ts';
import { createLogger } from '../../src/logger.ts';
import { createReadThrough, type ReadThrough } from '../../src/mirror/read-through.ts';
import { startFaultyServer, type FaultyServer, type GivenAnswer, type ReceivedRequest } from '../support/faulty-server.ts';
import { outcome } from './small-fhir.ts';

const PUBLIC_BASE = 'https://muniment.test/fhir';
const JSON_TYPE = { 'content-type': 'application/fhir+json;charset=UTF-8' };
const principal: Principal = {
  issuer: 'https://issuer.test', subject: 'demo', clientId: 'test', org: 'demo', roles: ['admin'], expiresAt: 0,
  scopes: [{ context: 'user', type: '*', permissions: new Set(['r', 's']) }],
};
const asking = { org: { id: 1, name: 'demo' }, principal };

interface Person {
  id: string;
  placeholder?: boolean;
  photo?: string;
}

const patient = ({ id, placeholder = false, photo }: Person): object => ({
  resourceType: 'Patient', id, meta: { versionId: '1', lastUpdated: '2026-01-02T03:04:05.678+00:00' },
  ...(placeholder ? { extension: [{ url: 'http://hapifhir.io/fhir/StructureDefinition/resource-placeholder', valueBoolean: true }] } : {}),
  ...(photo === undefined ? {} : { photo: [{ data: photo }] }),
});

const given = (status: number, body: object): GivenAnswer => ({ status, headers: JSON_TYPE, body: JSON.stringify(body) });

/** Pages as HAPI makes them: a kept search, whose id the next link has. */
function searchset(people: readonly Person[], { path }: ReceivedRequest, base: string, pageMax: number): GivenAnswer {
  const query = new URL(path, 'http://x').searchParams;
  const offset = Number(query.get('_getpagesoffset') ?? 0);
  const size = Math.min(Number(query.get('_count') ?? 20), pageMax);
  const shown = people.slice(offset, offset + size);
  const more = offset + size < people.length;
  return given(200, {
    resourceType: 'Bundle', type: 'searchset',
    link: [{ relation: 'self', url: `${base}/Patient?x=y` }, ...(more ? [{ relation: 'next', url: `${base}?_getpages=kept-1&_getpagesoffset=${offset + size}&_count=${size}` }] : [])],
    entry: shown.map((one) => ({ fullUrl: `${base}/Patient/${one.id}`, resource: patient(one), search: { mode: 'match' } })),
  });
}

describe('reading through to a HAPI that fails', () => {
  let hapi: FaultyServer;
  let people: Person[];
  let pageMax: number;
  let through: ReadThrough;

  const open = (timeoutMs = 2_000): ReadThrough => createReadThrough({
    baseUrl: `${hapi.url.replace('//', '//login:secret@')}/{org}/fhir`, publicBase: PUBLIC_BASE, log: createLogger('error'), timeoutMs,
    database: { workerTransaction: () => Promise.reject(new Error('Organisations with a HAPI each need no database')) },
  });
  const read = (id = 'a'): Promise<unknown> => through.read(asking, { type: 'Patient', id }, []);
  const search = (query = '', start?: { id: string; offset: number; total: number | undefined }): ReturnType<ReadThrough['search']> =>
    through.search(asking, { type: 'Patient', pairs: [...new URLSearchParams(query)], strict: true, start: () => start });
  const answering = (answer: GivenAnswer): void => { hapi.fault = () => ({ kind: 'answer', answer }); };
  const unavailable = { status: 503, headers: { 'Retry-After': '5' }, message: 'The server of patients, practitioners and places does not answer; documents are served' };

  beforeEach(async () => {
    people = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id }));
    pageMax = 50;
    hapi = await startFaultyServer((request) => {
      const base = `${hapi.url}/demo/fhir`;
      const below = request.path.slice('/demo/fhir'.length);
      if (below.startsWith('/metadata')) return given(200, { resourceType: 'CapabilityStatement' });
      if (below.startsWith('?') || below.startsWith('/Patient?')) return searchset(people, request, base, pageMax);
      const person = people.find(({ id }) => below === `/Patient/${id}`);
      return person === undefined ? { ...outcome(404, `not known at ${base}`), headers: JSON_TYPE } : given(200, patient(person));
    });
    through = open();
  });
  afterEach(() => hapi.stop());

  it('the login of its address goes to it alone, the caller\'s token never', async () => {
    await read();
    expect(hapi.requests.map(({ method, path, headers }) => [method, path, headers['authorization'], headers['accept']])).toEqual([
      ['GET', '/demo/fhir/Patient/a', `Basic ${Buffer.from('login:secret').toString('base64')}`, 'application/fhir+json'],
    ]);
  });

  it.each<[string, GivenAnswer]>([
    ['a page of HTML', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>hapi.internal</html>' }],
    ['HTML with an error', { status: 500, headers: { 'content-type': 'text/html' }, body: '<html>at org.hapi.Stack(Trace.java)</html>' }],
    ['HTML instead of 404', { status: 404, headers: { 'content-type': 'text/html' }, body: 'nginx' }],
    ['JSON that is broken', { status: 200, headers: JSON_TYPE, body: '{"resourceType":"Patient"' }],
    ['JSON that is no resource', { status: 200, headers: JSON_TYPE, body: '[]' }],
    ['half a character', { status: 200, headers: JSON_TYPE, body: '{"resourceType":"Patient","id":"a","language":"\\ud800"}' }],
    ['an outcome with 200', { ...outcome(200, 'all well at hapi.internal'), headers: JSON_TYPE }],
    ['an outcome with 500', { ...outcome(500, 'java.lang.NullPointerException at hapi.internal'), headers: JSON_TYPE }],
    ['401 to our login', { ...outcome(401, 'who are you'), headers: JSON_TYPE }],
    ['429', { ...outcome(429, 'busy'), headers: JSON_TYPE }],
    ['503', { status: 503, headers: { 'content-type': 'text/plain' }, body: 'down' }],
    ['204', { status: 204 }],
  ])('%s is 503 with Retry-After, and none of its words', async (_name, answer) => {
    answering(answer);
    await expect(read()).rejects.toMatchObject(unavailable);
    await expect(search('family=x')).rejects.toMatchObject(unavailable);
  });

  it.each([301, 302, 303, 307, 308])('a redirect by %i is not followed', async (status) => {
    const elsewhere = await startFaultyServer(() => given(200, patient({ id: 'a' })));
    try {
      answering({ status, headers: { location: `${elsewhere.url}/fhir/Patient/a` } });
      await expect(read()).rejects.toMatchObject(unavailable);
      expect(elsewhere.requests).toEqual([]);
    } finally { await elsewhere.stop(); }
  });

  it('one that refuses or cuts the connection is 503, and so is one that is not there', async () => {
    hapi.fault = () => ({ kind: 'refuse' });
    await expect(read()).rejects.toMatchObject(unavailable);
    hapi.fault = () => ({ kind: 'forget' });
    await expect(search()).rejects.toMatchObject(unavailable);
    await hapi.stop();
    await expect(read()).rejects.toMatchObject(unavailable);
  });

  it('a slow one is left after the time of one access, however many questions it has', async () => {
    through = open(400);
    hapi.fault = () => ({ kind: 'slow', ms: 5_000 });
    const before = Date.now();
    await expect(read()).rejects.toMatchObject(unavailable);
    expect(Date.now() - before).toBeLessThan(2_000);
    pageMax = 1;
    hapi.fault = () => ({ kind: 'slow', ms: 150 });
    const began = Date.now();
    await expect(search('_count=5')).rejects.toMatchObject(unavailable);
    expect(Date.now() - began).toBeLessThan(2_000);
  });

  it('more bytes than 16 MiB are not read to their end', async () => {
    answering({ status: 200, headers: JSON_TYPE, body: `{"resourceType":"Patient","id":"a","language":"${'x'.repeat(17 * 1024 * 1024)}"}` });
    await expect(read()).rejects.toMatchObject({ status: 503 });
  });

  it('a page that is too long is asked for in shorter ones, and nobody is lost', async () => {
    through = open(30_000);
    const photo = 'A'.repeat(5 * 1024 * 1024);
    people = people.map((person) => ({ ...person, photo }));
    const first = await search('_count=5');
    const ids = first.matches.map(({ id }) => id);
    expect(first.next).toBeDefined();
    const second = await search('_count=5', first.next);
    expect([...ids, ...second.matches.map(({ id }) => id)]).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('after ten failures nothing is sent but a probe, and when it answers all is well', async () => {
    hapi.fault = () => ({ kind: 'refuse' });
    for (let failure = 0; failure < 10; failure += 1) await expect(read()).rejects.toMatchObject(unavailable);
    const asked = hapi.requests.length;
    hapi.fault = (request) => (request.path.includes('/metadata') ? { kind: 'slow', ms: 100 } : undefined);
    await expect(read()).rejects.toMatchObject(unavailable);
    await expect(read()).rejects.toMatchObject(unavailable);
    expect(hapi.requests.slice(asked).map(({ path }) => path).filter((path) => !path.includes('/metadata'))).toEqual([]);
    for (let waited = 0; waited < 5_000; waited += 50) {
      if (await read().then(() => true, () => false)) break;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    await expect(read()).resolves.toMatchObject({ id: 'a' });
  });

  it('404 is 404 and says nothing of where it was asked', async () => {
    await expect(read('zz')).rejects.toMatchObject({ status: 404, message: 'Patient/zz is not known here' });
  });

  it.each([['..', undefined], ['.', undefined], ['a', '..'], ['a', '.'], ['a', '../../b'], ['a', '1?_summary=true'], ['a', '1#x'], ['a', ''], ['a/../b', '1'], ['a', '1/../../../b']])('%s at version %s is no address: HAPI is not asked', async (id, version) => {
    await expect(through.read(asking, { type: 'Patient', id, ...(version === undefined ? {} : { version }) }, [])).rejects.toMatchObject({ status: 404 });
    expect(hapi.requests).toEqual([]);
  });

  it('another version than the one that was asked for is not shown', async () => {
    answering(given(200, patient({ id: 'a' })));
    await expect(through.read(asking, { type: 'Patient', id: 'a', version: '1' }, [])).resolves.toMatchObject({ version: '1' });
    await expect(through.read(asking, { type: 'Patient', id: 'a', version: '2' }, [])).rejects.toMatchObject({ status: 404 });
  });

  it('another resource than the one that was asked for is not shown', async () => {
    answering(given(200, patient({ id: 'b' })));
    await expect(read('a')).rejects.toMatchObject({ status: 404 });
    answering(given(200, { resourceType: 'Observation', id: 'a', meta: { versionId: '1' } }));
    await expect(read('a')).rejects.toMatchObject({ status: 404 });
  });

  it.each([
    ['a Bundle of another kind', { resourceType: 'Bundle', type: 'history' }],
    ['a resource', patient({ id: 'a' })],
    ['a next page in an unknown way', { resourceType: 'Bundle', type: 'searchset', link: [{ relation: 'next', url: 'https://elsewhere.test/fhir/next/1' }], entry: [] }],
  ])('a search answered with %s is 503: to pass over it would hide matches', async (_name, body) => {
    answering(given(200, body));
    await expect(search()).rejects.toMatchObject(unavailable);
  });

  it('what is no match of the type is not shown among the matches', async () => {
    answering(given(200, { resourceType: 'Bundle', type: 'searchset', total: 7, entry: [
      { resource: { resourceType: 'Practitioner', id: 'p', meta: { versionId: '1' } }, search: { mode: 'match' } }, { resource: patient({ id: 'a' }) },
      { search: { mode: 'match' } }, { resource: { resourceType: 'OperationOutcome' }, search: { mode: 'outcome' } }, { resource: { resourceType: 'Observation', id: 'o', meta: { versionId: '1' } }, search: { mode: 'include' } },
    ] }));
    const page = await search('family=x');
    expect([page.matches.map(({ id }) => id), page.included, page.total]).toEqual([['a'], [], 1]);
  });

  it.each([[1, 4], [2, 3], [7, 3], [50, 3], [50, 4]])('pages of %i in pages of %i, placeholders left out, each person once', async (size, count) => {
    pageMax = size;
    people = Array.from({ length: 31 }, (_, at) => ({ id: `p${at}`, placeholder: at % 3 === 2 }));
    const seen: string[] = [];
    let page = await search(`_count=${count}`);
    for (let pages = 0; pages < 12; pages += 1) {
      seen.push(...page.matches.map(({ id }) => id));
      if (page.next === undefined) break;
      expect(page.matches.length).toBe(count);
      page = await search(`_count=${count}`, page.next);
    }
    expect(seen).toEqual(people.filter(({ placeholder }) => placeholder !== true).map(({ id }) => id));
    expect((await search('_count=0')).total).toBe(21);
    expect((await search('_count=2&_total=accurate')).total).toBe(21);
  });

  it('a page that HAPI keeps no longer is 410', async () => {
    answering({ ...outcome(410, 'HAPI-0417: Search ID does not exist'), headers: JSON_TYPE });
    await expect(search('', { id: 'gone', offset: 20, total: undefined })).rejects.toMatchObject({ status: 410, message: 'The pages of this search are kept no longer; search again' });
  });

  it('its refusal of a search is 400 and names the parameters, not its reasons', async () => {
    answering({ ...outcome(400, 'HAPI-1940: secret reasons at /opt/hapi'), headers: JSON_TYPE });
    await expect(search('family=x&birthdate=2020')).rejects.toMatchObject({ status: 400, message: 'A value, prefix or modifier is not accepted, of one of family, birthdate' });
  });

  it('references are resolved once each, as far as they may be read and are there', async () => {
    people = [{ id: 'a' }, { id: 'b', placeholder: true }];
    const found = await through.resolveOutside(asking, ['Patient/a', 'Patient/a', 'Patient/b', 'DocumentReference/1', 'Patient/../x', 'https://elsewhere.test/Patient/a']);
    expect(found.map(({ type, id }) => `${type}/${id}`)).toEqual(['Patient/a']);
    expect(hapi.requests.map(({ path }) => new URL(path, 'http://x').searchParams.get('_id'))).toEqual(['a,b']);
    const reader = { ...asking, principal: { ...principal, scopes: [{ context: 'user' as const, type: 'Practitioner', permissions: new Set(['r'] as const) }] } };
    expect(await through.resolveOutside(reader, ['Patient/a'])).toEqual([]);
  });

  it('a chain answers all who match, or 400 past a thousand', async () => {
    people = Array.from({ length: 1_000 }, (_, at) => ({ id: `p${at}` }));
    expect(await through.resolveChain(asking, 'Patient', [['family', 'x']])).toEqual(people.map(({ id }) => `Patient/${id}`));
    people.push({ id: 'one-more' });
    await expect(through.resolveChain(asking, 'Patient', [['family', 'x']])).rejects.toMatchObject({ status: 400, detail: 'too-costly' });
    await expect(through.resolveChain(asking, 'Patient', [['nonsense', 'x']])).rejects.toMatchObject({ status: 400, detail: 'invalid-parameter' });
    await expect(through.resolveChain(asking, 'Patient', [['_count', '5']])).rejects.toMatchObject({ status: 400, detail: 'invalid-parameter' });
    await expect(through.resolveChain(asking, 'Group', [['family', 'x']])).rejects.toMatchObject({ status: 400 });
    const reader = { ...asking, principal: { ...principal, scopes: [{ context: 'user' as const, type: 'Patient', permissions: new Set(['r'] as const) }] } };
    await expect(through.resolveChain(reader, 'Patient', [['family', 'x']])).rejects.toMatchObject({ status: 403 });
  });

  it('eight are asked at once, the others wait their turn, and none is lost', async () => {
    let [now, most] = [0, 0];
    hapi.fault = () => { now += 1; most = Math.max(most, now); setTimeout(() => { now -= 1; }, 45); return { kind: 'slow', ms: 50 }; };
    await Promise.all(Array.from({ length: 30 }, () => read()));
    expect(most).toBeLessThanOrEqual(8);
  });
});
