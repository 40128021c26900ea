// Walks the route table: whatever is answered is recorded, and a row without a recipe here fails.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;
const made: Record<string, string> = {};

beforeAll(async () => {
  server = await startMuniment();
  admin = fhirClient(server.fhirBase, await server.token());
  made['DocumentReference'] = (await admin.post('DocumentReference', documentReference())).json.id;
  made['Media'] = (await admin.post('Media', media())).json.id;
  made['Binary'] = (await admin.post('Binary', 'some text', { 'content-type': 'text/plain' })).json.id;
  made['AuditEvent'] = (await admin.get('AuditEvent?_count=1')).json.entry[0].resource.id;
  made['Provenance'] = made['AuditEvent'] as string;
});
afterAll(() => server.stop());

/** The AuditEvents of one request: asked for by its id, as the world does. */
async function recorded(path: string, call: Call = {}): Promise<{ answer: Answer; events: any[] }> { // eslint-disable-line @typescript-eslint/no-explicit-any -- rendered resources
  const requestId = randomUUID();
  const answer = await admin.call(path, { ...call, headers: { ...call.headers, 'x-request-id': requestId } });
  expect(answer.headers.get('x-request-id')).toBe(requestId);
  return { answer, events: await admin.auditOf(requestId) };
}

const bodies: Record<string, () => Record<string, unknown>> = { DocumentReference: documentReference, Media: media };

/** A request that the row answers with success. */
function success(type: string, code: string): { path: string; call: Call } {
  const id = made[type] ?? '';
  switch (code) {
    case 'create': return type === 'Binary' ? { path: type, call: { method: 'POST', body: 'bytes', headers: { 'content-type': 'text/plain' } } } : { path: type, call: { method: 'POST', body: bodies[type]?.() } };
    case 'read': return { path: `${type}/${id}`, call: {} };
    case 'vread': return { path: `${type}/${id}/_history/1`, call: {} };
    case 'update': { const fresh = randomUUID(); return { path: `${type}/${fresh}`, call: { method: 'PUT', body: { ...bodies[type]?.(), id: fresh } } }; }
    case 'delete': return { path: `${type}/${randomUUID()}`, call: { method: 'DELETE' } };
    case 'history-instance': return { path: `${type}/${id}/_history`, call: {} };
    case 'search-type': return { path: `${type}?_count=1`, call: {} };
    default: throw new Error(`The walk has no recipe for ${code} on ${type}`);
  }
}

const ACTIONS: Record<string, string> = { 'create': 'C', 'read': 'R', 'vread': 'R', 'update': 'U', 'delete': 'D', 'history-instance': 'R', 'search-type': 'E' };

describe('every row of the route table', () => {
  it('answers with success and leaves one AuditEvent with its action, which is also a Provenance', async () => {
    for (const { type, code } of server.routes) {
      const { path, call } = success(type, code);
      const { answer, events } = await recorded(path, call);
      expect([type, code, answer.status < 300]).toEqual([type, code, true]);
      expect([type, code, events.length]).toEqual([type, code, 1]);
      expect(events[0]).toMatchObject({ action: ACTIONS[code], outcome: '0', subtype: [{ code: code }] });
      const provenance = await admin.get(`Provenance/${events[0].id}`);
      expect(provenance.json).toMatchObject({ resourceType: 'Provenance', id: events[0].id });
    }
  });

  it.each([
    ['without a token', null, 401],
    ['with a forged token', 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA', 401],
  ])('%s answers 401 and records the refusal under the operator', async (_title, token, status) => {
    for (const { type, code } of server.routes) {
      const { path, call } = success(type, code);
      const { answer, events } = await recorded(path, { ...call, token });
      expect([type, code, answer.status]).toEqual([type, code, status]);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm=/);
      expect(answer.json.resourceType).toBe('OperationOutcome');
      expect(events).toHaveLength(1);
      expect(events[0].outcome).toBe('4');
    }
  });

  it('with a scope that grants nothing, or a role that may not, answers 403 and records it', async () => {
    const narrow = await server.token({ scope: 'openid user/Observation.rs' });
    const powerless = await server.token({ roles: ['integrity'] });
    for (const token of [narrow, powerless]) {
      for (const { type, code } of server.routes) {
        const { path, call } = success(type, code);
        const { answer, events } = await recorded(path, { ...call, token });
        expect([type, code, answer.status]).toEqual([type, code, 403]);
        expect(events).toHaveLength(1);
      }
    }
  });
});

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

  it('HEAD and 304 have no body and are recorded like the read that they stand for', async () => {
    const path = `DocumentReference/${made['DocumentReference']}`;
    const head = await recorded(path, { method: 'HEAD' });
    const unchanged = await recorded(path, { headers: { 'if-none-match': 'W/"1"' } });
    expect([head.answer.status, head.answer.bytes.length, unchanged.answer.status, unchanged.answer.bytes.length]).toEqual([200, 0, 304, 0]);
    for (const { events } of [head, unchanged]) {
      expect(events).toHaveLength(1);
      expect(JSON.stringify(events[0].entity)).toContain(`${path}/_history/1`);
    }
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

describe('every method on every known path', () => {
  it('leaves exactly one AuditEvent with the outcome of its status, and 405 says what is allowed', async () => {
    const paths = ['DocumentReference', 'DocumentReference/x', 'DocumentReference/x/_history', 'DocumentReference/x/_history/1', 'Binary', 'Binary/x', 'AuditEvent/x', 'Provenance/x/_history', 'Foo', 'DocumentReference/x/y', '', 'metadata'];
    for (const path of paths) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        if (path === 'metadata' && (method === 'GET' || method === 'HEAD')) continue;
        const query = path === 'DocumentReference' && (method === 'GET' || method === 'HEAD') ? '?_count=1' : '';
        const { answer, events } = await recorded(path + query, { method });
        expect([method, path, events.length, events[0]?.outcome]).toEqual([method, path, 1, answer.status < 400 ? '0' : '4']);
        if (answer.status === 405) expect(answer.headers.get('allow')).toMatch(/OPTIONS$/);
        if (answer.status === 405) expect(answer.headers.get('allow')?.split(', ')).not.toContain(method);
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
