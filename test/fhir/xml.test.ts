// FHIR XML and FHIR JSON: what goes over comes back, digit by digit.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fhir } from 'fhir/fhir.js';
import { parseJson, printJson, type JsonObject } from '../../src/fhir/json.ts';
import { printXml, XmlPrintError } from '../../src/fhir/print-xml.ts';
import { readXml } from '../../src/fhir/read-xml.ts';
import { RESOURCE_TYPE_NAMES } from '../../src/fhir/structure-tables.ts';
import { resource } from './arbitrary-resource.ts';

const json = (text: string): JsonObject => parseJson(text) as JsonObject;
const NS = 'xmlns="http://hl7.org/fhir"';
const HELD = ['DocumentReference', 'Media', 'Binary', 'List', 'Provenance', 'AuditEvent', 'Bundle', 'Parameters', 'OperationOutcome', 'CapabilityStatement'];

describe('JSON → XML → JSON', () => {
  it.each(HELD)('%s comes back with every digit, extension, id and space, in its order', (type) => {
    fc.assert(fc.property(resource(type), fc.boolean(), (whole, pretty) => {
      expect(printJson(readXml(printXml(whole, { pretty })))).toBe(printJson(whole));
    }), { numRuns: 150 });
  });

  it('any other type of R4 comes back too', () => {
    fc.assert(fc.property(fc.constantFrom(...RESOURCE_TYPE_NAMES.split(' ')).chain((type) => resource(type, 3)), (whole) => {
      expect(printJson(readXml(printXml(whole)))).toBe(printJson(whole));
    }), { numRuns: 300 });
  });

  it.each<[string, string]>([
    ['decimals', '{"resourceType":"Media","extension":[{"url":"a","valueDecimal":1e2},{"url":"b","valueDecimal":0.010}],"duration":12.50}'],
    ['null padding', '{"resourceType":"Patient","name":[{"given":["A",null,"C",null],"_given":[null,{"id":"b"},null,{"extension":[{"url":"u","valueCode":"x"}]}]}]}'],
    ['values of which there is none', '{"resourceType":"Patient","name":[{"_given":[{"id":"a"},{"id":"b"}]}],"_birthDate":{"extension":[{"url":"u","valueString":"unknown"}]}}'],
    ['ids of elements', '{"resourceType":"DocumentReference","id":"d","type":{"id":"t","coding":[{"id":"c","code":"x"}]}}'],
    ['contained and carried resources', '{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"List","contained":[{"resourceType":"Patient","id":"p"},{"resourceType":"Group","id":"g"}],"status":"current"}}]}'],
    ['an outcome in an entry', '{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"400","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}}}]}'],
    ['parameters in parameters', '{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","valueDecimal":1.0},{"name":"c","resource":{"resourceType":"Binary","contentType":"text/plain","data":"YQ=="}}]}]}'],
  ])('%s', (_what, text) => {
    expect(printJson(readXml(printXml(json(text))))).toBe(text);
  });

  it('JSON in any order is XML in the one order', () => {
    const shuffled = '{"content":{"url":"u","_contentType":{"id":"x"},"contentType":"a/b"},"status":"completed","_id":{"id":"q"},"id":"m","resourceType":"Media"}';
    expect(printXml(json(shuffled))).toBe(`<Media ${NS}><id id="q" value="m"/><status value="completed"/><content><contentType id="x" value="a/b"/><url value="u"/></content></Media>`);
  });

  it('narratives keep their text; names that XML does not know become numbers', () => {
    const div = (inner: string): JsonObject => ({ resourceType: 'Media', text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` } });
    expect(printJson(readXml(printXml(div('a&nbsp;b &eacute;&Omega;&euro; &lt;&bogus; &#160;'))))).toBe(printJson(div('a&#160;b &#233;&#937;&#8364; &lt;&amp;bogus; &#160;')));
  });

  it('what XML cannot hold is shown as the replacement character, and what FHIR does not have is an error', () => {
    expect(readXml(printXml({ resourceType: 'Media', deviceName: 'a\uffffb' }))['deviceName']).toBe('a\ufffdb');
    for (const odd of [{ resourceType: 'Bot' }, { resourceType: 'Media', foo: 1 }, { resourceType: 'Media', status: [] }, { resourceType: 'Media', note: {} }, { resourceType: 'Media', content: 'x' }]) {
      expect(() => printXml(odd as JsonObject)).toThrow(XmlPrintError);
    }
  });
});

describe('long values', () => {
  const base64 = 'QUJD'.repeat(50_000);
  const binary = (data: string, more = ''): string => `<Binary ${NS}><contentType value="a/b"/><data value="${data}"/>${more}</Binary>`;

  it('come back as they are, several of them, beside quotes and marks too', () => {
    const attachment = { contentType: 'a/b', data: base64, title: '"x" \' y' };
    const document: JsonObject = { resourceType: 'DocumentReference', text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><p title="${base64}">"${base64}"</p></div>` }, status: 'current', content: [{ attachment }, { attachment: { ...attachment, data: `${base64}QQ==` } }] };
    expect(printJson(readXml(printXml(document)))).toBe(printJson(document));
    const marked = { ...document, description: '\ue0000\ue000' };
    expect(readXml(printXml(marked))).toEqual(marked);
  });

  it('count in the column of a fault behind them, and are no stranger to one', () => {
    const text = binary(base64, '<foo/>');
    expect(() => readXml(text)).toThrow(expect.objectContaining({ line: 1, column: text.indexOf('<foo/>') + 6 }));
    expect(() => readXml(binary(`${base64}<`))).toThrow(/not well-formed/);
    expect(() => readXml(`<Binary ${NS} id="${base64}"/>`)).toThrow(/no attribute "id"/);
  });

  it('are read in the time that it takes to find their end', () => {
    const text = binary('QUJD'.repeat(6_000_000));
    const start = performance.now();
    expect((readXml(text)['data'] as string).length).toBe(24_000_000);
    expect(performance.now() - start).toBeLessThan(1_500);
  });
});

