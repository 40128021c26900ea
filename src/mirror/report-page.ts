// The report of a comparison as a page for people: one file, without scripts and with nothing from outside.
import { VERDICTS, type ReconcileReport } from './reconcile-report.ts';

const STYLE = `
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { margin: 0; background: light-dark(#f3f5f8, #14181d); color: light-dark(#17212b, #e8edf2); }
main { max-width: 72rem; margin: 2rem auto; padding: 1.5rem 2rem; background: light-dark(#fff, #1d232a); border-radius: .75rem; box-shadow: 0 1px 6px rgb(0 0 0 / .18); }
h1 { font-size: 1.5rem; margin: 0 0 .75rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .25rem; }
.verdict { padding: .75rem 1rem; border-left: .5rem solid; border-radius: .4rem; font-size: 1.1rem; }
.equal { border-color: #1a7f37; background: light-dark(#e6f4ea, #12301b); }
.wrong { border-color: #b3261e; background: light-dark(#fdecea, #3a1614); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding: .25rem 0; opacity: .85; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #6b778533; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem; background: light-dark(#f3f5f8, #14181d); border-radius: .4rem; font-size: .75rem; }
@media print { main { box-shadow: none; margin: 0; max-width: none; } }
`;

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character] as string);

const COLUMNS = {
  here: 'here', atHapi: 'at HAPI', compared: 'compared', equal: 'equal', missing: 'missing', extra: 'extra', stale: 'stale', different: 'different', repaired: 'repaired', waiting: 'waiting',
  placeholders: 'placeholders', foreign: 'of others',
} as const;
const KINDS: Record<string, string> = { missing: 'missing at HAPI', extra: 'at HAPI alone', stale: 'an earlier version at HAPI', different: 'another content at HAPI' };

function countRows({ types }: ReconcileReport): string {
  return Object.entries(types).map(([type, counts]) => {
    const cells = (Object.keys(COLUMNS) as (keyof typeof COLUMNS)[]).map((column) => `<td class="n">${counts[column] ?? '–'}</td>`).join('');
    return `<tr><th scope="row">${escape(type)}</th>${cells}<td>${counts.balanced ? 'yes' : 'no'}</td></tr>`;
  }).join('\n');
}

function driftTable({ drift, driftCount }: ReconcileReport): string {
  if (drift.length === 0) return '<p>None.</p>';
  const rows = drift.map(({ reference, kind, path, detail }) => `<tr><th scope="row">${escape(reference)}</th><td>${escape(KINDS[kind] ?? kind)}</td><td>${escape(path ?? '–')}</td><td>${escape(detail)}</td></tr>`).join('\n');
  const note = drift.length < driftCount ? `The oldest ${drift.length} of ${driftCount}` : 'The first element that differs, versions and hashes; never content';
  return `<div class="wide"><table><caption>${note}</caption>
<thead><tr><th scope="col">Resource</th><th scope="col">Difference</th><th scope="col">Where</th><th scope="col">Details</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

const facts = (report: ReconcileReport): [string, string][] => [
  ['Organisation', report.org], ['HAPI', report.hapi], ['Looked at', report.scope === 'all' ? 'everything of these types at HAPI' : 'what carries our meta.source at HAPI'],
  ['From', report.startedAt], ['To', report.endedAt], ['Runs', report.resumed ? 'more than one: it was gone on with' : 'one'], ['Repair', report.repair ? 'yes' : 'no'],
  ['Differences left', String(report.driftCount)], ['Parked deliveries', String(report.parked)],
];

/** `signedBy` names the key for people. */
export function renderReportPage(report: ReconcileReport, jws: string, signedBy: string): string {
  const title = `Comparison of the mirror of ${report.org}`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}: ${report.verdict}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
<p class="verdict ${report.verdict === 'equal' ? 'equal' : 'wrong'}"><strong>${report.verdict}</strong>: ${escape(VERDICTS[report.verdict])}</p>
<dl>${facts(report).map(([name, value]) => `<dt>${name}</dt><dd>${escape(value)}</dd>`).join('')}</dl>
<h2>Numbers</h2>
<div class="wide"><table><caption>“here” and “at HAPI” are what each side answered when it was asked how many it has; “balanced” says whether the two are explained</caption>
<thead><tr><th scope="col">Type</th>${Object.values(COLUMNS).map((name) => `<th scope="col" class="n">${name}</th>`).join('')}<th scope="col">balanced</th></tr></thead>
<tbody>${countRows(report)}</tbody></table></div>
<h2>Differences</h2>
${driftTable(report)}
<h2>Signature</h2>
<p>A JWS (RFC 7515, Ed25519) that holds this report, signed with ${escape(signedBy)}.</p>
<pre>${escape(jws)}</pre>
</main>
</body>
</html>
`;
}
