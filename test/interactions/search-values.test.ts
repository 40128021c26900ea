// Every search parameter of the three types that are stored, by each modifier that suits it: what is found, and what
// is not.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import { documentReference, fhirClient, media, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
const MARK = randomUUID();
const PATIENT = `p-${MARK}`;

const coded = (system: string, code: string, display?: string): Record<string, unknown> => ({ coding: [{ system, code, ...(display === undefined ? {} : { display }) }] });
const to = (type: string): Record<string, unknown> => ({ reference: `${type}/${type.toLowerCase()}-${MARK}` });

type Resource = Record<string, unknown> & { resourceType: string; id: string };

const A: Resource = {
  resourceType: 'DocumentReference', id: `a-${MARK}`, status: 'superseded', date: '2024-03-05T10:00:00.250Z',
  meta: { tag: [{ system: 'urn:tag', code: 'urgent' }], security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'V' }], profile: ['https://profiles.example/Letter|1.2'], source: 'https://source.example/system/7' },
  masterIdentifier: { system: 'urn:m', value: `m-${MARK}` },
  identifier: [{ system: 'urn:i', value: `i-${MARK}`, type: { ...coded('http://terminology.hl7.org/CodeSystem/v2-0203', 'MR'), text: 'Medical record number' } }],
  type: { ...coded('http://loinc.org', '34133-9', 'Summarization of episode note'), text: 'Épisode résumé' },
  category: [coded('urn:c', 'letter', 'Letter'), coded('urn:c', 'note')],
  subject: { reference: `Patient/${PATIENT}`, identifier: { system: 'urn:patients', value: MARK } },
  author: [to('Practitioner'), { identifier: { system: 'urn:people', value: `dr-${MARK}` } }],
  authenticator: to('Organization'), custodian: to('Organization'),
  description: 'Résumé final, naïve  coöperation 100% (a.b*c)',
  securityLabel: [coded('http://terminology.hl7.org/CodeSystem/v3-Confidentiality', 'R')],
  relatesTo: [{ code: 'signs', target: { reference: `DocumentReference/x-${MARK}` } }, { code: 'appends', target: { reference: `DocumentReference/y-${MARK}/_history/3` } }],
  content: [
    { attachment: { contentType: 'text/xml; charset=UTF-8', language: 'de-CH', url: `https://files.example/${MARK}/letters/1.xml`, creation: '2024-03' }, format: { system: 'urn:f', code: 'cda' } },
    { attachment: { contentType: 'application/pdf', language: 'en', url: `https://files.example/${MARK}/letters/1.pdf`, creation: '2024-02-29T12:00:00Z' } },
  ],
  context: {
    encounter: [to('Encounter')], event: [coded('urn:e', 'visit')], period: { start: '2020-01-01' }, facilityType: coded('urn:fac', 'hospital'), practiceSetting: coded('urn:set', 'cardio'),
    related: [{ reference: `Observation/o-${MARK}` }],
  },
};
/** With nothing but what must be there: what has no value must not be found by one. */
const B: Resource = { resourceType: 'DocumentReference', id: `b-${MARK}`, status: 'current', subject: { reference: `Patient/${PATIENT}` }, content: [{ attachment: { url: `https://files.example/${MARK}/other` } }] };
/** Opposite relations, and a description that begins as A's does without its marks. */
const C: Resource = {
  resourceType: 'DocumentReference', ...documentReference(), id: `c-${MARK}`, subject: { reference: `Patient/${PATIENT}` }, description: 'resume', date: '2023-12-31T23:59:59Z',
  relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/x-${MARK}` } }], category: [coded('urn:c', 'note')],
  content: [{ attachment: { contentType: 'image/png', url: `https://files.example/${MARK}` } }], context: { period: { start: '2024-03-01', end: '2024-03-02' } },
};
const M: Resource = {
  resourceType: 'Media', ...media(), id: `m-${MARK}`, subject: { reference: `Patient/${PATIENT}` }, identifier: [{ system: 'urn:i', value: MARK }], basedOn: [to('ServiceRequest')], encounter: to('Encounter'), operator: to('Practitioner'), device: to('Device'),
  modality: coded('http://dicom.nema.org/resources/ontology/DCM', 'CT'), view: coded('urn:v', 'lateral'), bodySite: coded('urn:b', 'chest'), type: coded('http://terminology.hl7.org/CodeSystem/media-type', 'image'),
};
const L: Resource = {
  resourceType: 'List', id: `l-${MARK}`, status: 'current', mode: 'working', title: 'Überweisung', date: '2024', code: coded('https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes', 'submissionset'),
  subject: { reference: `Patient/${PATIENT}` }, source: to('Practitioner'), encounter: to('Encounter'), identifier: [{ system: 'urn:l', value: MARK }], note: [{ text: 'Bitte prüfen' }],
  entry: [{ item: { reference: `DocumentReference/a-${MARK}` } }],
  extension: [
    { url: 'https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType', valueCodeableConcept: coded('http://loinc.org', '11502-2') },
    { url: 'https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId', valueIdentifier: { system: 'urn:ietf:rfc:3986', value: 'urn:oid:1.2.3' } },
  ],
};
const L2: Resource = { resourceType: 'List', id: `l2-${MARK}`, status: 'retired', mode: 'snapshot', subject: { reference: `Patient/${PATIENT}` }, emptyReason: coded('http://terminology.hl7.org/CodeSystem/list-empty-reason', 'nilknown') };

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  for (const resource of [A, B, C, M, L, L2]) {
    const stored = await client.put(`${resource.resourceType}/${resource.id}`, { ...resource });
    expect([resource.id, stored.status, stored.status === 201 ? '' : stored.text]).toEqual([resource.id, 201, '']);
  }
});
afterAll(() => server.stop());

