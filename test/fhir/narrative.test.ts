// Narratives: formatting passes, whatever a browser could run or load is refused.
import { describe, expect, it } from '@jest/globals';
import { narrativeFault } from '../../src/fhir/narrative.ts';

const inDiv = (html: string): string => `<div xmlns="http://www.w3.org/1999/xhtml">${html}</div>`;

describe('narrativeFault', () => {
  it.each([
    'Anna Muster', '', '<p>a<br/>b &amp; c &lt; d &#160; &nbsp; &#xE4;</p>', '<table border="1"><tbody><tr><td colspan="2" style="color: red; width: 50%">1</td></tr></tbody></table>',
    '<ul><li><b>x</b></li></ul>', '<a href="https://example.org/?a=1&amp;b=2">x</a>', '<a href="#p">x</a>', '<a name="p">x</a>', '<a href="Patient/1">x</a>', '<a href="mailto:a@example.org">x</a>',
    '<img src="#pic" alt="a"/>', "<img src='data:image/png;base64,iVBORw0KGgo=' alt='a > b'/>", '<!-- a comment -->', '<div xml:lang="de" lang="de">x</div>', '<h1 class="a" id="b">x</h1 >', '<hr />',
    '<a href="https://example.org/a:b">x</a>', '<p title="javascript: the good parts">x</p>',
  ])('finds nothing in %s', (html) => {
    expect(narrativeFault(inDiv(html))).toBeUndefined();
  });

  it('takes white space and attributes around the div', () => {
    expect(narrativeFault('\n <div class="x" xmlns="http://www.w3.org/1999/xhtml" lang="de">x</div>\n')).toBeUndefined();
    expect(narrativeFault('<div xmlns="http://www.w3.org/1999/xhtml"/>')).toBeUndefined();
  });

  it.each([
    '<script>alert(1)</script>', '<SCRIPT>alert(1)</SCRIPT>', '<x:script>1</x:script>', '<iframe src="x"/>', '<object data="x"/>', '<embed src="x"/>', '<form action="x"><input/></form>',
    '<style>a{}</style>', '<link href="x"/>', '<meta content="x"/>', '<base href="x"/>', '<svg/>', '<math/>', '<video src="x"/>', '<button>x</button>', '<body>x</body>', '<noscript>x</noscript>',
    '<template>x</template>', '<p onclick="x">a</p>', '<p ONCLICK="x">a</p>', '<img src="x" onerror="alert(1)"/>', '<p style="background: url(http://example.org/x)">a</p>',
    '<p style="background: \\75rl(x)">a</p>', '<p style="background: &#117;rl(x)">a</p>', '<p style="width: expression(x)">a</p>', '<p style="behavior: x">a</p>',
  ])('refuses the active content of %s', (html) => {
    expect(narrativeFault(inDiv(html))).toMatch(/^may not hold/);
  });

  it.each([
    'javascript:alert(1)', 'JavaScript:alert(1)', ' javascript:alert(1)', 'java\tscript:alert(1)', 'java&#10;script:alert(1)', '&#x6A;avascript:alert(1)', '&#106;avascript:x', 'javascript&colon;alert(1)',
    'javascript&#58;alert(1)', '&#1;javascript:x', 'vbscript:x', 'data:text/html,x', 'data:image/png;base64,x', 'file:///etc/passwd', 'blob:x', ':x', 'javascript&#x3a', '&constructor;',
  ])('refuses a link to %j', (address) => {
    expect(narrativeFault(inDiv(`<a href="${address}">x</a>`))).toMatch(/^may not hold an address/);
  });

  it('refuses data: in images but for image types', () => {
    expect(narrativeFault(inDiv('<img src="data:text/html,x"/>'))).toMatch(/^may not hold an address/);
    expect(narrativeFault(inDiv('<img src="x" srcset="y"/>'))).toMatch(/^may not hold/);
  });

  it.each([
    '', 'x', '<p xmlns="http://www.w3.org/1999/xhtml">x</p>', '<div>x</div>', '<div xmlns="http://www.w3.org/2000/svg">x</div>', 'x<div xmlns="http://www.w3.org/1999/xhtml"/>',
    '<div xmlns="http://www.w3.org/1999/xhtml"/>x', '<div xmlns="http://www.w3.org/1999/xhtml"/><div xmlns="http://www.w3.org/1999/xhtml"/>', '<?xml version="1.0"?><div xmlns="http://www.w3.org/1999/xhtml"/>',
    '<!DOCTYPE div><div xmlns="http://www.w3.org/1999/xhtml"/>', '<!-- x --><div xmlns="http://www.w3.org/1999/xhtml"/>', '<div xmlns="http://www.w3.org/1999/xhtml">',
  ])('wants one div of the XHTML namespace, not %j', (text) => {
    expect(narrativeFault(text)).toBeDefined();
  });

  it.each([
    '<p>a', 'a</p>', '<b><i>a</b></i>', 'a & b', 'a &x b', 'a < b', '<p class=x>a</p>', '<p class="a" class="b">a</p>', '<p title="a<b">a</p>', '<p checked>a</p>', '<![CDATA[<script>x</script>]]>',
    '<!--><script>alert(1)</script>-->', '<!-- a -- b -->', '<!--->a-->', '<?php x ?>', '<p xmlns="http://www.w3.org/2000/svg">a</p>', '<p title="a & b">a</p>',
  ])('refuses what is not well-formed XHTML: %s', (html) => {
    expect(narrativeFault(inDiv(html))).toBeDefined();
  });
});
