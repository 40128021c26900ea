// Walks the route table: whatever is answered is recorded, and a row without a recipe fails.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '../../src/logger.ts';
import { eventually } from '../support/eventually.ts';
import { openSocket, requestHead } from '../support/raw-http.ts';
import { documentReference, fhirClient, media, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';
import { withoutTables } from '../support/withheld-tables.ts';
import { bodyKind, nameOf, recipeBook, type Recipe, type RecipeBook, type Row } from './route-recipes.ts';

let server: TestMuniment;
let admin: FhirClient;
let book: RecipeBook;
const made: Record<string, string> = {};

beforeAll(async () => {
  server = await startMuniment({}, createLogger('error', { write: () => {} }));
  admin = fhirClient(server.fhirBase, await server.token());
  book = recipeBook(admin, server.routes);
  for (const type of ['DocumentReference', 'Binary']) made[type] = await book.idOf({ method: 'GET', path: type, type: type as Row['type'], code: 'read' });
});
afterAll(() => server.stop());

type Events = any[]; // eslint-disable-line @typescript-eslint/no-explicit-any -- rendered resources

/** The AuditEvents of one request: asked for by its id, as the world does. */
async function recorded(path: string, call: Call = {}): Promise<{ answer: Answer; events: Events }> {
  const requestId = randomUUID();
  const answer = await admin.call(path, { ...call, headers: { ...call.headers, 'x-request-id': requestId } });
  expect(answer.headers.get('x-request-id')).toBe(requestId);
  return { answer, events: await admin.auditOf(requestId) };
}

/** Runs `check` on each row that `concerns` admits, and tells every row that differs, not the first alone. */
async function walk(concerns: (row: Row) => boolean, check: (row: Row) => Promise<unknown>): Promise<void> {
  const wrong: string[] = [];
  for (const row of server.routes.filter(concerns)) {
    await check(row).catch((error: Error) => wrong.push(`${nameOf(row)}: ${error.message}`));
  }
  expect(wrong).toEqual([]);
}

const all = (): boolean => true;
const onInstance = (row: Row): boolean => row.path.includes('[id]');
/** Rights of each type or entry are asked by themselves: the whole is not refused. */
const spansTypes = (row: Row): boolean => ['search-system', 'history-system', 'batch', 'transaction', 'operation'].includes(row.code);
const isHeld = (row: Row): boolean => ['read', 'vread'].includes(row.code) && onInstance(row);

/** The row's success with something about it changed. */
async function varied(row: Row, change: (recipe: Recipe) => { path?: string; call?: Call }): Promise<{ answer: Answer; events: Events }> {
  const recipe = await book.success(row);
  const { path = recipe.path, call = {} } = change(recipe);
  return recorded(path, { ...recipe.call, ...call, headers: { ...recipe.call.headers, ...call.headers } });
}

/** Rows that need no table: what this server defines, a validation of what came; and a batch, whose entries fail inside its 200. */
const needsNoTable = (row: Row): boolean => /^(StructureDefinition|SearchParameter|CodeSystem|ValueSet|OperationDefinition)$/.test(row.type) || row.code === 'batch' || (row.method === 'POST' && row.path.endsWith('$validate'));

/** A refusal as the client and the record have it. */
function expectRefusal({ answer, events }: { answer: Answer; events: Events }, status: number): void {
  expect({ status: answer.status, type: answer.json?.resourceType, system: answer.json?.issue?.[0]?.details?.coding?.[0]?.system, outcomes: events.map(({ outcome }) => outcome) })
    .toEqual({ status, type: 'OperationOutcome', system: 'urn:muniment:error', outcomes: ['4'] });
}

const ACTIONS: Record<string, string> = {
  'create': 'C', 'read': 'R', 'vread': 'R', 'update': 'U', 'patch': 'U', 'delete': 'D', 'history-instance': 'R', 'history-type': 'R', 'history-system': 'R',
  'search-type': 'E', 'search-system': 'E', 'batch': 'E', 'transaction': 'E', 'operation': 'E',
};

describe('every row of the route table', () => {
  it('answers with success and leaves its AuditEvents with its action, each of which is also a Provenance', async () => {
    await walk(all, async (row) => {
      const recipe = await book.success(row);
      const { answer, events } = await recorded(recipe.path, recipe.call);
      expect([answer.status < 300, answer.status < 300 ? '' : answer.text]).toEqual([true, '']);
      expect(events).toHaveLength(recipe.events);
      const own = events.filter((event) => event.subtype[0].code === row.code);
      expect(own).toHaveLength(1);
      expect(own[0]).toMatchObject({ action: ACTIONS[row.code], outcome: '0' });
      const { json } = await admin.get(`Provenance/${own[0].id}`);
      expect(json).toMatchObject({ resourceType: 'Provenance', id: own[0].id });
      if (!onInstance(row) || row.code === 'operation') return;
      const touched = new RegExp(`"${book.pathOf({ ...row, path: `${row.type}/[id]` }, recipe.path.split('/')[1] ?? '')}/_history/\\d+"`);
      expect(JSON.stringify(own[0].entity)).toMatch(touched);
      expect(JSON.stringify(json.target)).toMatch(touched);
    });
  });

  it.each([
    ['without a token', null],
    ['with a forged token', 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA'],
  ])('%s answers 401 and records the refusal under the operator', async (_title, token) => {
    await walk(all, async (row) => {
      const refused = await varied(row, () => ({ call: { token } }));
      expectRefusal(refused, 401);
      expect(refused.answer.headers.get('www-authenticate')).toMatch(/^Bearer realm=/);
    });
  });

  it.each<[string, TokenOptions]>([
    ['a scope that grants nothing', { scope: 'openid user/Observation.rs' }],
    ['a role that may nothing', { roles: ['nobody-knows-this-role'] }],
  ])('with %s answers 403 and records it, or shows nothing where rights are asked of each part', async (_title, options) => {
    const token = await server.token(options);
    await walk(all, async (row) => {
      const refused = await varied(row, () => ({ call: { token } }));
      if (!spansTypes(row)) { expectRefusal(refused, 403); return; }
      expect([200, 403]).toContain(refused.answer.status);
      expect(refused.events.length).toBeGreaterThan(0);
      expect(refused.answer.text).not.toMatch(/"mode":"match"|"A short note|"status":"(?:current|completed)"/);
    });
  });

  it('that reads one resource answers 404 for an id that is unknown, and records it', async () => {
    const reads = (row: Row): boolean => onInstance(row) && ['read', 'vread', 'history-instance', 'patch'].includes(row.code);
    await walk(reads, async (row) => expectRefusal(await varied(row, () => ({ path: book.pathOf(row, randomUUID()) })), 404));
  });

  it('answers 406 where nothing meets Accept, and records it', async () => {
    // A Binary is also answered as the bytes that it is.
    await walk((row) => row.type !== 'Binary' || !isHeld(row), async (row) => expectRefusal(await varied(row, () => ({ call: { headers: { accept: 'image/png' } } })), 406));
  });

  it('answers 415 to a body of a type that it does not read, and 400 to one that is broken off', async () => {
    const takes = (...kinds: string[]) => (row: Row): boolean => kinds.includes(bodyKind(row));
    await walk(takes('fhir', 'patch', 'form'), async (row) => expectRefusal(await varied(row, () => ({ call: { body: 'x', headers: { 'content-type': 'text/walk' } } })), 415));
    await walk(takes('fhir', 'patch'), async (row) => {
      const type = row.code === 'patch' ? 'application/json-patch+json' : 'application/fhir+json';
      expectRefusal(await varied(row, () => ({ call: { body: '[{"resourceType":', headers: { 'content-type': type } } })), 400);
    });
  });

  it('that writes one resource answers 412 to a stale If-Match, and the resource stays as it is', async () => {
    const writes = (row: Row): boolean => onInstance(row) && ['update', 'patch', 'delete'].includes(row.code);
    await walk(writes, async (row) => {
      const path = book.pathOf(row, await book.idOf(row));
      const before = await admin.get(path);
      expectRefusal(await varied(row, () => ({ path, call: { headers: { 'if-match': 'W/"999999"' } } })), 412);
      expect((await admin.get(path)).headers.get('etag')).toBe(before.headers.get('etag'));
    });
  });

  it('that reads answers HEAD as GET without a body, and both are recorded alike', async () => {
    await walk((row) => row.method === 'GET', async (row) => {
      const get = await varied(row, () => ({}));
      const head = await varied(row, () => ({ call: { method: 'HEAD' } }));
      expect([head.answer.status, head.answer.bytes.length, head.events.length]).toEqual([get.answer.status, 0, get.events.length]);
      if (onInstance(row)) expect(touchedOf(head.events)).toEqual(touchedOf(get.events));
    });
  });

  it('that reads one version answers 304 to a client that has it, and records the access like the read', async () => {
    await walk(isHeld, async (row) => {
      const get = await varied(row, () => ({}));
      const unchanged = await varied(row, () => ({ call: { headers: { 'if-none-match': get.answer.headers.get('etag') ?? 'no ETag' } } }));
      expect([unchanged.answer.status, unchanged.answer.bytes.length, unchanged.events.map(({ outcome }) => outcome)]).toEqual([304, 0, ['0']]);
      expect(touchedOf(unchanged.events)).toEqual(touchedOf(get.events));
    });
  });

  it('that reads or changes one resource answers 410 once it is deleted, and records it', async () => {
    const deletable = (type: string): boolean => server.routes.some((row) => row.type === type && row.code === 'delete' && onInstance(row));
    await walk((row) => onInstance(row) && ['read', 'patch'].includes(row.code) && deletable(row.type), async (row) => {
      const { path } = await book.success({ ...row, method: 'DELETE', code: 'delete', path: `${row.type}/[id]` });
      expect((await admin.delete(path)).status).toBe(204);
      expectRefusal(await varied(row, () => ({ path })), 410);
    });
  });

  it('that takes a resource answers 422 to one that breaks R4, keeps nothing, and records it', async () => {
    await walk((row) => bodyKind(row) === 'fhir' && ['create', 'update'].includes(row.code), async (row) => {
      const { call } = await book.success(row);
      const { status: _status, ...broken } = call.body as Record<string, unknown>;
      expectRefusal(await varied(row, () => ({ call: { body: broken } })), 422);
    });
  });

  it('answers a failure of ours with 500 and nothing of its reason, and leaves one event of outcome 8', async () => {
    await walk((row) => !needsNoTable(row), async (row) => {
      const { path, call } = await book.success(row);
      const requestId = randomUUID();
      const answer = await withoutTables(server, () => admin.call(path, { ...call, headers: { ...call.headers, 'x-request-id': requestId } }));
      const events = await admin.auditOf(requestId);
      expect({ status: answer.status, code: answer.json?.issue?.[0]?.code, outcomes: events.map(({ outcome }) => outcome) }).toEqual({ status: 500, code: 'exception', outcomes: ['8'] });
      expect(answer.text).not.toMatch(/permission|relation|resource_history/);
    });
  }, 180_000);

  it('stands on a path whose other methods are 405, with what is offered there in Allow, and recorded', async () => {
    await walk(all, async (row) => {
      const here = new Set(server.routes.filter(({ path }) => path === row.path).flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])));
      const path = book.pathOf(row, onInstance(row) ? await book.idOf(row) : '');
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((one) => !here.has(one))) {
        const { answer, events } = await recorded(path, { method });
        expect([method, answer.status, new Set(answer.headers.get('allow')?.split(', ')), events.length]).toEqual([method, 405, new Set([...here, 'OPTIONS']), 1]);
        expect(events[0].outcome).toBe('4');
      }
    });
  });

  it('without a recipe here is told by name', async () => {
    const row: Row = { method: 'POST', path: 'DocumentReference/$unheard-of', type: 'DocumentReference', code: 'operation' };
    await expect(book.success(row)).rejects.toThrow('The walk has no recipe for POST /DocumentReference/$unheard-of (operation): test/gate/route-recipes.ts lacks the body of $unheard-of');
    await expect(book.success({ ...row, method: 'GET', path: 'DocumentReference/[unheard]', code: 'read' })).rejects.toThrow('lacks a value for [unheard]');
  });
});

