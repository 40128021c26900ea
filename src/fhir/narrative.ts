// The XHTML of a narrative (http://hl7.org/fhir/R4/narrative.html#xhtml): one well-formed div of basic formatting, nothing active.
// It is refused, never rewritten. What XML and HTML parsers would read differently is refused too, for a browser is an HTML parser.

const NAMESPACE = 'http://www.w3.org/1999/xhtml';

/** Chapters 7 to 11 and 15 of HTML 4.0, without head, scripts, forms, frames and objects. */
const ELEMENTS = new Set((
  'a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins '
  + 'kbd li map ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr tt u ul var'
).split(' '));

/** Attributes that a browser takes for an address. */
const ADDRESSES = new Set(['href', 'src', 'cite', 'longdesc', 'background', 'usemap', 'action', 'data', 'profile', 'ping', 'poster', 'formaction']);
const SCHEMES = new Set(['http', 'https', 'mailto', 'tel', 'ftp', 'urn', 'cid']);

/** A comment, a closing tag, or an opening tag with at most 100 attributes (a bound, so that no tag can exhaust the matcher's stack). */
const MARKUP = /<(?:!--([^<>]*?)--|(\/)([A-Za-z][\w.:-]*)\s*|([A-Za-z][\w.:-]*)((?:\s+[A-Za-z_][\w.:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*')){0,100})\s*(\/)?)>/y;
const ATTRIBUTE = /([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/g;
/** Prefixes of other attributes would be bound to nothing. */
const PREFIXED = /^xml(?:ns)?:(?!xml)[A-Za-z_][\w.-]*$/;
const ENTITY = /&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});/y;
const STYLE = /\\|\/\*|url\s*\(|image\s*\(|image-set\s*\(|expression\s*\(|javascript:|behaviou?r\s*:|-moz-binding|@import/i;

/** What is wrong with the narrative, as the rest of a sentence that begins with the element's name; undefined when nothing is. */
export function narrativeFault(xhtml: string): string | undefined {
  const text = xhtml.trim();
  const open: string[] = [];
  for (let at = 0; at < text.length;) {
    if (at > 0 && open.length === 0) return 'must be one <div>; something follows its end';
    const next = nextMarkup(text, at);
    if (next > at) {
      if (open.length === 0) return 'must begin with <div>';
      const fault = textFault(text.slice(at, next));
      if (fault !== undefined) return fault;
    } else {
      MARKUP.lastIndex = at;
      const match = MARKUP.exec(text);
      if (match === null) return `is not well-formed XHTML at ${JSON.stringify(text.slice(at, at + 20))}`;
      const fault = tagFault(match, open);
      if (fault !== undefined) return fault;
    }
    at = next > at ? next : MARKUP.lastIndex;
  }
  return open.length > 0 || text === '' ? 'must be one complete <div>' : undefined;
}

function nextMarkup(text: string, from: number): number {
  const at = text.indexOf('<', from);
  return at < 0 ? text.length : at;
}

function textFault(text: string): string | undefined {
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) {
    ENTITY.lastIndex = at;
    if (!ENTITY.test(text)) return `is not well-formed XHTML at ${JSON.stringify(text.slice(at, at + 12))}: write &amp; for an ampersand`;
  }
  return undefined;
}

/** Keeps `open`, the names of the elements that are open, in step. */
function tagFault(match: RegExpExecArray, open: string[]): string | undefined {
  const [, comment, , closing, opening, attributes, empty] = match;
  if (comment !== undefined) return commentFault(comment, open);
  if (closing !== undefined) return open.pop() === closing ? undefined : `is not well-formed XHTML: </${closing}> closes another element`;
  const name = opening ?? '';
  if (open.length === 0 && name !== 'div') return 'must begin with <div>';
  if (!ELEMENTS.has(name)) return `may not hold <${name.slice(0, 40)}>`;
  const fault = attributesFault(name, attributes ?? '', open.length === 0);
  if (empty === undefined) open.push(name);
  return fault;
}

function commentFault(comment: string, open: string[]): string | undefined {
  if (open.length === 0) return 'must begin with <div>';
  return comment.includes('--') || comment.endsWith('-') ? 'is not well-formed XHTML: a comment holds --' : undefined;
}

function attributesFault(element: string, text: string, isRoot: boolean): string | undefined {
  const seen = new Set<string>();
  for (const [, name = '', double, single] of text.matchAll(ATTRIBUTE)) {
    if (seen.has(name)) return `is not well-formed XHTML: <${element}> has ${name} twice`;
    seen.add(name);
    const fault = attributeFault(element, name, double ?? single ?? '');
    if (fault !== undefined) return fault;
  }
  return isRoot && !seen.has('xmlns') ? `must begin with <div xmlns="${NAMESPACE}">` : undefined;
}

function attributeFault(element: string, name: string, value: string): string | undefined {
  const lower = name.toLowerCase();
  if (lower === 'xmlns') return value === NAMESPACE ? undefined : `must begin with <div xmlns="${NAMESPACE}">`;
  if (lower.startsWith('on')) return `may not hold the event attribute ${name.slice(0, 40)}`;
  if (name.includes(':') && !PREFIXED.test(name)) return `may not hold the attribute ${name.slice(0, 40)}`;
  if (lower === 'srcset' || lower === 'srcdoc') return `may not hold the attribute ${lower}`;
  if (lower === 'style') return styleFault(value);
  return ADDRESSES.has(lower) ? addressFault(element, lower, value) : textFault(value);
}

function styleFault(value: string): string | undefined {
  const style = decoded(value);
  return style === undefined || STYLE.test(style) ? 'may not hold a style with url(), an escape or anything active' : undefined;
}

function addressFault(element: string, attribute: string, value: string): string | undefined {
  // Browsers drop white space and control characters inside an address before they look at its scheme.
  const address = decoded(value)?.replace(/[\u0000-\u0020\u007f-\u00a0]/g, '');
  if (address === undefined) return `may not hold an address in ${attribute} with an & that is not written &amp;, or with a named character`;
  const scheme = /^([^/?#:]*):/.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined || SCHEMES.has(scheme)) return undefined;
  if (scheme === 'data' && element === 'img' && attribute === 'src' && /^data:image\//i.test(address)) return undefined;
  return `may not hold an address that begins with ${JSON.stringify(scheme.slice(0, 20))}:`;
}

const NAMED = new Map([['amp', '&'], ['lt', '<'], ['gt', '>'], ['quot', '"'], ['apos', "'"], ['nbsp', '\u00a0']]);

/** The value with its character references resolved; undefined when one is malformed or named otherwise than above (&colon; hides a scheme). */
function decoded(value: string): string | undefined {
  let isKnown = true;
  const text = value.replace(/&(#[xX][0-9A-Fa-f]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]*)?;?/g, (whole, name: string | undefined) => {
    const character = name === undefined || !whole.endsWith(';') ? undefined : name.startsWith('#') ? characterOf(name) : NAMED.get(name);
    if (character === undefined) isKnown = false;
    return character ?? '';
  });
  return isKnown ? text : undefined;
}

function characterOf(reference: string): string | undefined {
  const code = /^#x/i.test(reference) ? Number.parseInt(reference.slice(2), 16) : Number(reference.slice(1));
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}