/** The first letters of the ids that are found. */
async function found(query: string): Promise<string> {
  const answer = await client.get(query, { prefer: 'handling=strict' });
  if (answer.status !== 200) return `${answer.status} ${answer.json.issue?.[0]?.code as string}`;
  expect(answer.json.entry?.length ?? 0).toBe(answer.json.total);
  return (answer.json.entry ?? []).map((entry: { resource: { id: string } }) => entry.resource.id.split('-')[0]).sort().join(' ');
}

/** `@` stands for the mark of this run. */
const marked = (query: string): string => query.replaceAll('@', MARK).split('&').map((pair) => { const [name = '', ...value] = pair.split('='); return `${name}=${encodeURIComponent(value.join('='))}`; }).join('&');

describe('DocumentReference', () => {
  const documents: [string, string][] = [
    ['_id=a-@', 'a'], ['_id=a-@,b-@,nobody', 'a b'], ['_tag=urgent', 'a'], ['_tag=urn:tag|urgent', 'a'], ['_security=V', 'a'], ['_security=R', ''], ['_source=https://source.example/system/7', 'a'], ['_source:below=https://source.example/system', 'a'], ['_source=https://source.example/system', ''],
    ['_profile=https://profiles.example/Letter', 'a'], ['_profile=https://profiles.example/Letter|1.2', 'a'], ['_profile=https://profiles.example/Letter|1.3', ''], ['_profile:below=https://profiles.example', 'a'],
    ['identifier=m-@', 'a'], ['identifier=urn:i|i-@', 'a'], ['identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|i-@', 'a'], ['identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|m-@', ''], ['identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|PI|i-@', ''],
    ['author=Practitioner/practitioner-@', 'a'], ['author=practitioner-@', 'a'], ['author:Practitioner=practitioner-@', 'a'], ['author:Device=practitioner-@', ''], ['author:Device=Practitioner/practitioner-@', ''], ['author:identifier=urn:people|dr-@', 'a'], ['author:identifier=dr-@', 'a'], ['author:identifier=|dr-@', ''],
    ['subject:identifier=urn:patients|@', 'a'], ['patient:identifier=urn:patients|@', 'a'], ['authenticator=organization-@', 'a'], ['custodian=Organization/organization-@', 'a'], ['encounter=Encounter/encounter-@', 'a'], ['encounter=encounter-@', 'a'], ['related=Observation/o-@', 'a'], ['related=Patient/o-@', ''],
    ['contenttype=application/pdf', 'a'], ['contenttype=text/xml', ''], ['contenttype=text/xml; charset=UTF-8', 'a'], ['contenttype:below=text/xml', 'a'], ['contenttype:below=image', 'c'], ['contenttype:below=image/*', 'c'], ['contenttype:below=imag', ''], ['contenttype:above=application/pdf;version=1.7', 'a'], ['contenttype=urn:ietf:bcp:13|application/pdf', 'a'], ['contenttype=urn:other|application/pdf', ''],
    ['description=resume', 'a c'], ['description=RÉSUMÉ FINAL', 'a'], ['description=final', ''], ['description=résumé final\\, naive cooperation', 'a'], ['description:exact=resume', 'c'], ['description:exact=Résumé final\\, naïve  coöperation 100% (a.b*c)', 'a'], ['description:exact=Resume', ''], ['description=resume,nothing', 'a c'],
    ['event=visit', 'a'], ['facility=urn:fac|hospital', 'a'], ['setting=cardio', 'a'], ['format=urn:f|cda', 'a'], ['security-label=R', 'a'], ['security-label=V', ''], ['language=de-CH', 'a'], ['language=de', ''], ['language=urn:ietf:bcp:47|en', 'a'],
    ['location=https://files.example/@/letters/1.pdf', 'a'], ['location=https://files.example/@/LETTERS/1.pdf', ''], ['location:below=https://files.example/@', 'a b c'], ['location:below=https://files.example/@/letters', 'a'], ['location:below=https://files.example/@/lett', ''], ['location:above=https://files.example/@/other/x', 'b c'],
    ['relation=signs', 'a'], ['relation=appends', 'a c'], ['relatesto=DocumentReference/x-@', 'a c'], ['relatesto=y-@', 'a'], ['relatesto=DocumentReference/y-@/_history/3', 'a'], ['relatesto=DocumentReference/y-@/_history/2', ''], ['relatesto=DocumentReference/x-@/_history/3', ''],
    ['relationship=signs$DocumentReference/x-@', 'a'], ['relationship=DocumentReference/x-@$signs', 'a'], ['relationship=signs$y-@', ''], ['relationship=appends$x-@', 'c'], ['relationship=appends$y-@', 'a'], ['relationship=appends$x-@,signs$x-@', 'a c'],
    ['period=ge2030', 'a'], ['period=2024-03', 'c'], ['period=lt2021', 'a'], ['period=ap2024-03-02', 'a c'], ['period=eb2025', 'c'], ['period=sa2019', 'a c'], ['period=ne2024', 'a'], ['creation=2024-03', 'a'], ['creation=2024-02-29', 'a'], ['creation=gt2024-03-31', ''],
    ['status=superseded', 'a'], ['status=superseded,current', 'a b c'], ['date=2024-03-05T10:00:00.250Z', 'a'], ['date=gt2024', ''], ['date=sa2023', 'a'], ['date=lt2024', 'c'],
    ['type=34133-9&category=letter', 'a'], ['type:in=http://hl7.org/fhir/ValueSet/c80-doc-typecodes', '400 invalid'], ['status:in=http://hl7.org/fhir/ValueSet/document-reference-status', 'a b c'], ['relation:in=ValueSet/document-relationship-type', 'a c'],
  ];
  it.each(documents)('%s finds "%s"', async (query, expected) => {
    const bound = /^(_id|patient|subject|description|_tag|location|identifier|author|rel|encounter|type:in)/.test(query) && !/^(description|relation=|relation:in|type:in)/.test(query) ? '' : `&patient=Patient/${PATIENT}`;
    expect(await found(`DocumentReference?${marked(query)}${bound}`)).toBe(expected);
  });

  const wide: [string, string][] = [
    ['category:not=letter', 'b c'], ['category:not=letter,note', 'b'], ['status:not=current', 'a'], ['contenttype:not=image/png', 'a b'], ['type:text=episode', 'a'], ['type:text=summarization of', 'a'], ['type:text=of episode', ''], ['identifier:text=medical', 'a'], ['category:text=lett', 'a'],
    ['description:contains=FINAL', 'a'], ['description:contains=100% (a.b*c)', 'a'], ['description:contains=a.bc', ''], ['description:contains=esum', 'a c'], ['description:contains=resume1', ''],
    ['status:not-in=http://hl7.org/fhir/ValueSet/document-reference-status', ''], ['relation:not-in=ValueSet/document-relationship-type', 'b'],
  ];
  it.each(wide)('%s with a patient finds "%s", and is refused without a bound', async (query, expected) => {
    expect(await found(`DocumentReference?${marked(query)}&patient=Patient/${PATIENT}`)).toBe(expected);
    expect(await found(`DocumentReference?${marked(query)}`)).toBe('400 too-costly');
    expect(await found(`DocumentReference?${marked(query)}&identifier=nobody`)).toBe('');
  });

  it('bounded by a date range a modifier looks through what lies in it', async () => {
    expect(await found(`DocumentReference?description:contains=final&date=ge2024-03-01&date=lt2024-04-01&_tag=urgent`)).toBe('a');
    expect(await found('DocumentReference?category:missing=true&_lastUpdated=ge2020')).toBe('b');
  });

  it('an address of this server is found in both forms', async () => {
    const binary = await client.post('Binary', 'here', { 'content-type': 'text/plain' });
    const id = binary.headers.get('location')?.split('/Binary/')[1]?.split('/')[0] ?? '';
    await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: `Binary/${id}` } }] }));
    for (const form of [`Binary/${id}`, `${server.fhirBase}/Binary/${id}`, `${server.fhirBase.replace('http:', 'https:')}/Binary/${id}`]) {
      expect([form, (await client.get(`DocumentReference?location=${encodeURIComponent(form)}`)).json.total]).toEqual([form, 1]);
    }
  });
});

