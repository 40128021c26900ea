// The accounting of disclosures as a page: a table that is read by eye, by ear and by keyboard, with nothing from outside and
// no script in it.
import { createHash } from 'node:crypto';
import { disclosureText, periodText, shownInstant, subjectText, type Accounting, type DisclosureText } from './disclosure-text.ts';

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
body { margin: 0; background: light-dark(#f3f5f8, #14181d); color: light-dark(#17212b, #e8edf2); }
main { max-width: 80rem; margin: 1.5rem auto; padding: 1.25rem 1.5rem; background: light-dark(#fff, #1d232a); border-radius: .75rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 .75rem; }
.scroll { overflow-x: auto; }
.scroll:focus-visible, :focus-visible { outline: 3px solid #e08a00; outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #6b778555; }
thead th { border-bottom: 2px solid #6b7785; }
tbody th { font-weight: 400; }
td { overflow-wrap: anywhere; }
td:nth-child(2) { min-width: 13rem; }
td:nth-child(3) { min-width: 6.5rem; }
td:nth-child(4) { min-width: 17rem; }
td:nth-child(5) { min-width: 4.5rem; }
td:nth-child(6) { min-width: 10rem; }
time { white-space: nowrap; }
small { display: block; opacity: .8; }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
@page { size: A4 landscape; margin: 12mm; }
@media print { body, main { background: #fff; color: #000; } main { margin: 0; padding: 0; max-width: none; } .scroll { overflow: visible; } table { font-size: .7rem; } tr { break-inside: avoid; } }
`;

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
};

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** Marks that turn the direction of what follows are taken out: a name must not change how its row reads. */
const escape = (text: string): string => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, '').replace(/[&<>"']/g, (character) => ESCAPES[character] as string);

function row({ as, event, how, what, when, who, why }: DisclosureText): string {
  return `<tr><th scope="row"><time datetime="${escape(when.replace(' ', 'T').replace(' UTC', 'Z'))}">${escape(when)}</time></th><td>${escape(who)}<small>${escape(as)}</small></td><td>${escape(how)}</td><td>${what.map(escape).join('<br>')}</td><td>${escape(why)}</td><td><small>AuditEvent/${escape(event)}</small></td></tr>`;
}

export function printDisclosuresPage(accounting: Accounting): string {
  const { asked, events, organisation, subject } = accounting;
  const title = subjectText(subject);
  const table = events.length === 0
    ? '<p>Nobody was shown anything of it in this period.</p>'
    : `<div class="scroll" role="region" aria-labelledby="caption" tabindex="0"><table>
<caption id="caption">Newest first</caption>
<thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">How</th><th scope="col">What</th><th scope="col">Why</th><th scope="col">In the record</th></tr></thead>
<tbody>
${events.map((event) => row(disclosureText(event))).join('\n')}
</tbody></table></div>`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<main id="content">
<h1>${escape(title)}</h1>
<p>${escape(organisation)}, ${escape(periodText(accounting))}. Asked for at ${escape(shownInstant(asked))}, which is recorded as well.</p>
${table}
</main>
</body>
</html>
`;
}
