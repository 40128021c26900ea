// What is no FHIR XML, with the place of each fault; and what hostile XML costs.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readXml } from '../../src/fhir/read-xml.ts';
import { xmlRoot, XmlSyntaxError } from '../../src/fhir/xml-syntax.ts';

const media = (inner: string, attributes = 'xmlns="http://hl7.org/fhir"'): string => `<Media ${attributes}>${inner}</Media>`;
const S = '<status value="completed"/>';
const DIV = (inner: string): string => media(`<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">${inner}</div></text>`);

function faultOf(text: string): XmlSyntaxError {
  try {
    readXml(text);
  } catch (error) {
    if (error instanceof XmlSyntaxError) return error;
    throw error;
  }
  throw new Error('It was read without a fault');
}

describe('FHIR XML is read strictly', () => {
  it.each<[string, string, string | undefined, RegExp]>([
    ['nothing', '', undefined, /too early|not well-formed/],
    ['JSON', '{"resourceType":"Media"}', undefined, /not well-formed/],
    ['a truncated document', media(S).slice(0, -4), 'Media', /not well-formed/],
    ['a truncated tag', '<Media xmlns="http://hl7', undefined, /not well-formed/],
    ['two documents', media(S) + media(S), undefined, /not well-formed/],
    ['text after the end', `${media(S)}x`, undefined, /not well-formed/],
    ['no namespace', media(S, ''), undefined, /namespace http:\/\/hl7\.org\/fhir; it is in none/],
    ['another namespace', media(S, 'xmlns="http://hl7.org/fhir/"'), undefined, /it is in "http:\/\/hl7\.org\/fhir\/"/],
    ['an element of no namespace', media('<status xmlns="" value="completed"/>'), 'Media', /namespace/],
    ['an unbound prefix', media('<f:status value="completed"/>'), 'Media', /not well-formed/],
    ['an unknown type', '<Bot xmlns="http://hl7.org/fhir"/>', undefined, /no resource type/],
    ['a data type as root', '<Attachment xmlns="http://hl7.org/fhir"/>', undefined, /no resource type/],
    ['an unknown element', media(`${S}<foo value="x"/>`), 'Media', /Media has no element "foo"/],
    ['the JSON name of what stands beside a value', media('<_status value="x"/>'), 'Media', /no element "_status"/],
    ['a name of every object', media('<constructor value="x"/>'), 'Media', /no element "constructor"/],
    ['wrong order', media(`<content><url value="u"/><contentType value="a/b"/></content>`), 'Media.content.contentType', /contentType must come before url/],
    ['a repetition that is torn apart', media('<identifier><value value="a"/></identifier><status value="x"/><identifier><value value="b"/></identifier>'), 'Media.identifier', /must come before status/],
    ['an element twice', media(S + S), 'Media.status', /once/],
    ['an unknown attribute', media('<status value="completed" code="x"/>'), 'Media.status', /no attribute "code"/],
    ['an attribute of another namespace', media('<status value="completed" x:value="y" xmlns:x="u"/>'), 'Media.status', /no attribute "x:value"/],
    ['an attribute twice', media('<status value="a" value="b"/>'), 'Media', /not well-formed/],
    ['a value of what has none', media('<content value="x"/>'), 'Media.content', /no attribute "value"/],
    ['an id as attribute of a resource', '<Media xmlns="http://hl7.org/fhir" id="x"/>', 'Media', /no attribute "id"/],
    ['an empty value', media('<status value=""/>'), 'Media.status', /may not be empty/],
    ['an empty element', media('<content></content>'), 'Media.content', /may not be empty/],
    ['an empty primitive', media('<status/>'), 'Media.status', /may not be empty/],
    ['text', media(`${S} text `), 'Media', /Text is not allowed here: "text"/],
    ['text in a primitive', media('<status>completed</status>'), 'Media.status', /Text is not allowed/],
    ['CDATA', media(`${S}<![CDATA[ ]]>`), 'Media', /Text is not allowed/],
    ['a boolean that is none', '<Patient xmlns="http://hl7.org/fhir"><active value="1"/></Patient>', 'Patient.active', /must be true or false; "1"/],
    ['a number that is none', media('<height value="01"/>'), 'Media.height', /must be a number; "01"/],
    ['a decimal with a plus', media('<duration value="+1.5"/>'), 'Media.duration', /must be a number/],
    ['a document type', `<!DOCTYPE Media>${media(S)}`, undefined, /DOCTYPE/],
    ['entities that grow', `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>${media('<status value="&b;"/>')}`, undefined, /DOCTYPE/],
    ['a file as an entity', `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>${media('<status value="&x;"/>')}`, undefined, /DOCTYPE/],
    ['an undeclared entity', media('<status value="&nbsp;"/>'), 'Media', /not well-formed/],
    ['the name of a function as an entity', media('<status value="&constructor;"/>'), 'Media', /not well-formed/],
    ['a processing instruction', `<?xml-stylesheet href="x"?>${media(S)}`, undefined, /processing instruction/],
    ['a control character', media('<status value="a\u0001"/>'), 'Media', /not well-formed/],
    ['a reference to NUL', media('<status value="&#0;"/>'), 'Media', /not well-formed/],
    ['another encoding', `<?xml version="1.0" encoding="ISO-8859-1"?>${media(S)}`, undefined, /UTF-8/],
    ['no resource in contained', media('<contained/>'), 'Media.contained[0]', /may not be empty/],
    ['two resources in one contained', media('<contained><Patient><id value="a"/></Patient><Patient><id value="b"/></Patient></contained>'), 'Media.contained[0]', /holds one resource/],
    ['a fault in a contained resource', media('<contained><Patient><id value="a"/></Patient></contained><contained><Patient><foo/></Patient></contained>'), 'Media.contained[1]', /Patient has no element "foo"/],
    ['a fault in the second of several', media('<identifier><value value="a"/></identifier><identifier><foo/></identifier>'), 'Media.identifier[1]', /Identifier has no element/],
    ['a div of FHIR', media('<text><status value="generated"/><div>x</div></text>'), 'Media.text', /namespace http:\/\/www\.w3\.org\/1999\/xhtml/],
    ['an element of FHIR in a narrative', DIV('<p xmlns="http://hl7.org/fhir">x</p>'), 'Media.text.div', /must be in the namespace/],
    ['an attribute of another namespace in a narrative', DIV('<p xmlns:x="u" x:y="z">x</p>'), 'Media.text.div', /is none of XHTML/],
    ['a processing instruction in a narrative', DIV('<?php x ?>'), 'Media.text', /processing instruction/],
    ['a narrative without end', DIV('<p>').replace('</div>', ''), 'Media.text', /not well-formed/],
  ])('refuses %s', (_what, text, expression, message) => {
    const fault = faultOf(text);
    expect(fault.message).toMatch(message);
    expect(fault.expression).toBe(expression);
  });

  it('tells line and column, and no more of a long text than a person needs', () => {
    expect(faultOf(`<Media xmlns="http://hl7.org/fhir">\n  <status value="completed"/>\n  <foo/>\n</Media>`)).toMatchObject({ line: 3, column: 8 });
    expect(faultOf(media(`<${'x'.repeat(100_000)}/>`)).message.length).toBeLessThan(300);
    expect(faultOf(media('x'.repeat(100_000))).message.length).toBeLessThan(300);
  });
});