/** The references of the data that the events name, without those of the request itself. */
function touchedOf(events: Events): string[] {
  return events.flatMap((event) => event.entity ?? []).flatMap(({ what }) => (what?.reference === undefined ? [] : [what.reference as string])).sort();
}

describe('refusals and failures', () => {
  it.each([
    ['an unknown id', 'DocumentReference/unknown', {}, 404],
    ['an unknown version', 'DocumentReference/unknown/_history/9', {}, 404],
    ['an unknown type', 'Foo/1', {}, 404],
    ['a method that is not offered', 'AuditEvent', { method: 'POST', body: { resourceType: 'AuditEvent' } }, 405],
    ['PATCH of a Binary', 'Binary/x', { method: 'PATCH', body: {} }, 405],
    ['malformed JSON', 'DocumentReference', { method: 'POST', body: '{"resourceType":', headers: { 'content-type': 'application/fhir+json' } }, 400],
    ['another resource type', 'DocumentReference', { method: 'POST', body: { resourceType: 'Media' } }, 400],
    ['a missing element', 'DocumentReference', { method: 'POST', body: { resourceType: 'DocumentReference', status: 'current' } }, 422],
    ['a media type that is not known', 'DocumentReference', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }, 415],
    ['an executable', 'Binary', { method: 'POST', body: Buffer.from('\x7fELF\x02\x01\x01'), headers: { 'content-type': 'application/octet-stream' } }, 415],
    ['an Accept that nothing meets', 'DocumentReference/unknown', { headers: { accept: 'image/png' } }, 406],
    ['broken percent-encoding', 'DocumentReference/%E0%A4%A', {}, 400],
    ['a search value that is no date', 'DocumentReference?date=abc', {}, 400],
    ['a stale If-Match', 'DocumentReference/unknown', { method: 'PUT', body: { ...documentReference(), id: 'unknown' }, headers: { 'if-match': 'W/"7"' } }, 412],
  ] as [string, string, Call, number][])('%s is an OperationOutcome and one AuditEvent', async (_title, path, call, status) => {
    const { answer, events } = await recorded(path, call);
    expect(answer.status).toBe(status);
    expect(answer.json.resourceType).toBe('OperationOutcome');
    expect(answer.json.issue[0].details.coding[0].system).toBe('urn:muniment:error');
    expect(events).toHaveLength(1);
    expect(events[0].outcome).toBe('4');
  });

  it('a search leaves one event for each patient of its page, each naming that patient alone', async () => {
    const mark = randomUUID();
    const patients = ['a', 'b', 'c'].map((name) => `Patient/${name}-${mark}`);
    for (const reference of patients) await admin.post('DocumentReference', documentReference({ subject: { reference }, identifier: [{ system: 'urn:walk', value: mark }] }));
    const { answer, events } = await recorded(`DocumentReference?identifier=urn:walk|${mark}`);
    expect(answer.json.total).toBe(3);
    expect(events).toHaveLength(3);
    const named = events.map((event) => event.entity.filter((entity: { role?: { code?: string } }) => entity.role?.code === '1').map((entity: { what: { reference: string } }) => entity.what.reference));
    expect(named.flat().sort()).toEqual([...patients].sort());
  });
});

