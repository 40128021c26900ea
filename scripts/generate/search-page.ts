// The page of the documentation that says what can be searched, from the table of parameters.
import { isSortable } from '../../src/search/parse-search.ts';
import { modifiersOf } from '../../src/search/parse-clause.ts';
import { SEARCH_PARAMETERS, type SearchParameter } from '../../src/search/search-parameters.ts';

/** Modifiers that no index follows: the search must be bounded. */
export const BOUNDED_MODIFIERS = ['not', 'not-in', 'missing', 'contains', 'text'] as const;

const STORED = ['DocumentReference', 'Media', 'List'] as const;

function modifierCell(parameter: SearchParameter): string {
  const names = modifiersOf(parameter).map((name) => `\`:${name}\`${(BOUNDED_MODIFIERS as readonly string[]).includes(name) ? '*' : ''}`);
  const types = parameter.type === 'reference' ? ['`:[type]`'] : [];
  return [...types, ...names].join(' ');
}

function row(parameter: SearchParameter): string {
  const { name, type, expression, documentation } = parameter;
  return `| \`${name}\` | ${type} | \`${expression.replaceAll('|', '\\|')}\` | ${documentation} | ${modifierCell(parameter)} | ${isSortable(parameter) ? 'yes' : ''} |`;
}

function recordRow({ name, type, expression, documentation }: SearchParameter): string {
  return `| \`${name}\` | ${type} | \`${expression.replaceAll('|', '\\|')}\` | ${documentation} |`;
}

const HEAD = `# Search

What can be found, by the table of search parameters in the source. This page is made from it by \`npm run generate\`, and a
test compares the two.

## Values

- **token**: \`code\`, \`system|code\`, \`|code\` (no system), \`system|\` (any code of it). Codes whose element implies a system
  (\`status\`, \`language\`, \`relation\`) may leave it out. Displays and texts are found by \`:text\` alone, from their beginning.
- **string**: from the beginning of the text, without case, accents and the amount of white space; \`:exact\` is exact.
- **uri**: exact. An address of this server is found in both forms, relative and absolute, by http and https. \`:below\` follows
  the path, \`:above\` the way back. A canonical is found with its version and without.
- **reference**: \`id\` (where the parameter names its types), \`Type/id\`, the address, \`:Type=id\`. With \`/_history/n\` only what points
  to that version. An address of another server is found by itself alone. \`:identifier\` finds logical references.
- **date**: the prefixes of R4 compare ranges: \`eq\` (default), \`ne\`, \`gt\`, \`lt\`, \`ge\`, \`le\`, \`sa\`, \`eb\`, \`ap\` (overlap). No zone means UTC.
- **composite**: both parts of one element, \`code$target\` or \`target$code\`.

A comma means or (1,000 values at most), a repeated parameter means and (50 parameters at most), a backslash escapes \`,\` \`|\` \`$\`
and itself. An empty value asks for nothing.

## Modifiers that need a bound

No index follows those marked with \`*\` below: ${BOUNDED_MODIFIERS.map((name) => `\`:${name}\``).join(', ')}. Such a search is looked through resource by resource, so it needs beside
it a patient, subject, encounter, identifier, \`_id\`, compartment or date range that leaves at most 10,000 resources; else it is 400 with the issue
code \`too-costly\`. The same holds for an order by something other than \`_id\`, \`_lastUpdated\` and the date.

\`:in\` and \`:not-in\` know R4's own lists of codes, on elements with an implied system, and the value sets of \`profiles/\`; \`:above\` and \`:below\` on tokens know the tree of media
types, and of no code system. Anything else is 400.

## Order and pages

\`_sort\` takes five keys, each descending with \`-\`. What has no value is the least; of several values the first in order counts for
dates, the first in the resource for texts; the id decides between equals. The default is \`-_lastUpdated\`. \`_count\` is 20 by default and 1,000 at most.
\`_total=accurate\` counts, \`estimate\` counts to 10,000, \`none\` is the default; a result that ends on its first page has its total anyway.

## Parameters that come later

A parameter that a new release adds is filled for older resources in the background, from the start of the first server of that
release on. Until that is done its searches carry an outcome entry with the issue code \`incomplete\`. \`muniment reindex --status\` tells
how far it is, \`muniment reindex\` does it at once, \`muniment reindex --all\` looks through everything once more. Each step commits with its place, so
that it goes on where it ended; a lease keeps several servers from doing the same work.

`;

/** The whole page, as Markdown. */
export function printSearchPage(): string {
  const stored = STORED.map((type) => [`## ${type}`, '', '| Parameter | Type | Expression | Meaning | Modifiers | Sortable |', '|---|---|---|---|---|---|', ...SEARCH_PARAMETERS[type].map(row)].join('\n'));
  const records = (['AuditEvent', 'Provenance'] as const).map((type) => [`## ${type}`, '', '| Parameter | Type | Expression | Meaning |', '|---|---|---|---|', ...SEARCH_PARAMETERS[type].map(recordRow)].join('\n'));
  return `${HEAD}${[...stored, ...records].join('\n\n')}\n`;
}