describe('the outermost element', () => {
  it('is told of any XML that is well-formed, and of no other', () => {
    expect(xmlRoot('\ufeff<?xml version="1.0"?><!-- c --><a:b xmlns:a="urn:x"><c/></a:b>')).toEqual({ namespace: 'urn:x', name: 'b' });
    for (const text of ['', '<a>', '<a/><b/>', '<!DOCTYPE a><a/>', '<x:a/>', `${'<a>'.repeat(1_001)}${'</a>'.repeat(1_001)}`]) expect(() => xmlRoot(text)).toThrow(XmlSyntaxError);
  });
});

describe('hostile XML', () => {
  const nested = (levels: number): string => media(`${'<extension url="u">'.repeat(levels)}<valueCode value="x"/>${'</extension>'.repeat(levels)}`);

  it('is refused past 64 levels of arrays and objects, 256 in a narrative, and 50,000 elements', () => {
    expect(readXml(nested(31))).toBeDefined();
    expect(faultOf(nested(32)).message).toMatch(/64 levels/);
    expect(faultOf(nested(100_000)).message).toMatch(/64 levels/);
    expect(faultOf(DIV('<b>'.repeat(300))).message).toMatch(/256 levels/);
    expect(faultOf(media('<identifier><value value="a"/></identifier>'.repeat(25_001))).message).toMatch(/More than 50000 elements/);
    expect(faultOf(DIV('<b>x</b>'.repeat(100_001))).message).toMatch(/More than 100000 comments and elements/);
    expect(faultOf(media(`<status value="${'&#65;'.repeat(100_001)}"/>`)).message).toMatch(/More than 100000 references/);
    expect(faultOf(media(S, `xmlns="http://hl7.org/fhir" ${Array.from({ length: 101 }, (_, at) => `xmlns:a${at}="x"`).join(' ')}`)).message).toMatch(/more than 100 attributes/);
  });

  it.each<[string, (size: number) => string]>([
    ['references in a value', (size) => media(`<status value="${'&#65;'.repeat(size / 5)}"/>`)],
    ['line ends in a value', (size) => media(`<status value="${'\n'.repeat(size)}"/>`)],
    ['attributes', (size) => media(`<status ${Array.from({ length: size / 10 }, (_, at) => `a${at}="x"`).join(' ')}/>`)],
    ['namespaces', (size) => media(S, `xmlns="http://hl7.org/fhir" ${Array.from({ length: size / 16 }, (_, at) => `xmlns:a${at}="x"`).join(' ')}`)],
    ['comments', (size) => media('<!-- -->'.repeat(size / 8) + S)],
    ['brackets in a narrative', (size) => DIV(']'.repeat(size))],
    ['a document type', (size) => `<!DOCTYPE a [${'<!ENTITY a "b">'.repeat(size / 15)}]>`],
    ['white space between elements', (size) => media(' '.repeat(size) + S)],
    ['an unclosed value', (size) => `<Media xmlns="${'a'.repeat(size)}`],
  ])('takes time in proportion to its length: %s', (_what, make) => {
    const time = (size: number): number => {
      const text = make(size);
      const start = performance.now();
      try { readXml(text); } catch (error) { if (!(error instanceof XmlSyntaxError)) throw error; }
      return performance.now() - start;
    };
    time(20_000);
    expect(time(500_000)).toBeLessThan(5_000);
  });

  it('whatever the text is, it is read or refused with its place', () => {
    const pieces = fc.constantFrom('<Media xmlns="http://hl7.org/fhir">', '</Media>', S, '<', '>', '"', '&', '&#', ';', '<!--', '-->', '<![CDATA[', ']]>', '<?', '?>', '<!DOCTYPE', ' ', '\ud800', '\u0000', 'x', '<text>', '</text>', '<div xmlns="http://www.w3.org/1999/xhtml">', '</div>', '<contained>', '<Patient>', 'xmlns=""', '=');
    const texts = fc.oneof(fc.array(pieces, { maxLength: 12 }).map((list) => list.join('')), fc.string(), fc.array(pieces, { maxLength: 8 }).map((list) => media(list.join(''))));
    fc.assert(fc.property(texts, (text) => {
      try { readXml(text); } catch (error) { expect(error).toBeInstanceOf(XmlSyntaxError); }
    }), { numRuns: 3_000 });
  });
});
