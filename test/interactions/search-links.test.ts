// Chains, _has and _list, among the resources that are held here.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
const mark = randomUUID();
const made: Record<string, string> = {};

type Json = any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into any shape

async function store(name: string, type: string, body: Record<string, unknown>): Promise<Json> {
  const created = await client.post(type, body);
  expect([created.status, created.status === 201 ? '' : created.text]).toEqual([201, '']);
  made[name] = `${type}/${created.json.id}`;
  return created.json;
}

const reference = (name: string): { reference: string } => ({ reference: made[name] ?? '' });
const idOf = (name: string): string => made[name]?.split('/')[1] ?? '';

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  const identifier = (value: string): object[] => [{ system: 'urn:links', value: `${value}-${mark}` }];
  const type = { coding: [{ system: 'urn:types', code: `t-${mark}` }] };
  await store('base', 'DocumentReference', documentReference({ type, identifier: identifier('base'), description: 'Ärztlicher Brief' }));
  await store('middle', 'DocumentReference', documentReference({ identifier: identifier('middle'), relatesTo: [{ code: 'appends', target: reference('base') }] }));
  await store('top', 'DocumentReference', documentReference({ identifier: identifier('top'), relatesTo: [{ code: 'signs', target: reference('middle') }] }));
  await store('image', 'Media', media({ identifier: identifier('image') }));
  await store('related', 'DocumentReference', documentReference({ identifier: identifier('related'), context: { related: [reference('image'), reference('base')] } }));
  await store('list', 'List', { resourceType: 'List', status: 'current', mode: 'working', code: { coding: [{ system: 'urn:lists', code: `l-${mark}` }] }, subject: { reference: `Patient/l-${mark}` }, entry: [{ item: reference('base') }, { item: reference('image') }, { item: { reference: 'DocumentReference/gone' } }] });
  await store('logical', 'DocumentReference', documentReference({ subject: { type: 'Patient', identifier: { system: 'urn:mrn', value: `m-${mark}` } } }));
  await store('contained', 'DocumentReference', documentReference({
    contained: [
      { resourceType: 'Practitioner', id: 'writer', name: [{ family: `Müller-${mark}`, given: ['Zoë', 'Anna'] }] },
      { resourceType: 'PractitionerRole', id: 'role', practitioner: { reference: '#doctor' } }, { resourceType: 'Practitioner', id: 'doctor', name: [{ family: `Roy-${mark}` }] },
      { resourceType: 'Patient', id: 'source', name: [{ family: `Subject-${mark}` }] },
    ],
    author: [{ reference: '#writer' }, { reference: '#role' }],
    context: { sourcePatientInfo: { reference: '#source' } },
  }));
});
afterAll(() => server.stop());

async function found(path: string): Promise<(string | undefined)[]> {
  const answer: Answer = await client.get(path, { prefer: 'handling=strict' });
  expect([path, answer.status, answer.status === 200 ? '' : answer.text]).toEqual([path, 200, '']);
  return (answer.json.entry ?? []).map((entry: Json) => Object.keys(made).find((name) => made[name] === `${entry.resource.resourceType}/${entry.resource.id}`)).sort();
}

describe('a chain', () => {
  it.each([
    ['relatesto.type=urn:types|t-MARK', ['middle']],
    ['relatesto:DocumentReference.identifier=base-MARK', ['middle']],
    ['relatesto.identifier=urn:links|middle-MARK', ['top']],
    ['relatesto.relatesto.type=t-MARK', ['top']],
    ['relatesto.description=aerztlicher&relatesto.type=t-MARK', []],
    ['relatesto.description=arztlich&relatesto.type=t-MARK', ['middle']],
    ['relatesto.type=t-MARK&status=superseded', []],
    ['relatesto.type=t-MARK,other', ['middle']],
    ['relatesto.type=nothing-MARK', []],
    ['relatesto.description:exact=%C3%84rztlicher%20Brief&relatesto.type=t-MARK', ['middle']],
    ['related:Media.identifier=image-MARK', ['related']],
    ['related:DocumentReference.type=t-MARK', ['related']],
    ['related:DocumentReference.identifier=image-MARK', []],
    ['related.identifier=image-MARK', ['related']],
    ['patient.identifier=urn:mrn|m-MARK', ['logical']],
    ['subject.identifier=m-MARK', ['logical']],
    ['patient:Patient.identifier=m-MARK', ['logical']],
  ])('%s', async (query, expected) => {
    expect(await found(`DocumentReference?${query.replaceAll('MARK', mark)}`)).toEqual(expected);
  });

  it('reaches what stands in a List, and stays in its self link', async () => {
    expect(await found(`List?item:DocumentReference.type=t-${mark}`)).toEqual(['list']);
    expect(await found(`List?item.identifier=image-${mark}`)).toEqual(['list']);
    const { json } = await client.get(`DocumentReference?relatesto.type=t-${mark}&_count=1`);
    expect(new URL(json.link[0].url).searchParams.get('relatesto.type')).toBe(`t-${mark}`);
    expect((await client.get(json.link[0].url)).json.total).toBe(1);
  });

  it('that is not declared, too deep, or through a parameter that is no reference is 400, also when lenient', async () => {
    for (const chain of ['patient.name=x', 'relatesto.nope=x', 'status.foo=x', 'relatesto:Media.identifier=x', 'encounter.status=x', 'relatesto.relatesto.relatesto.relatesto.type=x', 'type.text=x']) {
      const answer = await client.get(`DocumentReference?${chain}`);
      expect([chain, answer.status, answer.json.resourceType]).toEqual([chain, 400, 'OperationOutcome']);
    }
  });

  it('needs the right to search what it passes through', async () => {
    const narrow = fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.rs' }));
    expect((await narrow.get('DocumentReference?related:Media.identifier=x')).status).toBe(403);
    expect((await narrow.get('DocumentReference?relatesto.identifier=x')).status).toBe(200);
    const elsewhere = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    expect((await elsewhere.get(`DocumentReference?relatesto.type=t-${mark}`)).json.total).toBe(0);
  });

  it('through too many is refused, never answered in part', async () => {
    await server.sql(`insert into resource (org, type, id, version, last_updated, method, body, status)
      select org, type, 'bulk-' || n, 1, last_updated - interval '1 day', 'POST', '{"resourceType":"Media"}', 'preparation' from resource, generate_series(1, 1100) n where id = $1`, [idOf('image')]);
    const answer = await client.get('DocumentReference?related:Media.status=preparation');
    expect([answer.status, answer.json.issue[0].code]).toEqual([400, 'too-costly']);
  });
});

