// patch, delete, conditional interactions and history.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { expectOutcome, expectStatus, FJ, FX, linkOf, matches } from './expectations.ts';
import { row } from './row.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- tests look into answers of any shape */

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const create = async (changes: Record<string, unknown> = {}): Promise<any> => {
  const made = await client.post('DocumentReference', documentReference(changes));
  expectStatus(made, 201);
  return made.json;
};
const read = (id: string): Promise<Answer> => client.get(`DocumentReference/${id}`);
const put = (resource: any, headers: Record<string, string> = {}): Promise<Answer> => client.put(`DocumentReference/${resource.id}`, resource, headers);
const JSON_PATCH = 'application/json-patch+json';
const jsonPatch = (path: string, operations: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  client.call(path, { method: 'PATCH', body: typeof operations === 'string' ? operations : JSON.stringify(operations), headers: { 'content-type': JSON_PATCH, ...headers } });

type Parts = Record<string, unknown>;
/** One operation of a FHIRPath Patch: plain strings and numbers take their type from the part's name. */
function operation(parts: Parts): object {
  const typed = (name: string, value: unknown): object => {
    if (name === 'type' || (name === 'valueCode')) return { name: name === 'type' ? 'type' : 'value', valueCode: value };
    if (['index', 'source', 'destination'].includes(name)) return { name, valueInteger: value };
    if (name.startsWith('value')) return { name: 'value', [name]: value };
    if (name === 'parts') return { name: 'value', part: value };
    return { name, valueString: value };
  };
  return { name: 'operation', part: Object.entries(parts).map(([name, value]) => typed(name, value)) };
}
const parameters = (...operations: Parts[]): object => ({ resourceType: 'Parameters', parameter: operations.map(operation) });
const pathPatch = (path: string, operations: Parts[], headers: Record<string, string> = {}): Promise<Answer> => client.call(path, { method: 'PATCH', body: parameters(...operations), headers: { 'content-type': FJ, ...headers } });
const versionsOf = async (id: string): Promise<number> => (await client.get(`DocumentReference/${id}/_history`)).json.total;
const identified = (value: string): Record<string, unknown> => ({ identifier: [{ system: 'urn:c', value }] });

describe('patch', () => {
  row('PA-01', async () => {
    const { id } = await create({ docStatus: 'preliminary', 'identifier': [{ system: 'urn:a', value: '1' }, { system: 'urn:b', value: '2' }], 'extension': [{ url: 'urn:e', valueString: 'e' }] });
    const path = `DocumentReference/${id}`;
    const step = async (operations: object[], look: (resource: any) => unknown, wanted: unknown): Promise<void> => {
      const answer = await jsonPatch(path, operations);
      expectStatus(answer, 200);
      expect({ operations, seen: look(answer.json) }).toEqual({ operations, seen: wanted });
      expect(answer.headers.get('etag')).toBe(`W/"${answer.json.meta.versionId}"`);
      expect((await read(id)).json).toEqual(answer.json);
    };
    await step([{ op: 'replace', path: '/docStatus', value: 'final' }], (one) => one.docStatus, 'final');
    await step([{ op: 'add', path: '/category/-', value: { text: 'added' } }], (one) => one.category.at(-1), { text: 'added' });
    await step([{ op: 'add', path: '/identifier/1', value: { value: 'between' } }], (one) => one.identifier.map((item: any) => item.value), ['1', 'between', '2']);
    await step([{ op: 'test', path: '/identifier/1/value', value: 'between' }, { op: 'remove', path: '/identifier/1' }], (one) => one.identifier.length, 2);
    await step([{ op: 'move', from: '/identifier/0', path: '/identifier/1' }], (one) => one.identifier.map((item: any) => item.value), ['2', '1']);
    await step([{ op: 'copy', from: '/identifier/0', path: '/identifier/-' }], (one) => one.identifier.map((item: any) => item.value), ['2', '1', '2']);
    await step([{ op: 'add', path: '/description', value: 'D' }, { op: 'test', path: '/description', value: 'D' }], (one) => one.description, 'D');
    await step([{ op: 'replace', path: '/extension/0', value: { url: 'urn:e', valueString: 'f' } }], (one) => one.extension[0].valueString, 'f');
    await step([{ op: 'test', path: '/extension', value: [{ valueString: 'f', url: 'urn:e' }] }], (one) => one.extension.length, 1);
    // ~1 is a slash and ~0 a tilde: neither names an element of FHIR.
    for (const pointer of ['/~1x', '/~0x', '/a~2b']) expect((await jsonPatch(path, [{ op: 'test', path: pointer, value: 1 }])).status).toBeGreaterThanOrEqual(400);
    expectOutcome(await jsonPatch(`DocumentReference/${randomUUID()}`, [{ op: 'add', path: '/description', value: 'x' }]), 404, 'not-found');
  });

  row('PA-02', async () => {
    const { id } = await create({ identifier: [{ value: 'a' }, { value: 'b' }, { value: 'c' }] });
    const path = `DocumentReference/${id}`;
    const values = (answer: Answer): string[] => answer.json.identifier.map((item: any) => item.value);
    const added = await pathPatch(path, [{ type: 'add', path: 'DocumentReference', name: 'description', valueString: 'D' }]);
    expectStatus(added, 200);
    expect(added.json.description).toBe('D');
    expect(added.headers.get('etag')).toBe('W/"2"');
    const inserted = await pathPatch(path, [{ type: 'insert', path: 'DocumentReference.identifier', valueIdentifier: { value: 'x' }, index: 1 }]);
    expectStatus(inserted, 200);
    expect(values(inserted)).toEqual(['a', 'x', 'b', 'c']);
    const moved = await pathPatch(path, [{ type: 'move', path: 'DocumentReference.identifier', source: 3, destination: 0 }]);
    expectStatus(moved, 200);
    expect(values(moved)).toEqual(['c', 'a', 'x', 'b']);
    const deleted = await pathPatch(path, [{ type: 'delete', path: "DocumentReference.identifier.where(value = 'x')" }]);
    expectStatus(deleted, 200);
    expect(values(deleted)).toEqual(['c', 'a', 'b']);
    const replaced = await pathPatch(path, [{ type: 'replace', path: 'DocumentReference.status', valueCode: 'superseded' }]);
    expectStatus(replaced, 200);
    expect(replaced.json.status).toBe('superseded');
    const inOrder = await pathPatch(path, [{ type: 'delete', path: 'DocumentReference.description' }, { type: 'add', path: 'DocumentReference', name: 'description', valueString: 'E' }, { type: 'replace', path: 'DocumentReference.description', valueString: 'F' }, { type: 'add', path: 'DocumentReference', name: 'identifier', valueIdentifier: { value: 'last' } }]);
    expectStatus(inOrder, 200);
    expect([inOrder.json.description, values(inOrder)]).toEqual(['F', ['c', 'a', 'b', 'last']]);
    const xml = '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="replace"/></part><part><name value="path"/><valueString value="DocumentReference.description"/></part><part><name value="value"/><valueString value="by XML"/></part></parameter></Parameters>';
    const byXml = await client.call(path, { method: 'PATCH', body: xml, headers: { 'content-type': FX, 'accept': FJ } });
    expectStatus(byXml, 200);
    expect(byXml.json.description).toBe('by XML');
  });

  row('PA-03', async () => {
    const { id } = await create({ category: [{ text: 'one' }, { text: 'two' }], extension: [{ url: 'urn:e', valueString: 'e' }] });
    const path = `DocumentReference/${id}`;
    const before = await versionsOf(id);
    expectOutcome(await pathPatch(path, [{ type: 'replace', path: 'DocumentReference.category', valueCodeableConcept: { text: 'x' } }]), 422);
    expectOutcome(await pathPatch(path, [{ type: 'delete', path: 'DocumentReference.category' }]), 422);
    expectOutcome(await pathPatch(path, [{ type: 'replace', path: 'DocumentReference.docStatus', valueCode: 'final' }]), 422);
    expectOutcome(await pathPatch(path, [{ type: 'replace', path: 'DocumentReference.description.length()', valueInteger: 1 }]), 400);
    expectOutcome(await pathPatch(path, [{ type: 'add', path: 'DocumentReference', name: 'nonsense', valueString: 'x' }]), 422);
    expect((await pathPatch(path, [{ type: 'add', path: 'DocumentReference', name: 'docStatus', valueQuantity: { value: 1 } }])).status).toBe(422);
    expectOutcome(await pathPatch(path, [{ type: 'insert', path: 'DocumentReference.category', valueCodeableConcept: { text: 'x' }, index: 9 }]), 422);
    expect(await versionsOf(id)).toBe(before);
    const nothing = await pathPatch(path, [{ type: 'delete', path: 'DocumentReference.description' }]);
    expectStatus(nothing, 200);
    const nested = await pathPatch(path, [{ type: 'add', path: 'DocumentReference', name: 'relatesTo', parts: [{ name: 'code', valueCode: 'appends' }, { name: 'target', valueReference: { reference: 'DocumentReference/elsewhere' } }] }]);
    expectStatus(nested, 200);
    expect(nested.json.relatesTo).toEqual([{ code: 'appends', target: { reference: 'DocumentReference/elsewhere' } }]);
    const choice = await pathPatch(path, [{ type: 'replace', path: "DocumentReference.extension.where(url = 'urn:e').value", valueInteger: 7 }]);
    expectStatus(choice, 200);
    expect(choice.json.extension).toEqual([{ url: 'urn:e', valueInteger: 7 }]);
    const created = (await client.post('Media', media({ createdDateTime: undefined }))).json;
    const withChoice = await client.call(`Media/${created.id}`, { method: 'PATCH', body: parameters({ type: 'add', path: 'Media', name: 'created', valueDateTime: '2024-05' }) });
    expectStatus(withChoice, 200);
    expect(withChoice.json.createdDateTime).toBe('2024-05');
  });

  row('PA-04', async () => {
    const { id } = await create();
    const change = [{ op: 'add', path: '/description', value: 'x' }];
    expectOutcome(await jsonPatch(`DocumentReference/${id}`, change, { 'if-match': 'W/"9"' }), 412, 'conflict');
    expectOutcome(await pathPatch(`DocumentReference/${id}`, [{ type: 'add', path: 'DocumentReference', name: 'description', valueString: 'x' }], { 'if-match': '"9"' }), 412, 'conflict');
    expect(await versionsOf(id)).toBe(1);
    expectStatus(await jsonPatch(`DocumentReference/${id}`, change, { 'if-match': 'W/"1"' }), 200);
    const racing = await Promise.all(Array.from({ length: 8 }, (_value, at) => jsonPatch(`DocumentReference/${id}`, [{ op: 'replace', path: '/description', value: `racer ${at}` }], { 'if-match': 'W/"2"' })));
    expect(racing.map((answer) => answer.status).sort()).toEqual([200, ...Array.from({ length: 7 }, () => 412)]);
  });

  row('PA-05', async () => {
    const { id } = await create();
    const path = `DocumentReference/${id}`;
    for (const unreadable of ['', '{', '{"op":"add"}', '[1]', '[{"op":"dance","path":"/x"}]', '[{"op":"add","path":"no-slash","value":1}]', '[{"path":"/description","value":"x"}]', '[{"op":"add","path":"/description"}]', '[{"op":"move","path":"/description"}]']) {
      const answer = await jsonPatch(path, unreadable);
      expect({ unreadable, status: answer.status }).toEqual({ unreadable, status: 400 });
      expectOutcome(answer, 400);
    }
    expectOutcome(await client.call(path, { method: 'PATCH', body: { resourceType: 'DocumentReference' } }), 400);
    expectOutcome(await pathPatch(path, [{ type: 'dance', path: 'DocumentReference' }]), 400);
    expectOutcome(await pathPatch(path, [{ type: 'delete', path: 'DocumentReference.((' }]), 400);
    for (const inapplicable of [
      [{ op: 'test', path: '/status', value: 'superseded' }], [{ op: 'remove', path: '/description' }], [{ op: 'replace', path: '/context/period/start', value: '2024' }], [{ op: 'add', path: '/category/9', value: {} }],
      [{ op: 'replace', path: '/status', value: 'final' }], [{ op: 'remove', path: '/status' }], [{ op: 'remove', path: '/content' }],
      [{ op: 'add', path: '/description', value: 'kept?' }, { op: 'test', path: '/description', value: 'other' }],
    ]) {
      const answer = await jsonPatch(path, inapplicable);
      expect({ inapplicable, status: answer.status }).toEqual({ inapplicable, status: 422 });
      expectOutcome(answer, 422);
    }
    expect(await versionsOf(id)).toBe(1);
    expect((await read(id)).json.description).toBeUndefined();
  });

  row('PA-06', async () => {
    const { id } = await create();
    expectOutcome(await client.call(`DocumentReference/${id}`, { method: 'PATCH', body: '<diff><replace sel="DocumentReference/status/@value">superseded</replace></diff>', headers: { 'content-type': 'application/xml-patch+xml' } }), 415, 'not-supported');
    expectOutcome(await client.call(`DocumentReference/${id}`, { method: 'PATCH', body: '{}', headers: { 'content-type': 'application/merge-patch+json' } }), 415, 'not-supported');
    expect(JSON.stringify((await client.get('metadata')).json.patchFormat ?? [])).not.toContain('xml-patch');
    expect(await versionsOf(id)).toBe(1);
  });

  row('PA-07', async () => {
    const div = '<div xmlns="http://www.w3.org/1999/xhtml">Status: preliminary</div>';
    for (const status of ['generated', 'extensions'] as const) {
      const { id } = await create({ docStatus: 'preliminary', text: { status, div } });
      const answer = await jsonPatch(`DocumentReference/${id}`, [{ op: 'replace', path: '/docStatus', value: 'final' }]);
      expectStatus(answer, 200);
      expect(answer.json.text?.div).not.toBe(div);
    }
    const own = await create({ docStatus: 'preliminary', text: { status: 'additional', div } });
    const kept = await jsonPatch(`DocumentReference/${own.id}`, [{ op: 'replace', path: '/docStatus', value: 'final' }]);
    expect(kept.json.text?.div).toBe(div);
  });

  row('PA-08', async () => {
    const { id } = await create();
    const path = `DocumentReference/${id}`;
    for (const change of [{ op: 'replace', path: '/id', value: 'other' }, { op: 'remove', path: '/id' }, { op: 'replace', path: '/resourceType', value: 'Media' }, { op: 'remove', path: '/resourceType' }]) {
      const answer = await jsonPatch(path, [change]);
      expect({ change, status: answer.status }).toEqual({ change, status: 422 });
    }
    expectOutcome(await pathPatch(path, [{ type: 'replace', path: 'DocumentReference.id', valueId: 'other' }]), 422);
    for (const change of [{ op: 'replace', path: '/meta/versionId', value: '77' }, { op: 'replace', path: '/meta/lastUpdated', value: '1999-01-01T00:00:00Z' }, { op: 'replace', path: '/meta', value: { versionId: '77' } }]) await jsonPatch(path, [change]);
    const { meta } = (await read(id)).json;
    expect(Number(meta.versionId)).toBeLessThan(10);
    expect(Math.abs(Date.parse(meta.lastUpdated) - Date.now())).toBeLessThan(60_000);
    expectOutcome(await client.get('DocumentReference/other'), 404);
  });

  row('PA-10', async () => {
    const text = '{"resourceType":"Media","status":"completed","_status":{"extension":[{"url":"urn:s","valueDecimal":1.500}]},"duration":12.50,"height":4,"content":{"contentType":"text/plain","url":"https://elsewhere.example/1"}}';
    const { id } = (await client.post('Media', text, { 'content-type': FJ })).json;
    const byPointer = await jsonPatch(`Media/${id}`, [{ op: 'replace', path: '/height', value: 5 }]);
    const byPath = await client.call(`Media/${id}`, { method: 'PATCH', body: parameters({ type: 'replace', path: 'Media.height', valuePositiveInt: 6 }) });
    for (const answer of [byPointer, byPath]) {
      expectStatus(answer, 200);
      expect(answer.text).toContain('"duration":12.50');
      expect(answer.text).toContain('"valueDecimal":1.500');
    }
    expect(byPath.json.height).toBe(6);
  });

  row('PA-11', async () => {
    const url = (await create()).content[0].attachment.url as string;
    const answer = await client.call(url, { method: 'PATCH', body: '[]', headers: { 'content-type': JSON_PATCH } });
    expectOutcome(answer, 405, 'not-supported');
    expect(answer.headers.get('allow')).not.toContain('PATCH');
  });

  row('PA-12', async () => {
    const { id } = await create();
    const change = (at: number): object[] => [{ op: 'add', path: '/description', value: `change ${at}` }];
    const minimal = await jsonPatch(`DocumentReference/${id}`, change(1), { prefer: 'return=minimal' });
    expect([minimal.status, minimal.bytes.length, minimal.headers.get('etag')]).toEqual([200, 0, 'W/"2"']);
    expect((await jsonPatch(`DocumentReference/${id}`, change(2), { prefer: 'return=OperationOutcome' })).json.resourceType).toBe('OperationOutcome');
    expect((await jsonPatch(`DocumentReference/${id}`, change(3), { prefer: 'return=representation' })).json.description).toBe('change 3');
  });
});

describe('delete', () => {
  row('DE-01', async () => {
    const made = await create(identified('de-01'));
    const deleted = await client.delete(`DocumentReference/${made.id}`);
    expect([deleted.status, deleted.bytes.length]).toEqual([204, 0]);
    expectOutcome(await read(made.id), 410, 'deleted');
    expect(matches(await client.get('DocumentReference?identifier=urn:c|de-01'))).toEqual([]);
    expect(matches(await client.get(`DocumentReference?_id=${made.id}`))).toEqual([]);
    expect((await client.get(`DocumentReference/${made.id}/_history/1`)).json).toEqual(made);
  });

  row('DE-02', async () => {
    const { id } = await create();
    for (let time = 0; time < 3; time += 1) expectStatus(await client.delete(`DocumentReference/${id}`), 204);
    expect(await versionsOf(id)).toBe(2);
    expectStatus(await client.delete(`DocumentReference/${randomUUID()}`), 204);
    expectOutcome(await client.get(`DocumentReference/${randomUUID()}`), 404);
  });

  row('DE-03', async () => {
    expectOutcome(await client.delete('AuditEvent/x'), 405, 'not-supported');
    expectOutcome(await client.delete('Provenance/x'), 405, 'not-supported');
    const { content } = await create();
    const url = content[0].attachment.url as string;
    expectOutcome(await client.delete(url), 409, 'conflict');
    expectStatus(await client.get(url), 200);
  });

  row('DE-04', async () => {
    const { id } = await create();
    expectOutcome(await client.delete(`DocumentReference/${id}`, { 'if-match': 'W/"7"' }), 412, 'conflict');
    expectStatus(await read(id), 200);
    expectStatus(await client.delete(`DocumentReference/${id}`, { 'if-match': 'W/"1"' }), 204);
  });

  row('DE-05', async () => {
    const { id } = await create();
    await client.delete(`DocumentReference/${id}`);
    const history = await client.get(`DocumentReference/${id}/_history`);
    expectStatus(history, 200);
    expect(history.json.entry[0].request).toMatchObject({ method: 'DELETE', url: `DocumentReference/${id}` });
    expect(history.json.entry[0].resource).toBeUndefined();
    expect(history.json.total).toBe(2);
  });

  row('DE-06', async () => {
    const made = await create();
    const url = made.content[0].attachment.url as string;
    await client.delete(`DocumentReference/${made.id}`);
    const old = await client.get(`DocumentReference/${made.id}/_history/1`);
    expect(old.json.content[0].attachment.url).toBe(url);
    const bytes = await client.get(url);
    expectStatus(bytes, 200);
    expect(bytes.text).toBe('A short note.');
  });
});

describe('conditional interactions', () => {
  const conditionalCreate = (criteria: string, changes: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Answer> => client.post('DocumentReference', documentReference(changes), { 'if-none-exist': criteria, ...headers });

  row('CO-01', async () => {
    const value = randomUUID();
    const criteria = `identifier=urn:c|${value}`;
    const first = await conditionalCreate(criteria, identified(value));
    expectStatus(first, 201);
    const second = await conditionalCreate(criteria, { ...identified(value), description: 'ignored' });
    expectStatus(second, 200);
    expect(second.json).toEqual(first.json);
    expect(second.headers.get('etag')).toBe('W/"1"');
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    expect((await conditionalCreate(criteria, identified(value), { prefer: 'return=minimal' })).bytes).toHaveLength(0);
    await create(identified(value));
    expectOutcome(await conditionalCreate(criteria, identified(value)), 412, 'multiple-matches');
    expect((await client.get(`DocumentReference?identifier=urn:c|${value}&_total=accurate`)).json.total).toBe(2);
  });

  row('CO-02', async () => {
    const value = randomUUID();
    const { id } = await create(identified(value));
    for (const criteria of [`identifier=urn:c|${value}`, `?identifier=urn:c|${value}`, `DocumentReference?identifier=urn:c|${value}`, `${server.fhirBase}/DocumentReference?identifier=urn:c|${value}`, `identifier=urn%3Ac%7C${value}`]) {
      const answer = await conditionalCreate(criteria, identified(value));
      expect({ criteria, status: answer.status, id: answer.json?.id }).toEqual({ criteria, status: 200, id });
    }
    expectOutcome(await conditionalCreate(`Media?identifier=urn:c|${value}`, identified(value)), 400);
  });

  row('CO-03', async () => {
    const value = randomUUID();
    const answers = await Promise.all(Array.from({ length: 50 }, () => conditionalCreate(`identifier=urn:c|${value}`, identified(value))));
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array.from({ length: 49 }, () => 200), 201]);
    expect(new Set(answers.map((answer) => answer.json.id)).size).toBe(1);
  });

  row('CO-04', async () => {
    await create(identified(randomUUID()));
    const count = async (): Promise<number> => (await client.get('DocumentReference?_summary=count')).json.total;
    const before = await count();
    for (const criteria of ['foo=bar', 'identifier=', 'identifier=x&foo=bar', '_count=1', 'date=abc', 'status:nonsense=current', '?', '&', 'identifier']) {
      const answer = await conditionalCreate(criteria);
      expect({ criteria, status: answer.status }).toEqual({ criteria, status: 400 });
      expectOutcome(answer, 400);
      const removed = await client.delete(`DocumentReference?${criteria.replace('?', '')}`);
      expect({ criteria, refused: [400, 412].includes(removed.status) }).toEqual({ criteria, refused: true });
    }
    expect(await count()).toBe(before);
  });

  row('CO-05', async () => {
    const value = randomUUID();
    const conditionalPut = (resource: any, headers: Record<string, string> = {}): Promise<Answer> => client.put(`DocumentReference?identifier=urn:c|${value}`, resource, headers);
    const made = await conditionalPut(documentReference(identified(value)));
    expectStatus(made, 201);
    expect(made.headers.get('location')).toMatch(/\/_history\/1$/);
    const { id } = made.json;
    const changed = await conditionalPut(documentReference({ ...identified(value), description: 'second' }));
    expectStatus(changed, 200);
    expect([changed.json.id, changed.headers.get('etag')]).toEqual([id, 'W/"2"']);
    expectStatus(await conditionalPut(documentReference({ ...identified(value), id, description: 'third' })), 200);
    expectOutcome(await conditionalPut(documentReference({ ...identified(value), id: 'another' })), 400, 'invalid');
    expectOutcome(await conditionalPut(documentReference({ ...identified(value), id, description: 'stale' }), { 'if-match': 'W/"1"' }), 412, 'conflict');
    const own = randomUUID();
    const named = await client.put(`DocumentReference?identifier=urn:c|${own}`, documentReference({ ...identified(own), id: own }));
    expectStatus(named, 201);
    expect(named.json.id).toBe(own);
    await create(identified(value));
    expectOutcome(await conditionalPut(documentReference(identified(value))), 412, 'multiple-matches');
  });

  row('CO-06', async () => {
    const value = randomUUID();
    const remove = (): Promise<Answer> => client.delete(`DocumentReference?identifier=urn:c|${value}`);
    expectStatus(await remove(), 204);
    const { id } = await create(identified(value));
    expectStatus(await remove(), 204);
    expectOutcome(await read(id), 410);
    const [one, two] = [await create(identified(value)), await create(identified(value))];
    expectOutcome(await remove(), 412, 'multiple-matches');
    for (const left of [one, two]) expectStatus(await read(left.id), 200);
    expectOutcome(await client.delete('DocumentReference'), 412);
    expectOutcome(await client.delete('DocumentReference?'), 412);
    expectStatus(await read(one.id), 200);
  });

  row('CO-07', async () => {
    const value = randomUUID();
    const change = (): Promise<Answer> => jsonPatch(`DocumentReference?identifier=urn:c|${value}`, [{ op: 'add', path: '/description', value: 'patched' }]);
    expectOutcome(await change(), 404, 'not-found');
    const { id } = await create(identified(value));
    const patched = await change();
    expectStatus(patched, 200);
    expect([patched.json.id, patched.json.description]).toEqual([id, 'patched']);
    await create(identified(value));
    expectOutcome(await change(), 412, 'multiple-matches');
  });

  row('CO-08', async () => {
    const value = randomUUID();
    const ours = await create(identified(value));
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'conditional-clinic' }));
    const theirs = await stranger.post('DocumentReference', documentReference(identified(value)), { 'if-none-exist': `identifier=urn:c|${value}` });
    expectStatus(theirs, 201);
    expect(theirs.json.id).not.toBe(ours.id);
    expectStatus(await stranger.delete(`DocumentReference?identifier=urn:c|${value}`), 204);
    expectStatus(await read(ours.id), 200);
  });

  row('CO-09', async () => {
    for (const [method, path] of [['PUT', 'Binary?_id=x'], ['DELETE', 'Binary?_id=x'], ['PATCH', 'Binary?_id=x'], ['PUT', 'AuditEvent?_id=x'], ['DELETE', 'Provenance?_id=x']] as const) expectOutcome(await client.call(path, { method, body: {} }), 405, 'not-supported');
    const refused = await client.post('Binary', 'bytes', { 'content-type': 'text/plain', 'if-none-exist': 'identifier=x' });
    expectOutcome(refused, 400);
  });
});

