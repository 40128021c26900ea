// The div of a narrative inside XML: taken over as it stands, so that references such as &#160; stay what they are; written anew
// where JSON could not hold it so, with prefixes, CDATA or a namespace from further up.
import type { SaxesTagNS } from 'saxes';
import { XHTML_NAMESPACE } from './xml-plan.ts';

/** Levels of elements inside a narrative. */
const DEPTH_MAX = 256;
const XML = 'http://www.w3.org/XML/1998/namespace';
const XMLNS = 'http://www.w3.org/2000/xmlns/';

export class XhtmlReader {
  private readonly source: string;
  private readonly start: number;
  private readonly names: string[] = [];
  private isPlain = true;
  private written = '';

  /** `after` is the place in `source` after the opening tag of the div. */
  constructor(source: string, after: number) {
    this.source = source;
    this.start = source.lastIndexOf('<', after - 1);
  }

  /** What is wrong with the element; undefined when nothing is. */
  open(tag: SaxesTagNS): string | undefined {
    if (tag.uri !== XHTML_NAMESPACE) return `The element ${JSON.stringify(tag.local.slice(0, 40))} of a narrative must be in the namespace ${XHTML_NAMESPACE}`;
    if (this.names.length >= DEPTH_MAX) return `A narrative may be nested ${DEPTH_MAX} levels deep`;
    const isRoot = this.names.length === 0;
    if (tag.prefix !== '' || (isRoot && tag.attributes['xmlns'] === undefined)) this.isPlain = false;
    this.names.push(tag.local);
    this.written += `<${tag.local}${isRoot ? ` xmlns="${XHTML_NAMESPACE}"` : ''}`;
    for (const { name, local, uri, value } of Object.values(tag.attributes)) {
      if (uri === XMLNS) continue;
      if (uri !== '' && uri !== XML) return `The attribute ${JSON.stringify(name.slice(0, 40))} is none of XHTML`;
      this.written += ` ${uri === XML ? `xml:${local}` : local}="${escape(value)}"`;
    }
    this.written += tag.isSelfClosing ? '/>' : '>';
    return undefined;
  }

  characters(text: string, isCdata: boolean): void {
    if (isCdata) this.isPlain = false;
    this.written += escape(text);
  }

  /** True when that was the end of the div. */
  close(tag: SaxesTagNS): boolean {
    const name = this.names.pop() ?? '';
    if (!tag.isSelfClosing) this.written += `</${name}>`;
    return this.names.length === 0;
  }

  /** `end` is the place in the source after the closing tag. */
  xhtml(end: number): string {
    return this.isPlain ? this.source.slice(this.start, end).replaceAll('\r\n', '\n').replaceAll('\r', '\n') : this.written;
  }
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