describe('beside another library', () => {
  const other = new Fhir();
  const known = json('{"resourceType":"DocumentReference","id":"d","language":"de","contained":[{"resourceType":"Organization","id":"o","name":"Ward \\"2\\" & <3>"}],"extension":[{"url":"urn:e","valueInteger":3}],"status":"current","_status":{"id":"s"},"custodian":{"reference":"#o"},"content":[{"attachment":{"contentType":"text/plain","size":3,"title":"a"}}]}');

  it('prints XML that it reads as the same resource', () => {
    expect(other.xmlToObj(printXml(known))).toEqual(known);
  });

  it('reads its XML as the same resource', () => {
    expect(readXml(other.objToXml(known))).toEqual(known);
  });
});

describe('XML → JSON', () => {
  const status = (attributes: string, inner = ''): string => `<Media ${attributes}>${inner}<status value="completed"/></Media>`;

  it.each([
    ['a declaration, a byte order mark, comments and white space', `\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<!-- c -->${status(NS, '\n <!-- d -->')}\n<!-- e -->`],
    ['a hint where the schema is', status(`${NS} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir x.xsd"`)],
    ['a prefix for the namespace of FHIR', '<f:Media xmlns:f="http://hl7.org/fhir"><f:status value="completed"/></f:Media>'],
    ['single quotes, references and spaces in tags', `<Media xmlns='http://hl7.org/fhir' ><status value = 'com&#112;leted' ></status ></Media >`],
  ])('takes %s', (_what, text) => {
    expect(printJson(readXml(text))).toBe('{"resourceType":"Media","status":"completed"}');
  });

  it.each([
    ['as it stands', `<div xmlns="http://www.w3.org/1999/xhtml">a &#160; <b>b</b>\r\n<br/></div>`, '<div xmlns="http://www.w3.org/1999/xhtml">a &#160; <b>b</b>\n<br/></div>'],
    ['without its prefix', '<h:div xmlns:h="http://www.w3.org/1999/xhtml">a &lt; <h:b class="&quot;x">b</h:b><h:br/></h:div>', '<div xmlns="http://www.w3.org/1999/xhtml">a &lt; <b class="&quot;x">b</b><br/></div>'],
    ['with CDATA as text', '<div xmlns="http://www.w3.org/1999/xhtml"><![CDATA[a < b & c]]></div>', '<div xmlns="http://www.w3.org/1999/xhtml">a &lt; b &amp; c</div>'],
  ])('takes a narrative %s', (_what, div, expected) => {
    const read = readXml(`<Media ${NS}><text><status value="generated"/>${div}</text></Media>`);
    expect((read['text'] as JsonObject)['div']).toBe(expected);
  });

  it('gives a narrative the namespace that it has from further up', () => {
    const read = readXml('<f:Media xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text><f:status value="generated"/><div>a</div></f:text></f:Media>');
    expect(read['text']).toEqual({ status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">a</div>' });
  });
});