describe('every method on a path that is no row', () => {
  it('leaves exactly one AuditEvent, and what is public says what is allowed', async () => {
    const paths = ['Foo', 'Foo/1', 'Foo/1/_history/1', 'DocumentReference/x/y', 'DocumentReference/x/_history/1/z', 'metadata', '$versions'];
    for (const path of paths) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const isPublic = ['metadata', '$versions'].includes(path);
        if (isPublic && (method === 'GET' || method === 'HEAD')) continue;
        const { answer, events } = await recorded(path, { method });
        expect([method, path, answer.status, events.map(({ outcome }) => outcome)]).toEqual([method, path, isPublic ? 405 : 404, ['4']]);
        if (isPublic) expect(answer.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
      }
    }
  });

  it('so do a deleted document, a range outside the bytes and a body past its limit', async () => {
    const { json } = await admin.post('Media', media());
    await admin.delete(`Media/${json.id}`);
    const calls: [string, Call, number][] = [
      [`Media/${json.id}`, {}, 410],
      [`Binary/${made['Binary']}`, { headers: { range: 'bytes=1000-' } }, 416],
      [`DocumentReference?_id=${'a'.repeat(17_000)}`, {}, 414],
      ['DocumentReference', { method: 'POST', body: documentReference(), headers: { 'if-none-exist': 'foo=bar' } }, 400],
      [`DocumentReference/${made['DocumentReference']}`, { method: 'DELETE', headers: { 'if-match': 'W/"9"' } }, 412],
    ];
    for (const [path, call, status] of calls) {
      const { answer, events } = await recorded(path, call);
      expect([path.slice(0, 40), answer.status, events.map((event) => event.outcome)]).toEqual([path.slice(0, 40), status, ['4']]);
    }
  });
});