describe('Media and List', () => {
  it.each([
    ['Media?identifier=urn:i|@', 'm'], ['Media?based-on=ServiceRequest/servicerequest-@', 'm'], ['Media?based-on=servicerequest-@', 'm'], ['Media?encounter=encounter-@', 'm'], ['Media?operator=practitioner-@', 'm'], ['Media?device=Device/device-@', 'm'],
    ['Media?modality=CT&patient=p-@', 'm'], ['Media?view=lateral&patient=p-@', 'm'], ['Media?site=chest&patient=p-@', 'm'], ['Media?type=image&patient=p-@', 'm'], ['Media?patient:missing=true&identifier=urn:i|@', ''], ['Media?modality:not=CT&patient=p-@', ''],
    ['List?code=submissionset&patient=p-@', 'l'], ['List?date=2024&patient=p-@', 'l'], ['List?date=gt2024-06&patient=p-@', 'l'], ['List?date=gt2024&patient=p-@', ''], ['List?empty-reason=nilknown&patient=p-@', 'l2'], ['List?encounter=encounter-@', 'l'], ['List?identifier=@', 'l'], ['List?item=DocumentReference/a-@', 'l'],
    ['List?notes=bitte pruf&patient=p-@', 'l'], ['List?notes:contains=PRÜF&patient=p-@', 'l'], ['List?source=practitioner-@', 'l'], ['List?status=retired&patient=p-@', 'l2'], ['List?title=uber&patient=p-@', 'l'], ['List?title:missing=true&patient=p-@', 'l2'], ['List?subject=Patient/p-@', 'l l2'],
    ['List?designationType=http://loinc.org|11502-2&patient=p-@', 'l'], ['List?sourceId=urn:oid:1.2.3&patient=p-@', 'l'], ['List?sourceId=urn:ietf:rfc:3986|urn:oid:1.2.3&patient=p-@', 'l'],
  ])('%s finds "%s"', async (query, expected) => {
    const [type = '', text = ''] = query.split('?');
    expect(await found(`${type}?${marked(text)}`)).toBe(expected);
  });
});