describe('_has', () => {
  it.each([
    ['DocumentReference', '_has:DocumentReference:relatesto:status=current&type=t-MARK', ['base']],
    ['DocumentReference', '_has:DocumentReference:relatesto:identifier=top-MARK', ['middle']],
    ['DocumentReference', '_has:DocumentReference:relatesto:_has:DocumentReference:relatesto:identifier=top-MARK', ['base']],
    ['DocumentReference', '_has:DocumentReference:relatesto:relatesto.type=t-MARK', ['base']],
    ['DocumentReference', '_has:List:item:code=urn:lists|l-MARK', ['base']],
    ['Media', '_has:List:item:code=l-MARK', ['image']],
    ['Media', '_has:DocumentReference:related:identifier=related-MARK', ['image']],
    ['DocumentReference', '_has:List:item:code=nothing-MARK', []],
    ['DocumentReference', '_has:List:item:code=l-MARK&_has:DocumentReference:relatesto:identifier=middle-MARK', ['base']],
  ])('%s?%s', async (type, query, expected) => {
    expect(await found(`${type}?${query.replaceAll('MARK', mark)}`)).toEqual(expected);
  });

  it('_list finds what stands in a List', async () => {
    expect(await found(`DocumentReference?_list=${idOf('list')}`)).toEqual(['base']);
    expect(await found(`Media?_list=${idOf('list')}`)).toEqual(['image']);
    expect(await found('Media?_list=unknown')).toEqual([]);
  });

  it('through the record finds what somebody touched', async () => {
    const user = `Practitioner/p-${mark}`;
    const other = fhirClient(server.fhirBase, await server.token({ user }));
    await other.get(`${made['base']}`);
    await other.get(`${made['image']}`);
    expect(await found(`DocumentReference?_has:Provenance:target:agent=${user}`)).toEqual(['base']);
    expect(await found(`Media?_has:AuditEvent:entity:agent=${user}`)).toEqual(['image']);
    const powerless = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'] }));
    expect((await powerless.get(`Media?_has:AuditEvent:entity:agent=${user}`)).status).toBe(403);
  });

  it('that is malformed is 400, also when lenient', async () => {
    for (const has of ['_has=x', '_has:List=x', '_has:List:item=x', '_has:List:nope:code=x', '_has:Nope:item:code=x', '_has:List:item:nope=x', '_has:List:code:status=x', '_has:Media:subject:status=completed']) {
      expect([has, (await client.get(`DocumentReference?${has}`)).status]).toEqual([has, 400]);
    }
  });
});

describe('names of contained authors', () => {
  it('are found from their beginning, whatever their case and accents; a contained patient is no author', async () => {
    for (const query of [`author.family=muller-${mark}`, `author.family=MÜLLER-${mark}`, `author.family=Roy-${mark}`, `author.family:exact=Müller-${mark}`, `author.given=zoe&author.family=muller-${mark}`, `author.given=Anna&author.family=muller-${mark}`]) {
      expect([query, await found(`DocumentReference?${query}`)]).toEqual([query, ['contained']]);
    }
    for (const query of [`author.family=Subject-${mark}`, `author.family=ller-${mark}`, `author.given=muller-${mark}`, `author.family:exact=müller-${mark}`]) {
      expect([query, await found(`DocumentReference?${query}`)]).toEqual([query, []]);
    }
  });
});