describe('how a request may end otherwise', () => {
  const authorization = async (): Promise<[string, string]> => ['Authorization', `Bearer ${await server.token()}`];
  const late = (requestId: string, count: number): Promise<Events> => eventually(() => admin.auditOf(requestId), (found) => found.length >= count);

  it('what nobody expected is 500 with an incident id, one event of outcome 8, and nothing of the database in the answer', async () => {
    await server.sql('alter table resource_history rename to resource_elsewhere');
    try {
      const { answer, events } = await recorded(`DocumentReference/${made['DocumentReference']}/_history/77`);
      expect([answer.status, answer.json.issue[0].details.coding[0].code, events.map(({ outcome }) => outcome)]).toEqual([500, 'exception', ['8']]);
      expect(answer.text).toContain(answer.headers.get('x-request-id'));
      expect(answer.text + JSON.stringify(events)).not.toMatch(/resource_history|relation/);
    } finally {
      await server.sql('alter table resource_elsewhere rename to resource_history');
    }
  });

  it('an upload that its client breaks off is one event, and nothing is kept', async () => {
    const requestId = randomUUID();
    const socket = await openSocket(server.fhirBase);
    socket.write(requestHead('POST', '/fhir/Binary', [await authorization(), ['X-Request-Id', requestId], ['Content-Type', 'text/plain'], ['Content-Length', '1000000']]) + 'begun');
    await sleep(100);
    socket.destroy();
    const events = await late(requestId, 1);
    expect(events.map(({ outcome, action }) => [outcome, action])).toEqual([['4', 'C']]);
    expect(JSON.stringify(events[0])).not.toContain('begun');
  });

  it.each([['as bytes', '*/*'], ['as a resource', 'application/fhir+json']])('a download %s that its client breaks off has a second event, with what was really sent of it', async (_title, accept) => {
    const size = 30_000_000;
    const { json } = await admin.post('Binary', Buffer.alloc(size, randomUUID()), { 'content-type': 'text/plain' });
    const requestId = randomUUID();
    const socket = await openSocket(server.fhirBase);
    socket.write(requestHead('GET', `/fhir/Binary/${json.id}`, [await authorization(), ['X-Request-Id', requestId], ['Accept', accept]]));
    const [first] = (await once(socket, 'data')) as [Buffer];
    socket.pause();
    await sleep(200);
    socket.destroy();
    const events = await late(requestId, 2);
    expect(events.map(({ outcome }) => outcome).sort()).toEqual(['0', '4']);
    const details = events.find(({ outcome }) => outcome === '4').entity.flatMap(({ detail = [] }) => detail);
    const sent = Number(details.find(({ type }: { type: string }) => type === 'sent').valueString);
    expect(sent).toBeGreaterThanOrEqual(first.length - 2_000);
    expect(sent).toBeLessThan(size / 2);
  });
});

describe('when the record cannot be written', () => {
  it('answers 503 to reads and writes alike, and nothing is read or kept', async () => {
    const [before] = await server.sql<{ count: string }>('select count(*) from resource');
    await server.sql('revoke insert on access_event from muniment_audit, muniment_app');
    try {
      const read = await admin.get(`DocumentReference/${made['DocumentReference']}`);
      const created = await admin.post('DocumentReference', documentReference());
      expect([read.status, created.status]).toEqual([503, 503]);
      expect(read.text).not.toContain('"status":"current"');
    } finally {
      await server.sql('grant insert on access_event to muniment_audit, muniment_app');
    }
    const [after] = await server.sql<{ count: string }>('select count(*) from resource');
    expect(after).toEqual(before);
  });
});
