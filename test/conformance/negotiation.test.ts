// Formats and what survives them: negotiation, the two representations, fidelity of what is stored.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Fhir } from 'fhir/fhir.js';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { expectOutcome, expectStatus, FJ, FX } from './expectations.ts';
import { row } from './row.ts';

let server: TestMuniment;
let client: FhirClient;
let dr1: string;
/** Reads XML independently of this server. */
const oracle = new Fhir();

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  dr1 = (await client.post('DocumentReference', documentReference())).json.id;
});
afterAll(() => server.stop());

const asObject = (answer: Answer): Record<string, unknown> => oracle.xmlToObj(answer.text);
const typeOf = (answer: Answer): string => (answer.headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '';
const read = (accept: string): Promise<Answer> => client.get(`DocumentReference/${dr1}`, accept === '' ? {} : { accept });
const postText = (type: string, text: string, contentType = FJ): Promise<Answer> => client.post(type, text, { 'content-type': contentType });

describe('negotiation', () => {
  row('NEG-01', async () => {
    for (const path of [`DocumentReference/${dr1}`, `DocumentReference/${dr1}/_history`, 'DocumentReference?_count=2', 'DocumentReference/unknown', 'metadata']) {
      const json = await client.get(path, { accept: FJ });
      const xml = await client.get(path, { accept: FX });
      expect({ path, type: typeOf(json) }).toEqual({ path, type: FJ });
      expect({ path, type: typeOf(xml), status: xml.status }).toEqual({ path, type: FX, status: json.status });
      const parsed = oracle.xmlToObj(xml.text);
      expect(parsed.resourceType).toBe(json.json.resourceType);
      expect(xml.text).toContain(`<${parsed.resourceType} xmlns="http://hl7.org/fhir">`);
    }
    const xml = (await read(FX)).text;
    const created = await client.post('DocumentReference', xml, { 'content-type': FX, 'accept': FX });
    expectStatus(created, 201);
    expect(typeOf(created)).toBe(FX);
    expect(asObject(created).status).toBe('current');
    const mixed = await client.post('DocumentReference', xml, { 'content-type': FX, 'accept': FJ });
    expectStatus(mixed, 201);
    expect(mixed.json.type).toEqual((await read(FJ)).json.type);
    expect(mixed.headers.get('etag')).toBe('W/"1"');
  });

  row('NEG-02', async () => {
    for (const accept of ['application/json', 'text/json']) {
      const answer = await read(accept);
      expectStatus(answer, 200);
      expect(typeOf(answer)).toMatch(/^(application|text)\/(fhir\+)?json$/);
      expect(answer.json.id).toBe(dr1);
    }
    for (const accept of ['application/xml', 'text/xml']) {
      const answer = await read(accept);
      expectStatus(answer, 200);
      expect(typeOf(answer)).toMatch(/^(application|text)\/(fhir\+)?xml$/);
      expect(asObject(answer).id).toBe(dr1);
    }
    for (const type of ['application/json', 'text/json']) expectStatus(await postText('DocumentReference', JSON.stringify(documentReference()), type), 201);
  });

  row('NEG-03', async () => {
    expect(typeOf(await read('application/json+fhir'))).toBe(FJ);
    expect(typeOf(await read('application/xml+fhir'))).toBe(FX);
    expectStatus(await postText('DocumentReference', JSON.stringify(documentReference()), 'application/json+fhir'), 201);
  });

  row('NEG-04', async () => {
    expectOutcome(await read('image/png'), 406, 'not-supported');
    expectOutcome(await read('text/plain, image/*'), 406, 'not-supported');
    expectOutcome(await client.get(`DocumentReference/${dr1}?_format=image/png`), 406, 'not-supported');
    expectOutcome(await client.get('DocumentReference?_format=text/csv'), 406, 'not-supported');
    expectOutcome(await client.get(`DocumentReference/${dr1}?_format=nonsense`), 406, 'not-supported');
  });

  row('NEG-05', async () => {
    for (const type of ['text/plain', 'image/png', 'multipart/form-data; boundary=x', 'nonsense']) {
      expectOutcome(await postText('DocumentReference', JSON.stringify(documentReference()), type), 415, 'not-supported');
      expectOutcome(await client.put(`DocumentReference/${dr1}`, JSON.stringify(documentReference({ id: dr1 })), { 'content-type': type }), 415, 'not-supported');
    }
    const bytes = Buffer.from(JSON.stringify(documentReference()));
    expectOutcome(await client.call('DocumentReference', { method: 'POST', body: bytes }), 415, 'not-supported');
  });

  row('NEG-06', async () => {
    for (const value of ['json', 'application/json', 'text/json', encodeURIComponent(FJ), FJ]) {
      const answer = await client.get(`DocumentReference/${dr1}?_format=${value}`, { accept: FX });
      expect({ value, status: answer.status, json: /json$/.test(typeOf(answer)), id: answer.json?.id }).toEqual({ value, status: 200, json: true, id: dr1 });
    }
    for (const value of ['xml', 'application/xml', 'text/xml', encodeURIComponent(FX), FX]) {
      const answer = await client.get(`DocumentReference/${dr1}?_format=${value}`, { accept: FJ });
      expect({ value, status: answer.status, xml: /xml$/.test(typeOf(answer)), begin: answer.text.includes('<DocumentReference xmlns="http://hl7.org/fhir">') }).toEqual({ value, status: 200, xml: true, begin: true });
    }
    const search = await client.get(`DocumentReference?_id=${dr1}&_format=xml`, { accept: FJ });
    expect(typeOf(search)).toMatch(/xml$/);
    const json = JSON.stringify(documentReference());
    expectStatus(await client.post('DocumentReference?_format=xml', json, { 'content-type': FJ }), 201);
    expectOutcome(await client.post('DocumentReference?_format=json', json, { 'content-type': FX }), 400, 'structure');
    expect(typeOf(await client.get(`DocumentReference/${dr1}?_format=json`, { accept: 'image/png' }))).toMatch(/json$/);
  });

  row('NEG-07', async () => {
    for (const accept of ['', '*/*', 'application/*', 'text/html,application/xhtml+xml,image/webp,*/*;q=0.8', 'text/html, */*; q=0.01']) {
      const answer = await read(accept);
      expect({ accept, status: answer.status, type: typeOf(answer) }).toEqual({ accept, status: 200, type: FJ });
    }
  });

  row('NEG-08', async () => {
    for (const [accept, type] of [
      [`${FX};q=0.9, ${FJ};q=1.0`, FJ], [`${FX}, ${FJ};q=0.5`, FX], [`${FJ};q=0, */*`, FX], [`${FX};q=0, */*`, FJ], [`*/*;q=0.1, ${FX};q=0.2`, FX], [`${FX}; q=1.0, */*`, FX], [`image/png, ${FX};q=0.1`, FX],
    ] as const) {
      const answer = await read(accept);
      expect({ accept, status: answer.status, type: typeOf(answer) }).toEqual({ accept, status: 200, type });
    }
    expectOutcome(await read(`${FJ};q=0, application/json;q=0, ${FX};q=0`), 406);
    expectOutcome(await read('*/*;q=0'), 406);
  });

  row('NEG-09', async () => {
    const umlauts = documentReference({ description: 'Grüße an Zoë 💊' });
    for (const type of [`${FJ}; charset=utf-8`, `${FJ};charset=UTF-8`, `${FJ}; charset="utf-8"`]) {
      const made = await postText('DocumentReference', JSON.stringify(umlauts), type);
      expectStatus(made, 201);
      expect(made.json.description).toBe('Grüße an Zoë 💊');
    }
    for (const type of [`${FJ}; charset=iso-8859-1`, `${FJ}; charset=utf-16`, 'application/json; charset=windows-1252']) expectOutcome(await postText('DocumentReference', JSON.stringify(umlauts), type), 415, 'not-supported');
    expectOutcome(await postText('DocumentReference', `\ufeff${JSON.stringify(umlauts)}`), 400, 'structure');
    expectOutcome(await client.post('DocumentReference', Buffer.from(JSON.stringify(umlauts), 'latin1'), { 'content-type': FJ }), 400, 'structure');
  });

  row('NEG-10', async () => {
    const body = JSON.stringify(documentReference());
    expectStatus(await read(`${FJ}; fhirVersion=4.0`), 200);
    expectStatus(await postText('DocumentReference', body, `${FJ}; fhirVersion=4.0`), 201);
    for (const version of ['3.0', '5.0', '4.3', '1.0']) {
      expectOutcome(await read(`${FJ}; fhirVersion=${version}`), 406, 'not-supported');
      expectOutcome(await postText('DocumentReference', body, `${FJ}; fhirVersion=${version}`), 415, 'not-supported');
    }
    const two = await client.post('DocumentReference', body, { 'content-type': `${FJ}; fhirVersion=4.0`, 'accept': `${FJ}; fhirVersion=3.0` });
    expectOutcome(two, 406, 'not-supported');
  });

  row('NEG-11', async () => {
    const plain = await read(FJ);
    const pretty = await client.get(`DocumentReference/${dr1}?_pretty=true`);
    expect(pretty.text).toMatch(/\n {2}"/);
    expect(pretty.json).toEqual(plain.json);
    expect(pretty.headers.get('etag')).toBe(plain.headers.get('etag'));
    expect((await client.get(`DocumentReference/${dr1}?_pretty=false`)).text).toBe(plain.text);
    const xml = await client.get(`DocumentReference/${dr1}?_pretty=true&_format=xml`);
    expect(xml.text).toMatch(/\n\s+</);
    expect(oracle.xmlToObj(xml.text)).toEqual(oracle.xmlToObj((await read(FX)).text));
  });

  row('NEG-12', async () => {
    expectStatus(await client.get(`DocumentReference/${dr1}`, { 'accept-charset': 'iso-8859-1' }), 200);
  });

  row('NEG-13', async () => {
    const german = await client.get(`DocumentReference/${dr1}`, { 'accept-language': 'de-CH, de;q=0.9' });
    expectStatus(german, 200);
    expect(german.text).toBe((await read(FJ)).text);
    expectOutcome(await client.get('DocumentReference/unknown', { 'accept-language': 'de' }), 404, 'not-found');
    expectOutcome(await client.get('DocumentReference/unknown', { 'accept-language': '!!;q=z' }), 404, 'not-found');
  });

  row('NEG-14', async () => {
    expectOutcome(await read('application/fhir+turtle'), 406, 'not-supported');
    expectOutcome(await client.get(`DocumentReference/${dr1}?_format=ttl`), 406, 'not-supported');
    expect(JSON.stringify((await client.get('metadata')).json.format)).not.toMatch(/ttl|turtle/);
  });
});

const NULLS = {
  resourceType: 'Media',
  language: 'de',
  text: { status: 'additional', div: '<div xmlns="http://www.w3.org/1999/xhtml"><p>A &amp; B &lt;c&gt; <b>é</b></p></div>' },
  contained: [{ resourceType: 'Device', id: 'd2', deviceName: [{ name: 'second', type: 'other' }] }, { resourceType: 'Patient', id: 'p1', multipleBirthInteger: 2, deceasedBoolean: false }],
  extension: [{ id: 'x1', url: 'urn:test:decimal', valueDecimal: 1 }, { url: 'urn:test:nested', extension: [{ url: 'a', valueString: ' spaces  and "quotes" ' }, { url: 'b', valueBoolean: false }] }],
  identifier: [{ id: 'i1', system: 'urn:x', value: 'v1' }, { value: 'v2', _system: { extension: [{ url: 'urn:test:absent', valueCode: 'unknown' }] } }],
  status: 'completed',
  _status: { id: 's1', extension: [{ url: 'urn:test:why', valueString: 'because' }] },
  subject: { reference: '#p1' },
  createdPeriod: { start: '2024-05', _end: { extension: [{ url: 'urn:test:end', valueString: 'ongoing' }] } },
  reasonCode: [{ text: 'first' }, { coding: [{ system: 'urn:r', code: 'x', userSelected: true }] }],
  device: { reference: '#d2', display: 'D' },
  height: 1,
  duration: 12,
  content: { contentType: 'text/plain; charset=utf-8', url: 'https://elsewhere.example/x?a=1&b=2', title: 'line\none\ttab' },
  note: [{ authorString: 'A', time: '2024-05-06T07:08:09.120+02:00', text: 'note' }],
};

describe('representation', () => {
  row('REP-01', async () => {
    const text = '{"resourceType":"Media","status":"completed","duration":12.50,"content":{"contentType":"text/plain","url":"https://elsewhere.example/1"},"extension":[{"url":"urn:a","valueDecimal":0.010},{"url":"urn:b","valueDecimal":1e2},{"url":"urn:c","valueDecimal":-12345678901234567890.12345678901234567890}],"identifier":[{"system":"urn:t","value":"ID"}]}'.replace('ID', randomUUID());
    const created = await postText('Media', text);
    expectStatus(created, 201);
    const { id } = created.json;
    const search = await client.get(`Media?_id=${id}`);
    const history = await client.get(`Media/${id}/_history`);
    for (const answer of [created, await client.get(`Media/${id}`), search, history]) {
      for (const kept of ['"duration":12.50', '"valueDecimal":0.010', '"valueDecimal":1e2', '-12345678901234567890.12345678901234567890']) expect(answer.text.replaceAll(' ', '')).toContain(kept);
    }
    const xml = await client.get(`Media/${id}`, { accept: FX });
    for (const kept of ['<duration value="12.50"/>', '<valueDecimal value="0.010"/>', '-12345678901234567890.12345678901234567890']) expect(xml.text).toContain(kept);
    const back = await client.put(`Media/${id}`, xml.text, { 'content-type': FX, 'accept': FJ });
    expectStatus(back, 200);
    expect(back.text).toContain('"duration":12.50');
    const patched = await client.call(`Media/${id}`, { method: 'PATCH', body: '[{"op":"add","path":"/height","value":7}]', headers: { 'content-type': 'application/json-patch+json' } });
    expectStatus(patched, 200);
    for (const kept of ['"duration":12.50', '"valueDecimal":0.010', '"height":7']) expect(patched.text).toContain(kept);
    const replaced = await client.call(`Media/${id}`, { method: 'PATCH', body: '[{"op":"replace","path":"/duration","value":1.500}]', headers: { 'content-type': 'application/json-patch+json' } });
    expect(replaced.text).toContain('"duration":1.500');
  });

  row('REP-02', async () => {
    for (const resource of [NULLS, documentReference({ ...NULLS, resourceType: 'DocumentReference', contained: [{ resourceType: 'Organization', id: 'o1', name: 'Ward' }], custodian: { reference: '#o1' }, subject: { reference: 'Patient/1' }, createdPeriod: undefined, reasonCode: undefined, device: undefined, height: undefined, duration: undefined, note: undefined, status: 'current', content: [{ attachment: NULLS.content }, { id: 'c2', attachment: { url: 'https://elsewhere.example/2', _title: { extension: [{ url: 'urn:t', valueString: 'no title' }] } } }] })]) {
      const first = await client.post(resource.resourceType as string, resource);
      expectStatus(first, 201);
      const xml = await client.get(`${resource.resourceType as string}/${first.json.id}`, { accept: FX });
      expectStatus(xml, 200);
      const second = await client.post(resource.resourceType as string, xml.text, { 'content-type': FX, 'accept': FJ });
      expectStatus(second, 201);
      expect({ ...second.json, id: '', meta: '' }).toEqual({ ...first.json, id: '', meta: '' });
      expect(Object.keys(second.json.contained[0])).toEqual(Object.keys(first.json.contained[0]));
    }
    const padded = await client.post('List', { resourceType: 'List', status: 'current', mode: 'working', contained: [{ resourceType: 'Patient', id: 'p', name: [{ given: ['A', null, 'C'], _given: [null, { id: 'g2', extension: [{ url: 'urn:x', valueString: 'y' }] }, null] }] }], subject: { reference: '#p' } });
    expectStatus(padded, 201);
    const xml = await client.get(`List/${padded.json.id}`, { accept: FX });
    const again = await client.post('List', xml.text, { 'content-type': FX, 'accept': FJ });
    expectStatus(again, 201);
    expect(again.json.contained).toEqual(padded.json.contained);
  });

  row('REP-03', async () => {
    const faults: Record<string, unknown>[] = [{ category: [] }, { description: '' }, { type: null }, { type: {} }, { context: {} }, { category: [null] }, { author: [{}] }, { content: [{ attachment: { contentType: '' } }] }];
    for (const fault of faults) expectOutcome(await client.post('DocumentReference', documentReference(fault)), 400);
    const named = await client.post('DocumentReference', documentReference({ category: [] }));
    expect(named.json.issue[0].expression).toEqual(['DocumentReference.category']);
  });

  row('REP-04', async () => {
    const top = await client.post('DocumentReference', documentReference({ foo: 1 }));
    expectOutcome(top, 400, 'structure');
    expect(top.json.issue[0].expression).toEqual(['DocumentReference.foo']);
    const deep = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: 'https://x.example/1', colour: 'red' } }] }));
    expectOutcome(deep, 400, 'structure');
    expect(deep.json.issue[0].expression).toEqual(['DocumentReference.content[0].attachment.colour']);
    expectOutcome(await postText('DocumentReference', `<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/><foo value="1"/><content><attachment><url value="https://x.example/1"/></attachment></content></DocumentReference>`, FX), 400, 'structure');
  });

  row('REP-05', async () => {
    const text = JSON.stringify(documentReference());
    expectOutcome(await postText('DocumentReference', text.replace('"status":"current"', '"status":"current","status":"superseded"')), 400, 'structure');
    expectOutcome(await postText('DocumentReference', text.replace('"title":"Note"', '"title":"Note","title":"Note"')), 400, 'structure');
    expectOutcome(await postText('DocumentReference', text.replace('"status":"current"', '"status":"current","\\u0073tatus":"superseded"')), 400, 'structure');
  });

  row('REP-06', async () => {
    const modified = documentReference({ modifierExtension: [{ url: 'https://elsewhere.example/negated', valueBoolean: true }] });
    expectOutcome(await client.post('DocumentReference', modified), 422, 'extension');
    const inner = documentReference({ content: [{ modifierExtension: [{ url: 'https://elsewhere.example/negated', valueBoolean: true }], attachment: { contentType: 'text/plain', url: 'https://x.example/1' } }] });
    expectOutcome(await client.post('DocumentReference', inner), 422, 'extension');
  });

  row('REP-07', async () => {
    const attachment = '<content><attachment><url value="https://x.example/1"/></attachment></content>';
    const swapped = `<DocumentReference xmlns="http://hl7.org/fhir">${attachment}<status value="current"/></DocumentReference>`;
    expectOutcome(await postText('DocumentReference', swapped, FX), 400, 'structure');
    expectOutcome(await postText('DocumentReference', `<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/>${attachment}<description value="x"/></DocumentReference>`, FX), 400, 'structure');
    expectStatus(await postText('DocumentReference', `<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/>${attachment}</DocumentReference>`, FX), 201);
    const { resourceType, ...rest } = documentReference();
    expectStatus(await client.post('DocumentReference', { ...rest, resourceType }), 201);
    expectStatus(await client.post('DocumentReference', Object.fromEntries(Object.entries(documentReference()).reverse())), 201);
  });

  row('REP-08', async () => {
    const div = (inner: string): Record<string, unknown> => documentReference({ text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` } });
    for (const inner of ['<script>alert(1)</script>', '<p onclick="x()">a</p>', '<img src="javascript:alert(1)"/>', '<a href="javascript:alert(1)">x</a>', '<iframe src="https://evil.example"/>', '<form action="https://evil.example"><input/></form>', '<p>unclosed', '<object data="x"/>', '<style>@import url(https://evil.example)</style>']) {
      const refused = await client.post('DocumentReference', div(inner));
      expect({ inner, status: [400, 422].includes(refused.status) }).toEqual({ inner, status: true });
      expectOutcome(refused, refused.status);
    }
    expectOutcome(await client.post('DocumentReference', documentReference({ text: { status: 'generated' } })), 422, 'required');
    expectOutcome(await client.post('DocumentReference', documentReference({ text: { status: 'generated', div: '<p>no div</p>' } })), 400);
    const fine = await client.post('DocumentReference', div('<p class="a">fine <b>bold</b><br/><img src="#pic" alt="x"/></p><table><tr><td>1</td></tr></table>'));
    expectStatus(fine, 201);
    expect(fine.json.text.div).toContain('<p class="a">fine <b>bold</b>');
  });

  row('REP-09', async () => {
    let asked = 0;
    const listener = createServer((_request, response) => { asked += 1; response.end('<!ENTITY x "y">'); });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/x.dtd`;
    const body = '<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/><description value="&x;"/><content><attachment><url value="https://x.example/1"/></attachment></content></DocumentReference>';
    const lol = '<!ENTITY a "aaaaaaaaaa">'.concat(...Array.from({ length: 12 }, (_value, at) => `<!ENTITY ${String.fromCharCode(98 + at)} "${`&${String.fromCharCode(97 + at)};`.repeat(10)}">`));
    try {
      for (const doctype of [`<!DOCTYPE x SYSTEM "${url}">`, `<!DOCTYPE x [<!ENTITY x SYSTEM "${url}">]>`, '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>', '<!DOCTYPE DocumentReference>', `<!DOCTYPE x [${lol}<!ENTITY x "&m;">]>`, `<!DOCTYPE x [<!ENTITY % p SYSTEM "${url}">%p;]>`, '']) {
        const answer = await postText('DocumentReference', `<?xml version="1.0" encoding="UTF-8"?>${doctype}${body}`, FX);
        expectOutcome(answer, 400, 'structure');
        expect(answer.text).not.toContain('root:');
      }
      expect(asked).toBe(0);
    } finally { await new Promise((resolve) => listener.close(resolve)); }
  });

  row('REP-10', async () => {
    const attachment = (changes: Record<string, unknown>): Record<string, unknown> => ({ content: [{ attachment: { contentType: 'text/plain', url: 'https://x.example/1', ...changes } }] });
    const bad: Record<string, unknown>[] = [
      { date: '2020-01-01' }, { date: '2020-01-01T10:00:00' }, { date: '2020-01-01T10:00Z' }, { date: '2020-13-01T10:00:00Z' }, { date: '2020-02-30T10:00:00Z' },
      { status: 'current ' }, { status: ' current' }, { implicitRules: 'has space' }, { id: 'x', masterIdentifier: { system: 'urn:x y' } },
      attachment({ creation: '2020-1-1' }), attachment({ creation: '2020-01-01T10' }), attachment({ url: 'https://x.example/a b' }), attachment({ url: undefined, data: 'not base64!' }), attachment({ size: 1.5 }), attachment({ size: '5' }), attachment({ language: 'a  b' }),
      { context: { period: { start: '20200101' } } },
    ];
    for (const fault of bad) {
      const answer = await client.post('DocumentReference', documentReference(fault));
      expect({ fault, status: answer.status }).toEqual({ fault, status: 400 });
    }
    for (const creation of ['2020', '2020-05', '2020-05-06', '2020-05-06T07:08:09Z', '2020-05-06T07:08:09.5+14:00']) {
      const made = await client.post('DocumentReference', documentReference(attachment({ creation })));
      expectStatus(made, 201);
      expect(made.json.content[0].attachment.creation).toBe(creation);
    }
    const spaced = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', data: 'QSBz\naG9y dCBub3RlLg==' } }] }));
    expectStatus(spaced, 201);
    expect(spaced.json.content[0].attachment.size).toBe(13);
  });

  row('REP-11', async () => {
    const contained = (resource: Record<string, unknown>, more: Record<string, unknown> = {}): Record<string, unknown> => documentReference({ contained: [resource], ...more });
    const practitioner = { resourceType: 'Practitioner', id: 'a' };
    const author = { author: [{ reference: '#a' }] };
    expectStatus(await client.post('DocumentReference', contained(practitioner, author)), 201);
    for (const wrong of [
      documentReference({ author: [{ reference: '#nobody' }] }),
      contained(practitioner),
      contained({ ...practitioner, contained: [{ resourceType: 'Organization', id: 'o' }] }, author),
      contained({ ...practitioner, meta: { versionId: '1' } }, author),
      contained({ ...practitioner, meta: { lastUpdated: '2020-01-01T00:00:00Z' } }, author),
      contained({ ...practitioner, meta: { security: [{ code: 'R' }] } }, author),
    ]) expectOutcome(await client.post('DocumentReference', wrong), 422, 'invariant');
  });

  row('REP-12', async () => {
    const inverted = await client.post('DocumentReference', documentReference({ context: { period: { start: '2024-02-01', end: '2024-01-01' } } }));
    expectOutcome(inverted, 422, 'invariant');
    expect(inverted.json.issue[0].expression[0]).toContain('DocumentReference.context.period');
    expectOutcome(await client.post('Media', media({ createdDateTime: undefined, createdPeriod: { start: '2024-02-01T10:00:00Z', end: '2024-02-01T10:00:00+01:00' } })), 422, 'invariant');
    expectStatus(await client.post('DocumentReference', documentReference({ context: { period: { start: '2024-02-01', end: '2024-02' } } })), 201);
    expectStatus(await client.post('DocumentReference', documentReference({ context: { period: { start: '2024-02-01', end: '2024-02-01' } } })), 201);
  });

  row('REP-13', async () => {
    const meta = { versionId: '99', lastUpdated: '2001-01-01T00:00:00Z', profile: ['https://example.org/fhir/StructureDefinition/letter'], tag: [{ system: 'urn:t', code: 'a' }], security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'N' }], source: 'urn:sender' };
    const made = await client.post('DocumentReference', documentReference({ meta }));
    expectStatus(made, 201);
    expect(made.json.meta).toMatchObject({ versionId: '1', profile: meta.profile, tag: meta.tag, security: meta.security, source: meta.source });
    expect(Math.abs(Date.parse(made.json.meta.lastUpdated) - Date.now())).toBeLessThan(60_000);
    expect((await client.get(`DocumentReference/${made.json.id}`)).json.meta).toEqual(made.json.meta);
  });

  row('REP-14', async () => {
    const restricted = { system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' };
    const made = (await client.post('DocumentReference', documentReference({ meta: { security: [restricted], tag: [{ system: 'urn:t', code: 'old' }], profile: ['https://example.org/fhir/StructureDefinition/old'] } }))).json;
    const ordinary = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'] }));
    const changed = await ordinary.put(`DocumentReference/${made.id}`, { ...made, description: 'changed', meta: { tag: [{ system: 'urn:t', code: 'new' }] } });
    expectStatus(changed, 200);
    expect(changed.json.meta.security).toEqual([restricted]);
    expect(changed.json.meta.tag).toEqual([{ system: 'urn:t', code: 'new' }]);
    expect(changed.json.meta.profile).toBeUndefined();
    const lowered = await client.put(`DocumentReference/${made.id}`, { ...made, description: 'lowered', meta: { tag: [{ system: 'urn:t', code: 'new' }] } });
    expectStatus(lowered, 200);
    expect(lowered.json.meta.security).toBeUndefined();
  });

  row('REP-15', async () => {
    let resource = (await client.post('DocumentReference', documentReference())).json;
    const instants: string[] = [resource.meta.lastUpdated];
    for (let version = 2; version <= 8; version += 1) {
      const answer = await client.put(`DocumentReference/${resource.id}`, { ...resource, description: `version ${version}` });
      resource = answer.json;
      instants.push(resource.meta.lastUpdated);
      expect(Date.parse(answer.headers.get('last-modified') ?? '')).toBe(Math.floor(Date.parse(resource.meta.lastUpdated) / 1_000) * 1_000);
    }
    const numbers = instants.map((instant) => Date.parse(instant));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(instants).size).toBe(instants.length);
  });

  row('REP-16', async () => {
    const sent = documentReference({ description: 'unchanged', docStatus: 'final', custodian: { display: 'Ward 3' }, extension: [{ url: 'urn:x', valueString: ' two  spaces ' }], content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/a' }, format: { system: 'urn:f', code: 'f' } }] });
    const read = (await client.get(`DocumentReference/${(await client.post('DocumentReference', sent)).json.id}`)).json;
    const { id: _id, meta: _meta, ...rest } = read;
    expect(rest).toEqual(sent);
    expect(Object.keys(rest)).toEqual(Object.keys(sent));
  });
});
