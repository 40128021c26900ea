// $validate, and the conformance resources that the server answers, as a stranger sees them.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import { checkResource } from '../../src/validation/check-resource.ts';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const parameters = (...parameter: object[]): object => ({ resourceType: 'Parameters', parameter });
const div = '<div xmlns="http://www.w3.org/1999/xhtml">A note</div>';

function told(answer: Answer): string[] {
  expect([answer.status, answer.json?.resourceType]).toEqual([200, 'OperationOutcome']);
  return answer.json.issue.map((issue: { severity: string; details: { coding?: { code: string }[] }; expression?: string[] }) => `${issue.severity} ${issue.details.coding?.[0]?.code ?? ''} ${issue.expression?.[0] ?? ''}`.trim());
}

async function kept(): Promise<string> {
  const [row] = await server.sql<{ counts: string }>(`select (select count(*) from resource) || ' resources, ' || (select count(*) from content) || ' contents' as counts`);
  return row?.counts ?? '';
}

describe('$validate', () => {
  it('answers 200 and that nothing is wrong, and stores nothing', async () => {
    const before = await kept();
    expect(told(await client.post('DocumentReference/$validate', { ...documentReference(), text: { status: 'generated', div } }))).toEqual(['information']);
    expect(told(await client.post('Media/$validate', parameters({ name: 'resource', resource: media() })))).toEqual(['warning invariant Media', 'information']);
    expect(await kept()).toBe(before);
  });

  it('tells of every fault at once, with its place and a text', async () => {
    const answer = await client.post('DocumentReference/$validate', { resourceType: 'DocumentReference', status: 'final', foo: 1, subject: { reference: '#p' }, context: { period: { start: '2024', end: '2023' } } });
    expect(told(answer)).toEqual([
      'error code-invalid DocumentReference.status', 'error structure DocumentReference.foo', 'error invariant DocumentReference.subject',
      'error invariant DocumentReference.context.period', 'error required DocumentReference.content', 'warning invariant DocumentReference',
    ]);
    expect(answer.json.issue[3].diagnostics).toBe('DocumentReference.context.period must not end before it starts (per-1)');
  });

  it('finds what a write would refuse, with the same codes', async () => {
    const faulty = { ...documentReference(), docStatus: 'draft', modifierExtension: [{ url: 'http://example.org/not', valueBoolean: true }] };
    const written = await client.post('DocumentReference', faulty);
    expect(written.status).toBe(422);
    const validated = await client.post('DocumentReference/$validate', faulty);
    expect(validated.json.issue.filter((issue: { severity: string }) => issue.severity === 'error')).toEqual(written.json.issue);
  });

  it('checks declared and asked profiles; what is not known is a warning and refuses nothing', async () => {
    const stored = 'https://muniment.example/fhir/StructureDefinition/stored-document';
    const linked = { ...documentReference({ content: [{ attachment: { contentType: 'text/plain', url: 'https://other.example/fhir/Binary/1' } }] }), text: { status: 'generated', div } };
    expect(told(await client.post(`DocumentReference/$validate?profile=${stored}`, linked))).toContain('error invariant DocumentReference.content[0].attachment');
    expect(told(await client.post('DocumentReference/$validate', parameters({ name: 'resource', resource: linked }, { name: 'profile', valueUri: stored })))).toContain('error invariant DocumentReference.content[0].attachment');
    const declared = { ...linked, meta: { profile: ['http://nobody.example/profile'] } };
    expect(told(await client.post('DocumentReference/$validate', declared))).toEqual(['warning unknown-profile DocumentReference.meta.profile[0]', 'information']);
    const created = await client.post('DocumentReference', declared, { prefer: 'return=OperationOutcome' });
    expect([created.status, created.json.issue.map((issue: { severity: string }) => issue.severity)]).toEqual([201, ['warning', 'information']]);
    const refused = await client.post('DocumentReference', { ...linked, meta: { profile: [stored] } });
    expect([refused.status, refused.json.issue[0].details.coding[0].code]).toEqual([422, 'invariant']);
  });

  it('checks what is stored, by GET and by POST without a body, and records that it was read', async () => {
    const { json: { id } } = await client.post('DocumentReference', documentReference());
    for (const call of [{}, { method: 'POST' }, { method: 'POST', body: parameters({ name: 'mode', valueCode: 'profile' }) }]) {
      const answer = await client.call(`DocumentReference/${id}/$validate`, call);
      expect(told(answer)).toEqual(['warning invariant DocumentReference', 'information']);
      const [event] = await client.auditOf(answer.headers.get('x-request-id') ?? '');
      expect(event.subtype[0].code).toBe('operation');
      expect(event.entity.map((entity: { what?: { reference?: string } }) => entity.what?.reference)).toContain(`DocumentReference/${id}/_history/1`);
    }
    expect((await client.get('DocumentReference/never-was/$validate')).status).toBe(404);
    await client.delete(`DocumentReference/${id}`);
    expect((await client.get(`DocumentReference/${id}/$validate`)).status).toBe(410);
  });

  it('checks an update against the id that the URL names', async () => {
    const { json } = await client.post('DocumentReference', documentReference());
    expect(told(await client.post(`DocumentReference/${json.id}/$validate`, json))).toEqual(['warning invariant DocumentReference', 'information']);
    expect(told(await client.post(`DocumentReference/${json.id}/$validate`, { ...json, id: 'other' }))).toContain('error id-mismatch DocumentReference.id');
    expect(told(await client.post(`DocumentReference/${json.id}/$validate?mode=create`, { ...json, id: 'other' }))).not.toContain('error id-mismatch DocumentReference.id');
    expect(told(await client.get(`DocumentReference/${json.id}/$validate?mode=delete`))).toContain('information');
  });

  it('answers 4xx only when the request cannot be read', async () => {
    const body = documentReference();
    expect((await client.post('DocumentReference/$validate', '{"resourceType":', { 'content-type': 'application/fhir+json' })).status).toBe(400);
    expect((await client.post('DocumentReference/$validate', 'x', { 'content-type': 'text/csv' })).status).toBe(415);
    expect((await client.post('DocumentReference/$validate?mode=guess', body)).status).toBe(400);
    expect((await client.call('DocumentReference/$validate', { method: 'POST' })).status).toBe(400);
    expect(told(await client.post('DocumentReference/$validate', media()))).toEqual(['error wrong-resource-type DocumentReference']);
    expect((await client.get('DocumentReference/$validate')).status).toBe(405);
    expect((await client.post('Patient/$validate', body)).status).toBe(404);
    expect((await client.call('DocumentReference/$validate', { method: 'POST', body, token: null })).status).toBe(401);
    expect((await client.call('DocumentReference/$validate', { method: 'POST', body, token: await server.token({ scope: 'user/Media.rs' }) })).status).toBe(403);
  });

  it('takes XML and a Binary', async () => {
    const xml = '<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/><content><attachment><title value="x"/></attachment></content></DocumentReference>';
    expect(told(await client.post('DocumentReference/$validate', xml, { 'content-type': 'application/fhir+xml' }))).toEqual(['warning invariant DocumentReference', 'information']);
    expect(told(await client.post('Binary/$validate', { resourceType: 'Binary', contentType: 'text' }))).toEqual(['error code-invalid Binary.contentType']);
  });
});