describe(':missing', () => {
  const cases = (['DocumentReference', 'Media', 'List'] as const).flatMap((type) => SEARCH_PARAMETERS[type].filter((parameter) => parameter.type !== 'composite').map((parameter) => [type, parameter.name] as const));
  const EMPTY = { DocumentReference: 'b', Media: '', List: 'l2' };
  /** What B and L2 have nevertheless. */
  const ALWAYS = new Set(['_id', '_lastUpdated', 'status', 'subject', 'patient', 'location']);
  it.each(cases)('of %s.%s parts what has a value from what has none', async (type, name) => {
    const [absent, present] = [await found(`${type}?${name}:missing=true&patient=Patient/${PATIENT}`), await found(`${type}?${name}:missing=false&patient=Patient/${PATIENT}`)];
    const all = (await found(`${type}?patient=Patient/${PATIENT}`)).split(' ');
    expect([...absent.split(' '), ...present.split(' ')].filter((one) => one !== '').sort()).toEqual(all);
    if (EMPTY[type] === '' || name === 'empty-reason') return;
    expect([name, absent.split(' ').includes(EMPTY[type])]).toEqual([name, !ALWAYS.has(name)]);
  });
});

describe('what cannot be found', () => {
  it.each(['_text=x', '_content=x', '_filter=a eq b', '_contained=true'])('%s is left out when lenient, and 400 when strict', async (query) => {
    const lenient = await client.get(`DocumentReference?${marked(query)}&_id=a-${MARK}`);
    expect([lenient.status, lenient.json.total, lenient.json.entry.at(-1).resource.issue[0].code]).toEqual([200, 1, 'not-supported']);
    expect((await client.get(`DocumentReference?${marked(query)}`, { prefer: 'handling=strict' })).status).toBe(400);
  });

  it('a named query is 400 either way', async () => {
    expect((await client.get('DocumentReference?_query=unknown')).status).toBe(400);
  });

  it('hostile values are values: they find nothing and break nothing', async () => {
    for (const parameter of SEARCH_PARAMETERS.DocumentReference) {
      for (const value of [`'; drop table resource; --`, '$1', '%', '\\', '"', ')', '*'.repeat(500), '\u{1F4A9}', '\uFFFF']) {
        const answer = await client.get(`DocumentReference?${parameter.name}=${encodeURIComponent(value)}&patient=Patient/${PATIENT}`);
        expect([parameter.name, value, [200, 400].includes(answer.status)]).toEqual([parameter.name, value, true]);
      }
    }
  });

  it('a list of ten thousand values is 400 at once, one of a thousand is looked up', async () => {
    const list = (count: number): string => Array.from({ length: count }, (_, n) => `x${n}`).join(',');
    const search = (body: string): Promise<{ status: number }> => client.post('DocumentReference/_search', body, { 'content-type': 'application/x-www-form-urlencoded' });
    for (const [count, expected] of [[10_000, [400, 413]], [1_001, [400]]] as const) expect(expected).toContain((await search(`identifier=${list(count)}`)).status);
    for (const name of ['identifier', '_id', 'author', 'location', 'description', 'date']) {
      expect([name, (await search(`${name}=${name === 'date' ? Array.from({ length: 1_000 }, () => '2024').join(',') : list(name === 'author' ? 300 : 1_000)}`)).status]).toEqual([name, 200]);
    }
  });

  it('a text beyond what an index row holds is found by its beginning, whole, and by what lies within', async () => {
    const long = `${'ä'.repeat(390)} ${'word '.repeat(400)}end`;
    const patient = `Patient/long-${MARK}`;
    await client.post('DocumentReference', documentReference({ subject: { reference: patient }, description: long, content: [{ attachment: { url: `https://files.example/${'x'.repeat(3_000)}` } }] }));
    for (const [query, total] of [[`description=${long.slice(0, 1_000)}`, 1], [`description=${long.slice(0, 1_000)}x`, 0], [`description:exact=${long}`, 1], ['description:contains=word end', 1], [`location=https://files.example/${'x'.repeat(3_000)}`, 1], [`location=https://files.example/${'x'.repeat(2_999)}`, 0], [`location:below=https://files.example/${'x'.repeat(3_000)}`, 1]] as const) {
      const [name = '', value = ''] = query.split(/=(.*)/s);
      const answer = await client.get(`DocumentReference?${name}=${encodeURIComponent(value)}&patient=${patient}&_total=accurate`);
      expect([query.slice(0, 40), answer.json.total]).toEqual([query.slice(0, 40), total]);
      if (name === 'description' || name === 'location') expect((await client.get(`DocumentReference?${name}=${encodeURIComponent(value)}&_total=accurate`)).json.total).toBe(total);
    }
  });
});
