// How a search is asked and answered: parameters, links, totals, pages, sorting, includes, chains, compartments.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { allPages, entriesOf, expectOutcome, expectStatus, FJ, linkOf, matches } from './expectations.ts';
import { row } from './row.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- tests look into answers of any shape */

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const FORM = 'application/x-www-form-urlencoded';
const STRICT = { prefer: 'handling=strict' };
const create = async (changes: Record<string, unknown> = {}, by = client): Promise<any> => {
  const made = await by.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/x' } }], ...changes }));
  expectStatus(made, 201);
  return made.json;
};
const createList = async (changes: Record<string, unknown>): Promise<any> => {
  const made = await client.post('List', { resourceType: 'List', status: 'current', mode: 'working', ...changes });
  expectStatus(made, 201);
  return made.json;
};
const subject = (patient: string): Record<string, unknown> => ({ subject: { reference: `Patient/${patient}` } });
const search = (path: string, headers: Record<string, string> = {}): Promise<Answer> => client.get(path, headers);
const find = async (path: string): Promise<string[]> => matches(await search(path));
const warnings = (answer: Answer): any[] => entriesOf(answer, 'outcome').flatMap((entry) => entry.resource.issue);
const selfOf = (answer: Answer): URLSearchParams => new URL(linkOf(answer, 'self') as string).searchParams;