describe('conformance resources', () => {
  it('are declared with their parameters, and operations with their definitions', async () => {
    const { json } = await client.get('metadata');
    const of = (type: string): any => json.rest[0].resource.find((resource: { type: string }) => resource.type === type); // eslint-disable-line @typescript-eslint/no-explicit-any -- any shape
    for (const type of ['StructureDefinition', 'SearchParameter', 'CodeSystem', 'ValueSet', 'OperationDefinition']) {
      expect(of(type).interaction.map((one: { code: string }) => one.code)).toEqual(['read', 'search-type']);
      expect(of(type).searchParam.map((one: { name: string }) => one.name)).toEqual(expect.arrayContaining(['_id', 'url', 'version', 'name', 'status']));
    }
    for (const type of ['DocumentReference', 'Media', 'List', 'Binary']) expect(of(type).operation).toContainEqual({ name: 'validate', definition: 'https://muniment.example/fhir/OperationDefinition/validate' });
  });

  it('are read and found by url, name, version, status, id and type', async () => {
    const read = await client.get('StructureDefinition/stored-document');
    expect([read.status, read.json.url]).toEqual([200, 'https://muniment.example/fhir/StructureDefinition/stored-document']);
    expect((await client.get('StructureDefinition/stored-document', { 'if-none-match': read.headers.get('etag') ?? '' })).status).toBe(304);
    expect((await client.get('StructureDefinition/no-such')).status).toBe(404);
    const found = async (query: string): Promise<string[]> => (await client.get(query)).json.entry?.map((entry: { resource: { id: string } }) => entry.resource.id) ?? [];
    expect(await found('StructureDefinition?url=https://muniment.example/fhir/StructureDefinition/stored-media')).toEqual(['stored-media']);
    expect(await found('StructureDefinition?name=storedd&status=active')).toEqual(['stored-document']);
    expect(await found('StructureDefinition?type=Media,DocumentReference')).toEqual(['stored-document', 'stored-media']);
    expect(await found('CodeSystem?url=urn:muniment:error')).toEqual(['error']);
    expect(await found('ValueSet?_id=error&version=0.1.0')).toEqual(['error']);
    expect(await found('OperationDefinition?code=validate&type=true')).toEqual(['validate']);
    expect(await found('ValueSet?status=draft')).toEqual([]);
    expect((await client.get('ValueSet?color=red', { prefer: 'handling=strict' })).status).toBe(400);
    expect((await client.get('ValueSet?name:exact=x')).status).toBe(400);
    expect((await client.get('ValueSet?color=red')).json.entry.at(-1).search.mode).toBe('outcome');
  });

  it('hold a SearchParameter for each parameter that is served, in pages that neither lose nor repeat one', async () => {
    const urls: string[] = [];
    for (let next: string | undefined = 'SearchParameter?_count=7'; next !== undefined;) {
      const { json } = await client.get(next);
      urls.push(...json.entry.map((entry: { resource: { url: string } }) => entry.resource.url));
      next = json.link.find((link: { relation: string }) => link.relation === 'next')?.url;
    }
    const definitions = new Set(Object.values(SEARCH_PARAMETERS).flatMap((parameters) => parameters.map(({ definition }) => definition)));
    expect(urls).toHaveLength(definitions.size);
    expect(new Set(urls)).toEqual(definitions);
    const common = (await client.get('SearchParameter/Resource-tag')).json;
    expect([common.base, common.expression, common.description]).toEqual([['Resource'], 'Resource.meta.tag', expect.stringContaining('for DocumentReference, Media, List')]);
    const { json } = await client.get('SearchParameter/clinical-patient');
    expect(json).toMatchObject({ code: 'patient', type: 'reference', base: expect.arrayContaining(['DocumentReference']), target: ['Patient'] });
  });

  it('are each valid R4', async () => {
    for (const type of ['StructureDefinition', 'SearchParameter', 'CodeSystem', 'ValueSet', 'OperationDefinition']) {
      const { json } = await client.get(`${type}?_count=1000`);
      for (const { resource } of json.entry) {
        const issues = await checkResource(resource, type);
        expect([resource.id, issues.filter(({ severity }) => severity === 'error')]).toEqual([resource.id, []]);
      }
    }
  });

  it('are for whoever may read something, are recorded, and are not written', async () => {
    const reader = await server.token({ scope: 'user/DocumentReference.rs', roles: ['read-only'] });
    const answer = await client.call('CodeSystem/error', { token: reader });
    expect(answer.status).toBe(200);
    expect(await client.auditOf(answer.headers.get('x-request-id') ?? '')).toHaveLength(1);
    expect((await client.call('CodeSystem/error', { token: await server.token({ scope: 'user/DocumentReference.c' }) })).status).toBe(403);
    expect((await client.call('CodeSystem/error', { token: null })).status).toBe(401);
    for (const [method, path] of [['POST', 'CodeSystem'], ['PUT', 'CodeSystem/error'], ['DELETE', 'StructureDefinition/stored-media'], ['PATCH', 'ValueSet/error']] as const) {
      const refused = await client.call(path, { method, ...(method === 'DELETE' ? {} : { body: { resourceType: path.split('/')[0] ?? '' } }) });
      expect([method, refused.status]).toEqual([method, 405]);
    }
  });

  it('demand what the server does: what it stores is what its own profiles say', async () => {
    const { json: document } = await client.post('DocumentReference', documentReference({ meta: { profile: ['https://muniment.example/fhir/StructureDefinition/stored-document'] } }));
    expect((await checkResource(document, 'DocumentReference')).filter(({ diagnostics }) => !diagnostics.includes('dom-6'))).toEqual([]);
    const { json: linked } = await client.post('DocumentReference', documentReference({ meta: document.meta, content: [{ attachment: { contentType: 'text/plain', url: document.content[0].attachment.url.replace(`${client.base}/`, '') } }] }));
    expect((await checkResource(linked, 'DocumentReference')).filter(({ diagnostics }) => !diagnostics.includes('dom-6'))).toEqual([]);
    const { json: picture } = await client.post('Media', { ...media(), meta: { profile: ['https://muniment.example/fhir/StructureDefinition/stored-media'] } });
    expect((await checkResource(picture, 'Media')).filter(({ diagnostics }) => !diagnostics.includes('dom-6'))).toEqual([]);
  });
});
