// The walk through all that HAPI has of a type, against a server that pages as HAPI does: everything once, in windows of time.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { openHapi } from '../../src/mirror/hapi-client.ts';
import { createHapiSide, type HapiSide, type WalkPosition } from '../../src/mirror/hapi-side.ts';

interface Held { id: string; at: number }

const DAY_MS = 86_400_000;
let held: Held[] = [];
let asked: { since: number; until: number | undefined; sorted: number }[] = [];
let pageMax = 50;
let server: Server;
let hapi: HapiSide;

/** `_lastUpdated`, `_sort=_lastUpdated,_id`, `_count` and `_offset`, as HAPI has them. */
function page(query: URLSearchParams): object {
  const bound = (prefix: string): number | undefined => {
    const value = query.getAll('_lastUpdated').find((one) => one.startsWith(prefix));
    return value === undefined ? undefined : Date.parse(value.slice(2));
  };
  const [since, until] = [bound('ge') ?? -Infinity, bound('lt')];
  const matches = held.filter(({ at }) => at >= since && at < (until ?? Infinity)).sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  asked.push({ since, until, sorted: matches.length });
  const [offset, count] = [Number(query.get('_offset')), Math.min(pageMax, Number(query.get('_count')))];
  const entry = matches.slice(offset, offset + count).map(({ id, at }) => ({ resource: { resourceType: 'List', id, meta: { versionId: '1', lastUpdated: new Date(at).toISOString().replace('Z', '+00:00') } } }));
  return { resourceType: 'Bundle', type: 'searchset', entry, link: offset + count < matches.length ? [{ relation: 'next', url: 'x' }] : [] };
}

beforeEach(async () => {
  [held, asked, pageMax] = [[], [], 50];
  server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/fhir+json' }).end(JSON.stringify(page(new URL(request.url ?? '', 'http://x').searchParams)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  hapi = createHapiSide({ client: openHapi({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir` }, 'demo'), timeoutMs: 5_000, sourcePrefix: undefined });
});
afterEach(() => { server.close(); });

/** `between` is called after each portion. */
async function walkAll(between: () => void = () => {}): Promise<string[]> {
  const ids: string[] = [];
  let position: WalkPosition | undefined;
  for (let portions = 0; portions < 1_000; portions++) {
    const { found, next } = await hapi.walk('List', position);
    ids.push(...found.map(({ id }) => id));
    if (next === undefined) return ids;
    between();
    // As it is kept between two runs.
    position = JSON.parse(JSON.stringify(next)) as WalkPosition;
  }
  throw new Error('The walk has no end');
}

const at = (count: number, begin: number, stepMs: number, name: string): Held[] => Array.from({ length: count }, (_, index) => ({ id: `${name}${String(index).padStart(5, '0')}`, at: begin + index * stepMs }));

describe('a walk through what HAPI has', () => {
  it.each([50, 200, 7])('meets everything once, over years of silence, bursts and instants with more than a page (pages of %i)', async (size) => {
    pageMax = size;
    const now = Date.now();
    held = [
      ...at(120, now - 3_650 * DAY_MS, 60_000, 'old'), ...at(170, now - 900 * DAY_MS, 0, 'tied'), ...at(50, now - 899 * DAY_MS, 0, 'page'),
      ...at(400, now - 2 * DAY_MS, 5, 'burst'), ...at(90, now - 40_000, 400, 'fresh'), ...at(30, now + 5_000, 100, 'ahead'),
    ];
    const ids = await walkAll();
    expect(ids).toHaveLength(held.length);
    expect(new Set(ids)).toEqual(new Set(held.map(({ id }) => id)));
  });

  it('lets HAPI sort some pages at a time, not all that is left', async () => {
    held = at(6_000, Date.now() - 30 * DAY_MS, 300_000, 'one');
    await walkAll();
    expect(asked.slice(1).every(({ sorted }) => sorted <= 1_100)).toBe(true);
    expect(asked.length).toBeLessThan(6_000 / 50 * 1.5);
  });

  it('meets what stays as it is while others are written again, which move to the end', async () => {
    held = at(600, Date.now() - 20 * DAY_MS, 60_000, 'one');
    let position = 0;
    const ids = await walkAll(() => {
      for (const one of held.slice(position, position + 3)) one.at = Date.now();
      position += 50;
    });
    expect(new Set(ids)).toEqual(new Set(held.map(({ id }) => id)));
  });

  it('ends at once where there is nothing', async () => {
    expect(await walkAll()).toEqual([]);
    expect(asked).toHaveLength(1);
  });
});
