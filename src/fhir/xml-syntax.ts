// XML 1.0 with namespaces, as strictly as FHIR wants it (http://hl7.org/fhir/R4/xml.html): well-formed, UTF-8, no document type.
import { SaxesParser, type SaxesOptions } from 'saxes';
import { LongValues } from './xml-long-values.ts';

/** The text is not XML, or breaks a rule of FHIR XML. The message is for people; line and column count from 1. */
export class XmlSyntaxError extends Error {
  readonly line: number;
  readonly column: number;
  /** FHIRPath of the element that was being read; undefined before the first. */
  readonly expression: string | undefined;

  constructor(fault: string, place: { line: number; column: number }, expression: string | undefined) {
    super(`${fault}, at line ${place.line}, column ${place.column}`);
    this.name = 'XmlSyntaxError';
    this.line = place.line;
    this.column = place.column;
    this.expression = expression;
  }
}

/** No element of FHIR has more than three, and none of XHTML that a narrative may hold comes near. */
const ATTRIBUTES_MAX = 100;
/** A namespace is looked for in all elements that are open. */
const DEPTH_MAX = 1_000;
/** Comments and a declaration aside. */
const FIRST_MARKUP = /<(?:[A-Za-z_]|!DOCTYPE)/;
export const NO_DOCTYPE = 'A document type (DOCTYPE) is not allowed';

export type StrictParser = SaxesParser<SaxesOptions & { xmlns: true }>;

/** A parser that ends at the first fault, and knows neither document types nor another encoding than UTF-8. */
export function strictParser(faultOf: (fault: string) => XmlSyntaxError): StrictParser {
  const parser: StrictParser = new SaxesParser({ xmlns: true, defaultXMLVersion: '1.0', forceXMLVersion: true });
  parser.on('error', (error) => { throw faultOf(`The XML is not well-formed: ${error.message.replace(/^\d+:\d+: /, '').replace(/\.$/, '').slice(0, 120)}`); });
  parser.on('xmldecl', ({ encoding }) => { if (encoding !== undefined && !/^utf-?8$/i.test(encoding)) throw faultOf('The encoding must be UTF-8'); });
  let attributes = 0;
  parser.on('opentagstart', () => { attributes = 0; });
  parser.on('attribute', () => { if (++attributes > ATTRIBUTES_MAX) throw faultOf(`An element has more than ${ATTRIBUTES_MAX} attributes`); });
  parser.on('doctype', () => { throw faultOf(NO_DOCTYPE); });
  return parser;
}

/** Whether a document type stands where one may stand. */
export function beginsWithDoctype(text: string): boolean {
  return FIRST_MARKUP.exec(text)?.[0] === '<!DOCTYPE';
}

/** The outermost element of a document that is well-formed, whatever it is about. Throws XmlSyntaxError, also for a document type. */
export function xmlRoot(text: string): { namespace: string; name: string } {
  let root: { namespace: string; name: string } | undefined;
  let depth = 0;
  const faultOf = (fault: string): XmlSyntaxError => new XmlSyntaxError(fault, { line: parser.line, column: Math.max(1, parser.column) }, undefined);
  const parser = strictParser(faultOf);
  parser.on('opentag', (tag) => {
    root ??= { namespace: tag.uri, name: tag.local };
    if (++depth > DEPTH_MAX) throw faultOf(`Elements are nested more than ${DEPTH_MAX} levels deep`);
  });
  parser.on('closetag', () => { depth -= 1; });
  parser.write(new LongValues(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text).text).close();
  return root ?? { namespace: '', name: '' };
}
