// Input that nobody means well, over HTTP: a 4xx with an OperationOutcome or a resource that is stored, never a failure of the server.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const FHIR_JSON = { 'content-type': 'application/fhir+json' };
const content = '"status":"current","content":[{"attachment":{"title":"x"}}]';
const document = (rest: string): string => `{"resourceType":"DocumentReference",${rest}}`;

/** 201 with the resource, or 4xx with an OperationOutcome of errors that have a text. */
function answered(answer: Answer): void {
  expect(answer.status).toBeLessThan(500);
  if (answer.status === 201) return;
  expect(answer.json?.resourceType).toBe('OperationOutcome');
  expect(answer.json.issue.length).toBeGreaterThan(0);
  for (const issue of answer.json.issue) expect([issue.severity, typeof issue.diagnostics]).toEqual(['error', 'string']);
}

describe('hostile bodies', () => {
  it.each<[string, string | Buffer, number]>([
    ['an early end', document('"status":"cur'), 400],
    ['65 levels', document(`"extension":${'['.repeat(64)}${']'.repeat(64)}`), 400],
    ['50,001 properties', document(Array.from({ length: 50_001 }, (_, index) => `"k${index}":1`).join(',')), 400],
    ['a property twice', document(`${content},"status":"current"`), 400],
    ['__proto__', document(`${content},"__proto__":{"a":1}`), 400],
    ['a NUL', document(`${content},"description":"a\\u0000"`), 400],
    ['a vertical tab', document(`${content},"description":"a\\u000b"`), 400],
    ['half a surrogate pair', document(`${content},"description":"\\ud83d"`), 400],
    ['a byte order mark', `\ufeff${document(content)}`, 400],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from('{"resourceType":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]), 400],
    ['400 digits', document(`${content},"extension":[{"url":"urn:x","valueDecimal":${'9'.repeat(400)}}]`), 400],
    ['an array', '[]', 400],
    ['nothing', '', 400],
    ['an unknown modifier', document(`${content},"modifierExtension":[{"url":"urn:x","valueCode":"a"}]`), 422],
  ])('%s', async (_title, body, status) => {
    for (const path of ['DocumentReference', 'DocumentReference/hostile']) {
      const answer = await client.call(path, { method: path.includes('/') ? 'PUT' : 'POST', body, headers: FHIR_JSON });
      expect([path, answer.status]).toEqual([path, status]);
      answered(answer);
    }
  });

  it('keep nothing of what was refused, and leave the server as it was', async () => {
    const { json } = await client.get('DocumentReference?_summary=count');
    expect(json.total).toBe(0);
  });
});

const value = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', ' ', '#', '#p', 0, -1, 1.5, [], {}, [null], [[]], [{}], { reference: '#' }, { reference: 'Patient/1' }, { resourceType: 'Patient', id: 'p' }, 'Binary/x', '2024', '\u0001', 'a\'; drop table resource; --'),
  fc.jsonValue({ maxDepth: 2 }),
);
const name = fc.oneof(fc.constantFrom('status', '_status', 'content', 'contained', 'extension', 'text', 'div', 'reference', 'type', 'resourceType', 'id', 'url', 'data', 'hash', 'size', 'meta', 'tag', 'security', 'profile', 'lastUpdated', 'masterIdentifier', 'relatesTo', 'identifier', 'date', 'category', 'valueString'), fc.string({ maxLength: 6 }));
const changes = fc.array(fc.tuple(fc.nat(), name, fc.option(value, { nil: undefined })), { minLength: 1, maxLength: 4 });

function allObjects(any: unknown): Record<string, unknown>[] {
  if (Array.isArray(any)) return any.flatMap(allObjects);
  return typeof any === 'object' && any !== null ? [any as Record<string, unknown>, ...Object.values(any).flatMap(allObjects)] : [];
}

function mutate(resource: Record<string, unknown>, mutations: readonly [number, string, unknown][]): object {
  const copy = structuredClone(resource);
  for (const [at, key, next] of mutations) {
    const objects = allObjects(copy);
    const target = objects[at % objects.length];
    if (target === undefined || key === '__proto__') continue;
    if (next === undefined) delete target[key];
    else target[key] = structuredClone(next);
  }
  return copy;
}

describe('resources changed in any place', () => {
  it.each([['DocumentReference', documentReference], ['Media', media]] as const)('%s is stored or refused, never a failure', async (type, make) => {
    await fc.assert(fc.asyncProperty(changes, async (mutations) => {
      answered(await client.post(type, mutate(make(), mutations)));
    }), { numRuns: 120 });
  });

  it('are told of by $validate, whatever they are', async () => {
    await fc.assert(fc.asyncProperty(fc.oneof(changes.map((mutations) => mutate(documentReference(), mutations)), fc.jsonValue({ maxDepth: 3 })), async (body) => {
      const answer = await client.post('DocumentReference/$validate', JSON.stringify(body), FHIR_JSON);
      expect([200, 400]).toContain(answer.status);
      expect(answer.json.resourceType).toBe('OperationOutcome');
    }), { numRuns: 80 });
  });

  it('what was stored is valid when it is read', async () => {
    const { json } = await client.get('DocumentReference?_count=1000');
    for (const { resource } of json.entry ?? []) {
      if (resource.resourceType !== 'DocumentReference') continue;
      const { json: outcome } = await client.get(`DocumentReference/${resource.id}/$validate`);
      expect([resource.id, outcome.issue.filter((issue: { severity: string }) => issue.severity === 'error')]).toEqual([resource.id, []]);
    }
  });
});