describe('search', () => {
  row('SE-01', async () => {
    const patient = randomUUID();
    const ids = [await create(subject(patient)), await create({ ...subject(patient), status: 'superseded' }), await create(subject(patient))].map((one) => one.id);
    const get = await search(`DocumentReference?patient=${patient}&status=current&_sort=_id&_count=1`);
    for (const [path, body, type] of [
      ['DocumentReference/_search', `patient=${patient}&status=current&_sort=_id&_count=1`, FORM],
      ['DocumentReference/_search?status=current', `patient=${patient}&_sort=_id&_count=1`, FORM],
      ['DocumentReference/_search?status=current&_count=1', `patient=Patient%2F${patient}&_sort=_id`, `${FORM}; charset=UTF-8`],
    ] as const) {
      const post = await client.post(path, body, { 'content-type': type });
      expect(matches(post)).toEqual(matches(get));
      const next = linkOf(post, 'next') as string;
      expect(next).toContain(`${server.fhirBase}/`);
      expect(matches(await client.get(next))).toHaveLength(1);
      expect(linkOf(post, 'self')).not.toContain('_search');
    }
    expect((await client.post(`DocumentReference/_search?patient=${patient}`, '', { 'content-type': FORM })).json.total).toBe(3);
    expect(matches(get)).toHaveLength(1);
    expect(ids).toContain(matches(get)[0]);
    expectOutcome(await client.post('DocumentReference/_search', { status: 'current' }), 415, 'not-supported');
    expectOutcome(await client.post('DocumentReference/_search', 'status=%E0%A4%A', { 'content-type': FORM }), 400);
    const record = await client.post('AuditEvent/_search', 'action=R&_count=1', { 'content-type': FORM });
    expect(record.json).toMatchObject({ resourceType: 'Bundle', type: 'searchset' });
  });

  row('SE-02', async () => {
    const { id } = await create();
    const answer = await search(`DocumentReference?_id=${id}`);
    expect(answer.json).toMatchObject({ resourceType: 'Bundle', type: 'searchset', total: 1 });
    expect(answer.json.entry[0]).toMatchObject({ fullUrl: `${server.fhirBase}/DocumentReference/${id}`, search: { mode: 'match' }, resource: { resourceType: 'DocumentReference', id } });
    for (const type of ['AuditEvent', 'Provenance']) {
      const record = await search(`${type}?_count=2`);
      for (const entry of record.json.entry) expect(entry).toMatchObject({ fullUrl: `${server.fhirBase}/${type}/${entry.resource.id}`, search: { mode: 'match' } });
    }
  });

  row('SE-03', async () => {
    const patient = randomUUID();
    await create(subject(patient));
    const answer = await search(`DocumentReference?foo=bar&status=current&patient=${patient}&_count=100000`);
    expectStatus(answer, 200);
    expect(linkOf(answer, 'self')).toMatch(new RegExp(`^${server.fhirBase}/DocumentReference\\?`));
    const self = selfOf(answer);
    expect(self.has('foo')).toBe(false);
    expect([self.get('status'), self.get('_count')]).toEqual(['current', '1000']);
    expect(self.get('patient')).toContain(patient);
    expect(matches(await search(linkOf(answer, 'self') as string))).toEqual(matches(answer));
    expect(selfOf(await search(`DocumentReference?patient=${patient}`)).get('_count') ?? '20').toBe('20');
    expect(selfOf(await search(`DocumentReference?patient=${patient}&_sort=-date`)).get('_sort')).toBe('-date');
    expect(selfOf(await search(`DocumentReference?patient=${patient}&date=ge2020&date=lt2030`)).getAll('date')).toEqual(['ge2020', 'lt2030']);
  });

  row('SE-04', async () => {
    const { id } = await create();
    const lenient = await search(`DocumentReference?_id=${id}&foo=bar`);
    expect(matches(lenient)).toEqual([id]);
    expect(warnings(lenient).map((issue) => issue.severity)).toEqual(['warning']);
    expect(warnings(lenient)[0].diagnostics).toContain('foo');
    expect(matches(await search(`DocumentReference?_id=${id}&foo=bar`, { prefer: 'handling=lenient' }))).toEqual([id]);
    for (const prefer of ['handling=strict', 'return=minimal, handling=strict', 'handling=strict; x=1']) expectOutcome(await search(`DocumentReference?_id=${id}&foo=bar`, { prefer }), 400);
    expectStatus(await search(`DocumentReference?_id=${id}`, STRICT), 200);
    expectOutcome(await search('AuditEvent?foo=bar', STRICT), 400);
  });

  row('SE-05', async () => {
    for (const query of ['status:foo=x', 'date:exact=2020', 'description:below=x', 'patient:contains=x', '_id:text=x', 'status:exact=current', 'location:contains=x', 'identifier:above-all=x', 'subject:Nonsense=1', 'relationship:not=a$b', 'date:=2020']) {
      const answer = await search(`DocumentReference?${query}`);
      expect({ query, status: answer.status }).toEqual({ query, status: 400 });
      expectOutcome(answer, 400);
    }
    expectOutcome(await search('AuditEvent?date:exact=2020'), 400);
  });

  row('SE-06', async () => {
    const { id } = await create();
    const answer = await search(`DocumentReference?_id=${id}&Status=superseded&_ID=other`);
    expect(matches(answer)).toEqual([id]);
    expect(linkOf(answer, 'self')).not.toMatch(/Status|_ID/);
    expectOutcome(await search(`DocumentReference?_id=${id}&Status=current`, STRICT), 400);
  });

  row('SE-07', async () => {
    const patient = randomUUID();
    const { id } = await create(subject(patient));
    for (const query of ['status=', 'date=', 'type=&description=', '_sort=', '_lastUpdated=']) {
      const answer = await search(`DocumentReference?patient=${patient}&${query}`);
      expect({ query, ids: matches(answer) }).toEqual({ query, ids: [id] });
      expect([...selfOf(answer).keys()]).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(status|date|type|description|_lastUpdated)$/)]));
      expect([...selfOf(answer).values()]).not.toContain('');
    }
  });

  row('SE-08', async () => {
    for (const query of ['date=abc', 'date=2020-13-01', 'date=2020-02-30', 'date=xx2020', 'date=2020-01-01T25:00Z', '_count=-1', '_count=x', '_count=1.5', '_count=99999999999999999999', '_lastUpdated=yesterday', '_summary=perhaps', '_total=roughly', 'status:missing=maybe', 'period=ge', '_include=nonsense:', 'relationship=justone']) {
      const answer = await search(`DocumentReference?${query}`, STRICT);
      expect({ query, status: answer.status }).toEqual({ query, status: 400 });
      expectOutcome(answer, 400);
    }
    expectOutcome(await search('DocumentReference?_sort=nope', STRICT), 400);
    expectOutcome(await search('DocumentReference?date=abc'), 400);
    expectOutcome(await search('DocumentReference?_count=-1'), 400);
    const lenient = await search(`DocumentReference?_sort=nope&patient=${randomUUID()}`);
    expectStatus(lenient, 200);
    expect(warnings(lenient).length).toBeGreaterThan(0);
  });

  row('SE-09', async () => {
    for (const query of [`patient=${randomUUID()}`, 'type=no-such-code', `_id=${randomUUID()}`, 'identifier=urn:none|x', `patient=Patient/${randomUUID()}&status=current`, `subject=Group/${randomUUID()}`]) {
      const answer = await search(`DocumentReference?${query}`);
      expectStatus(answer, 200);
      expect({ query, total: answer.json.total, entry: answer.json.entry }).toEqual({ query, total: 0, entry: undefined });
    }
  });

  row('SE-10', async () => {
    const patient = randomUUID();
    const comma = await create({ ...subject(patient), description: 'Letter, second', date: '2020-06-01T00:00:00Z', type: { coding: [{ system: 'urn:x', code: 'a,b' }] } });
    const other = await create({ ...subject(patient), description: 'Dollar $ pipe | back\\slash', status: 'superseded', date: '2021-06-01T00:00:00Z', identifier: [{ system: 'urn:p|q', value: 'v$w' }] });
    const at = (query: string): Promise<string[]> => find(`DocumentReference?patient=${patient}&${query}`);
    expect(await at('description=Letter\\, second')).toEqual([comma.id]);
    expect(await at(`description=${encodeURIComponent('Dollar \\$ pipe \\| back\\\\slash')}`)).toEqual([other.id]);
    expect(await at('type=urn:x|a\\,b')).toEqual([comma.id]);
    expect(await at('identifier=urn:p\\|q|v\\$w')).toEqual([other.id]);
    expect((await at('status=current,superseded')).sort()).toEqual([comma.id, other.id].sort());
    expect(await at('status=current&status=superseded')).toEqual([]);
    expect(await at('date=ge2020&date=lt2021')).toEqual([comma.id]);
    expect((await at('date=2020-06-01,2021-06-01')).sort()).toEqual([comma.id, other.id].sort());
  });

  row('SE-11', async () => {
    const value = randomUUID();
    const meta = { tag: [{ system: 'urn:tag', code: value }], security: [{ system: 'urn:sec', code: value }], profile: [`https://example.org/fhir/StructureDefinition/${value}`], source: `urn:source:${value}` };
    const made = [await create({ meta }), (await client.post('Media', media({ meta }))).json, await createList({ meta })];
    for (const { resourceType, id, meta: { lastUpdated } } of made) {
      for (const query of [`_id=${id}`, `_id=unknown,${id}`, `_tag=urn:tag|${value}`, `_tag=${value}`, `_security=urn:sec|${value}`, `_profile=${encodeURIComponent(meta.profile[0] as string)}`, `_source=${encodeURIComponent(meta.source)}`, `_lastUpdated=ge${encodeURIComponent(lastUpdated)}&_id=${id}`, `_lastUpdated=${encodeURIComponent(lastUpdated)}&_id=${id}`]) {
        const answer = await search(`${resourceType}?${query}`, STRICT);
        expect({ resourceType, query, ids: matches(answer) }).toEqual({ resourceType, query, ids: [id] });
      }
      expect(await find(`${resourceType}?_id=${id}&_lastUpdated=gt${encodeURIComponent(lastUpdated)}`)).toEqual([]);
      expect(await find(`${resourceType}?_tag=urn:other|${value}`)).toEqual([]);
    }
    for (const type of ['AuditEvent', 'Provenance']) {
      const one = (await search(`${type}?_count=1`)).json.entry[0].resource;
      expect(await find(`${type}?_id=${one.id}`)).toEqual([one.id]);
      expect(await find(`${type}?_id=${one.id}&_lastUpdated=gt2999`)).toEqual([]);
      for (const name of ['_tag', '_security', '_profile', '_source']) expect({ type, name, status: (await search(`${type}?${name}=urn:none`, STRICT)).status }).toEqual({ type, name, status: 200 });
    }
  });

  row('SE-12', async () => {
    const { id } = await create();
    for (const query of ['_text=word', '_content=word', '_filter=status eq current', '_contained=true']) {
      expectOutcome(await search(`DocumentReference?_id=${id}&${query}`, STRICT), 400);
      const lenient = await search(`DocumentReference?_id=${id}&${query}`);
      expect({ query, ids: matches(lenient) }).toEqual({ query, ids: [id] });
      expect(warnings(lenient).length).toBeGreaterThan(0);
      expect(linkOf(lenient, 'self')).not.toContain(query.split('=')[0]);
    }
    expectOutcome(await search(`DocumentReference?_id=${id}&_query=unknown`), 400);
    const list = await createList({ entry: [{ item: { reference: `DocumentReference/${id}` } }] });
    expect(matches(await search(`DocumentReference?_list=${list.id}`, STRICT))).toEqual([id]);
    expect(matches(await search('DocumentReference?_list=42', STRICT))).toEqual([]);
  });

  row('SE-13', async () => {
    const patient = randomUUID();
    const target = await create({ ...subject(patient), description: 'Chained target', identifier: [{ system: 'urn:chain', value: patient }] });
    const pointer = await create({ ...subject(patient), relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${target.id}` } }] });
    const list = await createList({ ...subject(patient), title: 'Folder', entry: [{ item: { reference: `DocumentReference/${pointer.id}` } }] });
    const picture = (await client.post('Media', media(subject(patient)))).json;
    const related = await create({ ...subject(patient), context: { related: [{ reference: `Media/${picture.id}` }] } });
    expect(await find(`DocumentReference?relatesto.identifier=urn:chain|${patient}`)).toEqual([pointer.id]);
    expect(await find(`DocumentReference?relatesto:DocumentReference.identifier=urn:chain|${patient}`)).toEqual([pointer.id]);
    expect(await find(`DocumentReference?relatesto.identifier=urn:chain|other`)).toEqual([]);
    expect(await find(`DocumentReference?patient=${patient}&related:Media.status=completed`)).toEqual([related.id]);
    expect(await find(`List?patient=${patient}&item:DocumentReference.relatesto.identifier=urn:chain|${patient}`)).toEqual([list.id]);
    expect(await find(`DocumentReference?patient=${patient}&_has:DocumentReference:relatesto:status=current`)).toEqual([target.id]);
    expect(await find(`DocumentReference?patient=${patient}&_has:List:item:title=Folder`)).toEqual([pointer.id]);
    expect(await find(`DocumentReference?patient=${patient}&_has:DocumentReference:relatesto:_has:List:item:title=Folder`)).toEqual([target.id]);
    // An identifier may stand in the reference itself, wherever the patient is held.
    const logical = await create({ subject: { identifier: { system: 'urn:mrn', value: patient } } });
    expect(await find(`DocumentReference?subject.identifier=urn:mrn|${patient}`)).toEqual([logical.id]);
    for (const wrong of ['relatesto.nonsense=1', 'relatesto:Media.status=completed', 'status.code=x', 'custodian.name=x', 'patient.name=x', '_has:Nonsense:x:y=1', '_has:DocumentReference:nonsense:status=current', '_has:DocumentReference:status:status=current', '_has:DocumentReference=1']) {
      const answer = await search(`DocumentReference?${wrong}`);
      expect({ wrong, status: answer.status }).toEqual({ wrong, status: 400 });
    }
  });

  row('SE-14', async () => {
    const patient = randomUUID();
    const first = await create({ ...subject(patient), description: 'first' });
    const second = await create({ ...subject(patient), relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${first.id}` } }] });
    const third = await create({ ...subject(patient), relatesTo: [{ code: 'appends', target: { reference: `${server.fhirBase}/DocumentReference/${second.id}` } }, { code: 'signs', target: { reference: `DocumentReference/${first.id}` } }] });
    const list = await createList({ ...subject(patient), entry: [{ item: { reference: `DocumentReference/${third.id}` } }] });
    const included = async (query: string): Promise<string[]> => {
      const answer = await search(query, STRICT);
      expectStatus(answer, 200);
      const all = (answer.json.entry as any[]).map((entry) => entry.fullUrl as string);
      expect(new Set(all).size).toBe(all.length);
      expect(answer.json.total ?? 1).toBe(entriesOf(answer, 'match').length);
      return entriesOf(answer, 'include').map((entry) => entry.resource.id as string).sort();
    };
    const sorted = (...resources: any[]): string[] => resources.map((one) => one.id as string).sort();
    expect(await included(`DocumentReference?_id=${second.id}&_include=DocumentReference:relatesto`)).toEqual(sorted(first));
    expect(await included(`DocumentReference?_id=${second.id}&_include=DocumentReference:relatesto:DocumentReference`)).toEqual(sorted(first));
    expect(await included(`DocumentReference?_id=${third.id}&_include=DocumentReference:relatesto`)).toEqual(sorted(first, second));
    expect(await included(`List?_id=${list.id}&_include=List:item`)).toEqual(sorted(third));
    expect(await included(`List?_id=${list.id}&_include=List:item&_include:iterate=DocumentReference:relatesto`)).toEqual(sorted(first, second, third));
    expect(await included(`DocumentReference?_id=${third.id}&_include=*`)).toEqual(sorted(first, second));
    expect(await included(`DocumentReference?_id=${first.id}&_revinclude=DocumentReference:relatesto`)).toEqual(sorted(second, third));
    expect(await included(`DocumentReference?_id=${third.id}&_revinclude=List:item&_include=DocumentReference:relatesto`)).toEqual(sorted(first, second, list));
    expect(await included(`DocumentReference?_id=${second.id}&_include=DocumentReference:relatesto&_revinclude=DocumentReference:relatesto`)).toEqual(sorted(first, third));
    const provenance = await search(`DocumentReference?_id=${first.id}&_revinclude=Provenance:target`);
    const written = entriesOf(provenance, 'include');
    expect(written.map((entry) => entry.resource.resourceType)).toEqual(['Provenance']);
    expect(JSON.stringify(written[0].resource.target)).toContain(`DocumentReference/${first.id}`);
    for (const wrong of ['_include=DocumentReference:nonsense', '_include=Nonsense:x', '_revinclude=DocumentReference:status', '_include=DocumentReference:relatesto:Media']) expectOutcome(await search(`DocumentReference?_id=${first.id}&${wrong}`, STRICT), 400);
  });

  row('SE-15', async () => {
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'include-clinic' }));
    const theirs = await create({ description: 'not yours' }, stranger);
    const ours = await create({ relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${theirs.id}` } }], description: 'ours' });
    await createList({ entry: [{ item: { reference: `DocumentReference/${ours.id}` } }] });
    const answer = await search(`DocumentReference?_id=${ours.id}&_include=DocumentReference:relatesto`);
    expect(matches(answer)).toEqual([ours.id]);
    expect(entriesOf(answer, 'include')).toEqual([]);
    expect(matches(await stranger.get(`DocumentReference?_id=${theirs.id}&_revinclude=DocumentReference:relatesto`))).toEqual([theirs.id]);
    expect(await find('DocumentReference?relatesto.description=not yours')).toEqual([]);
    const documentsOnly = fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.rs' }));
    const reverse = await documentsOnly.get(`DocumentReference?_id=${ours.id}&_revinclude=List:item&_revinclude=Provenance:target`);
    expect([403, 200]).toContain(reverse.status);
    if (reverse.status === 200) expect(entriesOf(reverse, 'include')).toEqual([]);
    const has = await documentsOnly.get(`DocumentReference?_id=${ours.id}&_has:List:item:status=current`);
    expect(has.status === 403 || has.status === 400 || has.json.total === 0).toBe(true);
  });

  row('SE-16', async () => {
    const patient = randomUUID();
    const at = (date: string | undefined, description: string | undefined): Promise<any> => create({ ...subject(patient), date, description });
    const [b, a, c, none, alsoB] = [await at('2020-01-02T00:00:00Z', 'b'), await at('2020-01-01T00:00:00Z', 'a'), await at('2020-01-03T00:00:00Z', 'c'), await at(undefined, undefined), await at('2020-01-02T00:00:00Z', 'B2')];
    const order = async (sort: string): Promise<string[]> => (await allPages(search, `DocumentReference?patient=${patient}&_sort=${sort}&_count=2`)).ids;
    const byId = [b.id, alsoB.id].sort();
    const ascending = await order('date,_id');
    expect(ascending.filter((id) => id !== none.id)).toEqual([a.id, ...byId, c.id]);
    const descending = await order('-date,_id');
    expect(descending.filter((id) => id !== none.id)).toEqual([c.id, ...byId, a.id]);
    expect((await order('-date,-_id')).filter((id) => id !== none.id)).toEqual([c.id, ...byId.toReversed(), a.id]);
    for (const sort of ['date', '-date', 'description', '-description', '_lastUpdated', '-_lastUpdated', '_id', '-_id', 'type,-date', 'status,-_lastUpdated']) {
      const once = await order(sort);
      expect(new Set(once).size).toBe(5);
      expect(await order(sort)).toEqual(once);
    }
    const missing = [ascending.indexOf(none.id), descending.indexOf(none.id)];
    for (const place of missing) expect([0, 4]).toContain(place);
    expect(await order('_lastUpdated')).toEqual([b.id, a.id, c.id, none.id, alsoB.id]);
    expect((await order('description')).filter((id) => id !== none.id)).toEqual([a.id, b.id, alsoB.id, c.id]);
    expect(selfOf(await search(`DocumentReference?patient=${patient}&_sort=-date,_id`)).get('_sort')).toBe('-date,_id');
  });

  row('SE-17', async () => {
    const patient = randomUUID();
    const made = new Set<string>();
    const left = Array.from({ length: 60 }, (_value, at) => at);
    await Promise.all(Array.from({ length: 8 }, async () => { for (let at = left.pop(); at !== undefined; at = left.pop()) made.add((await create({ ...subject(patient), date: `2020-01-${String(1 + (at % 28)).padStart(2, '0')}T00:00:00Z` })).id); }));
    for (const sort of ['', '&_sort=-date', '&_sort=_lastUpdated']) {
      const seen: string[] = [];
      const pages: Answer[] = [];
      for (let url: string | undefined = `DocumentReference?patient=${patient}&_count=7${sort}`; url !== undefined; url = linkOf(pages.at(-1) as Answer, 'next')) {
        pages.push(await search(url));
        const ids = matches(pages.at(-1) as Answer);
        expect(ids.length).toBeLessThanOrEqual(7);
        seen.push(...ids);
        if (pages.length % 3 === 1) made.add((await create({ ...subject(patient), date: '2020-01-14T12:00:00Z' })).id);
        expect(pages.length).toBeLessThan(40);
      }
      expect(new Set(seen).size).toBe(seen.length);
      const settled = [...made].slice(0, 60);
      expect(settled.filter((id) => !seen.includes(id))).toEqual([]);
      const last = pages.at(-1) as Answer;
      const previous = linkOf(last, 'previous') as string;
      expect(previous).toBeDefined();
      expect(linkOf(pages[0] as Answer, 'previous')).toBeUndefined();
      const before = await search(previous);
      expect(matches(before)).toHaveLength(7);
      expect(matches(before).filter((id) => matches(last).includes(id))).toEqual([]);
    }
    const quiet = await allPages(search, `DocumentReference?patient=${patient}&_count=20`);
    expect(quiet.ids.sort()).toEqual([...made].sort());
    expect(quiet.pages).toHaveLength(Math.ceil(made.size / 20));
  });

  row('SE-18', async () => {
    const patient = randomUUID();
    for (let time = 0; time < 3; time += 1) await create(subject(patient));
    for (const query of ['_count=0', '_summary=count', '_summary=count&_count=2', '_count=0&_sort=date']) {
      const answer = await search(`DocumentReference?patient=${patient}&${query}`);
      expectStatus(answer, 200);
      expect({ query, total: answer.json.total, entry: answer.json.entry, links: answer.json.link.map((link: any) => link.relation) }).toEqual({ query, total: 3, entry: undefined, links: ['self'] });
    }
  });

  row('SE-19', async () => {
    const patient = randomUUID();
    for (let time = 0; time < 5; time += 1) await create(subject(patient));
    const total = async (query: string): Promise<unknown> => (await search(`DocumentReference?patient=${patient}&${query}`)).json.total;
    expect(await total('_total=accurate&_count=2')).toBe(5);
    expect(await total('_total=estimate&_count=2')).toBe(5);
    expect(await total('_total=none&_count=2')).toBeUndefined();
    expect(await total('_count=5')).toBe(5);
    const first = await search(`DocumentReference?patient=${patient}&_total=accurate&_count=2&_include=DocumentReference:relatesto`);
    const second = await search(linkOf(first, 'next') as string);
    expect([undefined, 5]).toContain(second.json.total);
    expectOutcome(await search('DocumentReference?_total=sometimes', STRICT), 400);
  });

  row('SE-20', async () => {
    const patient = randomUUID();
    const target = await create({ ...subject(patient), description: 'whole' });
    const div = '<div xmlns="http://www.w3.org/1999/xhtml">t</div>';
    const { id } = await create({ ...subject(patient), text: { status: 'additional', div }, description: 'D', relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${target.id}` } }] });
    const match = async (query: string): Promise<any> => {
      const answer = await search(`DocumentReference?_id=${id}&${query}`);
      expect(matches(answer)).toEqual([id]);
      return answer.json.entry[0].resource;
    };
    const subsetted = (resource: any): boolean => JSON.stringify(resource.meta.tag ?? []).includes('SUBSETTED');
    const text = await match('_summary=text');
    expect(Object.keys(text).sort()).toEqual(['content', 'id', 'meta', 'resourceType', 'status', 'text']);
    expect(subsetted(text)).toBe(true);
    const summary = await match('_summary=true');
    expect([summary.text, summary.description, subsetted(summary)]).toEqual([undefined, 'D', true]);
    const data = await match('_summary=data');
    expect([data.text, data.author.length, subsetted(data)]).toEqual([undefined, 1, true]);
    const elements = await match('_elements=description,docStatus');
    expect(Object.keys(elements).sort()).toEqual(['content', 'description', 'id', 'meta', 'resourceType', 'status']);
    expect(subsetted(elements)).toBe(true);
    expect(subsetted(await match('_summary=false'))).toBe(false);
    const both = await search(`DocumentReference?_id=${id}&_elements=description&_include=DocumentReference:relatesto`);
    const included = entriesOf(both, 'include')[0].resource;
    expect([included.id, included.author.length, subsetted(included)]).toEqual([target.id, 1, false]);
    const textAndInclude = await search(`DocumentReference?_id=${id}&_summary=text&_include=DocumentReference:relatesto`);
    expect(entriesOf(textAndInclude, 'include')).toEqual([]);
    expect(warnings(textAndInclude).length).toBeGreaterThan(0);
  });

  row('SE-21', async () => {
    const patient = randomUUID();
    for (let time = 0; time < 4; time += 1) await create({ ...subject(patient), description: 'secret of the page' });
    const first = await search(`DocumentReference?patient=${patient}&_count=2`, { accept: 'application/fhir+xml' }).then(async () => search(`DocumentReference?patient=${patient}&_count=2`));
    const next = linkOf(first, 'next') as string;
    expect(matches(await fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/other' })).get(next))).toHaveLength(2);
    const stranger = await fhirClient(server.fhirBase, await server.token({ org: 'link-clinic' })).get(next);
    expect(stranger.text).not.toContain('secret of the page');
    const url = new URL(next);
    const cursor = [...url.searchParams].find(([name]) => name.startsWith('_') && !['_count', '_sort'].includes(name)) as [string, string];
    const change = (value: string): Promise<Answer> => { const changed = new URL(next); changed.searchParams.set(cursor[0], value); return search(changed.href); };
    const middle = Math.floor(cursor[1].length / 2);
    for (const value of [`${cursor[1].slice(0, middle)}${cursor[1][middle] === 'A' ? 'B' : 'A'}${cursor[1].slice(middle + 1)}`, cursor[1].slice(0, -3), 'nonsense', "' or 1=1", `${cursor[1]}x`]) {
      const answer = await change(value);
      expect({ value, status: answer.status }).toEqual({ value, status: 400 });
      expectOutcome(answer, 400);
    }
    const narrow = fhirClient(server.fhirBase, await server.token({ scope: 'user/Media.rs' }));
    expectOutcome(await narrow.get(next), 403);
  });

  row('SE-22', async () => {
    const patient = `compartment-${randomUUID()}`;
    const encounter = randomUUID();
    const practitioner = randomUUID();
    const device = randomUUID();
    const relative = randomUUID();
    const about = await create({ ...subject(patient), context: { encounter: [{ reference: `Encounter/${encounter}` }] } });
    const authored = await create({ author: [{ reference: `Patient/${patient}` }, { reference: `Practitioner/${practitioner}` }] });
    const byDevice = await create({ author: [{ reference: `Device/${device}` }] });
    const byRelative = await create({ author: [{ reference: `RelatedPerson/${relative}` }] });
    const picture = (await client.post('Media', media(subject(patient)))).json;
    const list = await createList(subject(patient));
    expect((await find(`Patient/${patient}/DocumentReference`)).sort()).toEqual([about.id, authored.id].sort());
    expect(await find(`Patient/${patient}/DocumentReference?status=current&author=Practitioner/${practitioner}`)).toEqual([authored.id]);
    expect(await find(`Patient/${patient}/Media`)).toEqual([picture.id]);
    expect(await find(`Patient/${patient}/List`)).toEqual([list.id]);
    expect((await find(`Patient/${patient}/AuditEvent?_count=100`)).length).toBeGreaterThan(0);
    expect((await find(`Patient/${patient}/Provenance?_count=100`)).length).toBeGreaterThan(0);
    expect(await find(`Encounter/${encounter}/DocumentReference`)).toEqual([about.id]);
    expect(await find(`Practitioner/${practitioner}/DocumentReference`)).toEqual([authored.id]);
    expect(await find(`Device/${device}/DocumentReference`)).toEqual([byDevice.id]);
    expect(await find(`RelatedPerson/${relative}/DocumentReference`)).toEqual([byRelative.id]);
    const all = await search(`Patient/${patient}/*?_count=100`);
    expectStatus(all, 200);
    const types = new Set(entriesOf(all, 'match').map((entry) => entry.resource.resourceType));
    expect([...types]).toEqual(expect.arrayContaining(['DocumentReference', 'List', 'Media']));
    expect(matches(all)).toEqual(expect.arrayContaining([about.id, authored.id, picture.id, list.id]));
    const unknown = await search(`Patient/${randomUUID()}/DocumentReference`);
    expect([unknown.status, unknown.json.total, unknown.json.entry]).toEqual([200, 0, undefined]);
    expectOutcome(await search(`Patient/${patient}/Binary`), 404);
    expectOutcome(await search(`Nonsense/${patient}/DocumentReference`), 404);
    expectOutcome(await search(`Group/${patient}/DocumentReference`), 404);
  });

  row('SE-23', async () => {
    const tag = randomUUID();
    const meta = { tag: [{ system: 'urn:tag', code: tag }] };
    const ids = [(await create({ meta })).id, (await client.post('Media', media({ meta }))).json.id, (await createList({ meta })).id];
    const found = async (query: string): Promise<string[]> => (await find(query)).sort();
    expect(await found(`?_type=DocumentReference,Media&_tag=${tag}`)).toEqual(ids.slice(0, 2).sort());
    expect(await found(`?_tag=${tag}&_type=DocumentReference,Media,List`)).toEqual([...ids].sort());
    const post = await client.post('_search', `_type=DocumentReference&_tag=${tag}`, { 'content-type': FORM });
    expect(matches(post)).toEqual(ids.slice(0, 1));
    const paged = await allPages(search, `?_type=DocumentReference,Media,List&_tag=${tag}&_count=1`);
    expect(paged.ids.sort()).toEqual([...ids].sort());
    expectOutcome(await search(`?_type=Nonsense&_tag=${tag}`, STRICT), 400);
    expectOutcome(await search('?_type=DocumentReference&description=x', STRICT), 400);
  });

  row('SE-24', async () => {
    expectOutcome(await search('Binary?_id=b1'), 405, 'not-supported');
    expectOutcome(await search('Binary'), 405, 'not-supported');
    expectOutcome(await client.post('Binary/_search', '_id=b1', { 'content-type': FORM }), 405);
    const { rest } = (await search('metadata')).json;
    expect(JSON.stringify(rest[0].resource.find((one: any) => one.type === 'Binary').interaction)).not.toContain('search');
  });

  row('SE-25', async () => {
    const { id } = await create();
    const ids = [...Array.from({ length: 270 }, () => randomUUID()), id];
    const body = `_id=${ids.join(',')}`;
    expect(body.length).toBeGreaterThan(10_000);
    expect(matches(await client.post('DocumentReference/_search', body, { 'content-type': FORM }))).toEqual([id]);
  });

  row('SE-26', async () => {
    const { id } = await create();
    const answer = await search(`DocumentReference?_id=${id}&foo=bar&_total=accurate`);
    expect(answer.json.total).toBe(1);
    const outcomes = entriesOf(answer, 'outcome');
    expect(outcomes.map((entry) => entry.resource.resourceType)).toEqual(['OperationOutcome']);
    for (const issue of outcomes[0].resource.issue) expect(['warning', 'information']).toContain(issue.severity);
    const full = await search('DocumentReference?foo=bar&_count=3');
    expect(entriesOf(full, 'match')).toHaveLength(3);
  });

  row('SE-27', async () => {
    for (const path of ['DocumentReference?date=abc', 'DocumentReference?status:foo=x', 'Media?created=x', 'List?date=x', 'AuditEvent?date=x', 'Provenance?recorded=x', '?_type=DocumentReference&_lastUpdated=x', 'Patient/1/DocumentReference?date=x']) {
      const answer = await search(path);
      expectOutcome(answer, 400);
      expect(answer.headers.get('content-type')).toContain(FJ);
    }
  });

  row('SE-28', async () => {
    const { id } = await create();
    const head = await client.call(`DocumentReference?_id=${id}`, { method: 'HEAD' });
    const get = await search(`DocumentReference?_id=${id}`);
    expect([head.status, head.bytes.length, head.headers.get('content-type')]).toEqual([200, 0, get.headers.get('content-type')]);
    expect((await client.call('DocumentReference?date=abc', { method: 'HEAD' })).status).toBe(400);
  });
});