describe('history', () => {
  row('HI-01', async () => {
    const made = await create();
    await put({ ...made, description: 'second' });
    await client.delete(`DocumentReference/${made.id}`);
    const history = await client.get(`DocumentReference/${made.id}/_history`);
    expectStatus(history, 200);
    expect(history.json).toMatchObject({ resourceType: 'Bundle', type: 'history', total: 3 });
    expect(history.json.entry.map((entry: any) => entry.request.method)).toEqual(['DELETE', 'PUT', 'POST']);
    expect(history.json.entry.map((entry: any) => entry.response.etag)).toEqual(['W/"3"', 'W/"2"', 'W/"1"']);
    expect(history.json.entry.map((entry: any) => entry.response.status.slice(0, 3))).toEqual(['204', '200', '201']);
    for (const entry of history.json.entry) {
      expect(entry.fullUrl).toBe(`${server.fhirBase}/DocumentReference/${made.id}`);
      expect(entry.response.lastModified).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/);
      expect(entry.search).toBeUndefined();
    }
    expect(history.json.entry.map((entry: any) => entry.request.url)).toEqual([`DocumentReference/${made.id}`, `DocumentReference/${made.id}`, 'DocumentReference']);
    expect(linkOf(history, 'self')).toContain(`/DocumentReference/${made.id}/_history`);
    const instants = history.json.entry.map((entry: any) => Date.parse(entry.response.lastModified));
    expect(instants).toEqual([...instants].sort((a, b) => b - a));
  });

  row('HI-02', async () => {
    const made = await create({ description: 'first' });
    await put({ ...made, description: 'second' });
    await client.delete(`DocumentReference/${made.id}`);
    await put({ ...made, description: 'fourth' });
    const { entry } = (await client.get(`DocumentReference/${made.id}/_history`)).json;
    expect(entry.map((one: any) => one.resource?.description)).toEqual(['fourth', undefined, 'second', 'first']);
    expect(entry.map((one: any) => one.resource?.meta.versionId)).toEqual(['4', undefined, '2', '1']);
  });

  row('HI-03', async () => {
    const document = await create();
    const picture = (await client.post('Media', media())).json;
    await client.delete(`Media/${picture.id}`);
    const ofType = await client.get('DocumentReference/_history?_count=5');
    expectStatus(ofType, 200);
    expect(ofType.json.type).toBe('history');
    expect(ofType.json.entry[0].resource.id).toBe(document.id);
    expect(new Set(ofType.json.entry.map((entry: any) => entry.fullUrl.split('/').at(-2)))).toEqual(new Set(['DocumentReference']));
    const ofSystem = await client.get('_history?_count=10');
    expectStatus(ofSystem, 200);
    expect(ofSystem.json.entry[0].request).toMatchObject({ method: 'DELETE', url: `Media/${picture.id}` });
    const urls = ofSystem.json.entry.map((entry: any) => entry.fullUrl as string);
    expect(urls).toEqual(expect.arrayContaining([`${server.fhirBase}/DocumentReference/${document.id}`, `${server.fhirBase}/Media/${picture.id}`]));
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'history-clinic' }));
    expect((await stranger.get('DocumentReference/_history')).json.entry).toBeUndefined();
    for (const type of ['AuditEvent', 'Provenance', 'Binary']) expectOutcome(await client.get(`${type}/_history`), (await client.get(`${type}/_history`)).status === 404 ? 404 : 405);
  });

  row('HI-04', async () => {
    const made = await create({ description: 'first' });
    await put({ ...made, description: 'second' });
    const { json } = await client.get(`DocumentReference/${made.id}/_history`);
    const [second, first] = json.entry.map((entry: any) => entry.resource.meta.lastUpdated as string);
    const at = (query: string): Promise<Answer> => client.get(`DocumentReference/${made.id}/_history?${query}`);
    const versions = async (query: string): Promise<string[]> => ((await at(query)).json.entry ?? []).map((entry: any) => entry.resource.meta.versionId);
    expect(await versions(`_since=${encodeURIComponent(second)}`)).toEqual(['2']);
    expect(await versions(`_since=${encodeURIComponent(first)}`)).toEqual(['2', '1']);
    const future = await at('_since=2999-01-01T00:00:00Z');
    expect([future.status, future.json.total, future.json.entry]).toEqual([200, 0, undefined]);
    expect(await versions(`_at=${encodeURIComponent(first)}`)).toEqual(['1']);
    expect(await versions('_at=2000-01-01')).toEqual([]);
    expect(await versions(`_at=${new Date().getUTCFullYear()}`)).toEqual(['2', '1']);
    expect(await versions('_count=1')).toEqual(['2']);
    for (const bad of ['_since=2020', '_since=2020-01-01', '_since=abc', '_at=abc', '_count=-1', '_count=x', '_since=2020-01-01T00:00:00Z&_since=2021-01-01T00:00:00Z', '_count=1&_count=2']) {
      const answer = await at(bad);
      expect({ bad, status: answer.status }).toEqual({ bad, status: 400 });
      expectOutcome(answer, 400);
    }
    expectOutcome(await client.get('DocumentReference/_history?_since=2020'), 400);
    expectOutcome(await client.get('_history?_count=x'), 400);
  });

  row('HI-05', async () => {
    const unknown = await client.get(`DocumentReference/${randomUUID()}/_history`);
    expectOutcome(unknown, 404, 'not-found');
    const { id } = await create();
    await client.delete(`DocumentReference/${id}`);
    expectStatus(await client.get(`DocumentReference/${id}/_history`), 200);
  });

  row('HI-06', async () => {
    let resource = await create({ description: 'v1' });
    for (let version = 2; version <= 7; version += 1) resource = (await put({ ...resource, description: `v${version}` })).json;
    const seen: string[] = [];
    const pages: Answer[] = [];
    for (let url: string | undefined = `DocumentReference/${resource.id}/_history?_count=3`; url !== undefined; url = linkOf(pages.at(-1) as Answer, 'next')) {
      const page = await client.get(url);
      expectStatus(page, 200);
      expect(page.json.entry.length).toBeLessThanOrEqual(3);
      pages.push(page);
      seen.push(...page.json.entry.map((entry: any) => entry.resource.meta.versionId));
      if (pages.length === 1) resource = (await put({ ...resource, description: 'while paging' })).json;
      expect(pages.length).toBeLessThan(9);
    }
    expect(seen).toEqual(['7', '6', '5', '4', '3', '2', '1']);
    const back: string[] = [];
    for (let url = linkOf(pages.at(-1) as Answer, 'previous'); url !== undefined && back.length < 20;) {
      const page = await client.get(url);
      expectStatus(page, 200);
      back.unshift(...page.json.entry.map((entry: any) => entry.resource.meta.versionId));
      url = linkOf(page, 'previous');
    }
    expect(back.slice(-6)).toEqual(['7', '6', '5', '4', '3', '2']);
    const types: string[] = [];
    for (let url: string | undefined = 'DocumentReference/_history?_count=4'; url !== undefined;) {
      const page = await client.get(url);
      types.push(...page.json.entry.map((entry: any) => `${entry.fullUrl} ${entry.response.etag}`));
      url = linkOf(page, 'next');
      if (types.length <= 4) await create();
      expect(types.length).toBeLessThan(1_000);
    }
    expect(new Set(types).size).toBe(types.length);
    expect(types.filter((one) => one.includes(resource.id))).toHaveLength(8);
  });

  row('HI-07', async () => {
    const value = randomUUID();
    const made = await client.put(`DocumentReference?identifier=urn:c|${value}`, documentReference(identified(value)));
    const { id } = made.json;
    await client.put(`DocumentReference?identifier=urn:c|${value}`, documentReference({ ...identified(value), description: 'x' }));
    await client.delete(`DocumentReference?identifier=urn:c|${value}`);
    const { entry } = (await client.get(`DocumentReference/${id}/_history`)).json;
    expect(entry.map((one: any) => one.request.method)).toEqual(['DELETE', 'PUT', 'POST']);
    for (const one of entry) expect(one.request.url).not.toContain('?');
    expect(entry[1].request.url).toBe(`DocumentReference/${id}`);
  });

  row('HI-08', async () => {
    const seen: string[] = [];
    for (let url: string | undefined = '_history?_count=100'; url !== undefined;) {
      const page = await client.get(url);
      expectStatus(page, 200);
      seen.push(...(page.json.entry ?? []).map((entry: any) => `${entry.fullUrl} ${entry.response.etag}`));
      url = linkOf(page, 'next');
    }
    expect(seen.length).toBeGreaterThan(50);
    expect(new Set(seen).size).toBe(seen.length);
  });

  row('HI-09', async () => {
    const { id } = await create();
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'history-clinic' }));
    expectOutcome(await stranger.get(`DocumentReference/${id}/_history`), 404);
    expectOutcome(await stranger.get(`DocumentReference/${id}/_history/1`), 404);
    const noScope = fhirClient(server.fhirBase, await server.token({ scope: 'user/Media.rs' }));
    for (const path of [`DocumentReference/${id}/_history`, 'DocumentReference/_history']) expectOutcome(await noScope.get(path), 403, 'forbidden');
    const system = await noScope.get('_history');
    expect(system.status === 403 || (system.json.entry ?? []).every((entry: any) => !entry.fullUrl.includes('/DocumentReference/'))).toBe(true);
  });
});
