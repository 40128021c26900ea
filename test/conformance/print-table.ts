// docs/conformance.md as text, from the table alone.
import { FREQUENT_FAILURES, LATER, ROWS, WORDING, type Row, type State } from './rows.ts';

function shown(state: State): string {
  if (state === 'tested') return 'passed';
  if (state === 'open') return 'open';
  return 'later' in state ? `later: ${LATER[state.later]}` : `not offered: ${state.notOffered}`;
}

const holders = (heldBy: readonly string[] | keyof typeof LATER): string => (typeof heldBy === 'string' ? `later: ${LATER[heldBy]}` : heldBy.join(', '));

const chaptersOf = (rows: readonly Row[]): string[] => [...new Set(rows.map((row) => row.chapter))];

function counts(rows: readonly Row[]): string {
  const of = (wanted: (state: State) => boolean): number => rows.filter((row) => wanted(row.state)).length;
  const passed = of((state) => state === 'tested');
  const open = of((state) => state === 'open');
  const later = of((state) => typeof state === 'object' && 'later' in state);
  const notOffered = of((state) => typeof state === 'object' && 'notOffered' in state);
  return `${passed} | ${open} | ${later} | ${notOffered} | ${rows.length}`;
}

export function printTable(): string {
  const lines = [
    '# Conformance',
    '',
    'What FHIR R4 (4.0.1) asks of a server of DocumentReference, Media, List, Binary, AuditEvent and Provenance, in rows.',
    'Each row that says `passed` is held by the test of its name in `test/conformance/`, over HTTP against a whole server;',
    'the run fails when one of them does. This page is printed from `test/conformance/rows.ts` (`npm run conformance -- --write`)',
    'and a test compares the two.',
    '',
    'Strength: **M** SHALL of the source (for what R4 leaves optional: once it is declared), **S** SHOULD, **O** optional, **H** a rule',
    'of HTTP, **D** this project\'s decision where the sources are silent or disagree. Rows `SP-…` drive every search',
    'parameter of a type. `open` is not proved.',
    '',
    '| Chapter | Passed | Open | Later | Not offered | Rows |',
    '|---|---|---|---|---|---|',
    ...chaptersOf(ROWS).map((chapter) => `| ${chapter} | ${counts(ROWS.filter((row) => row.chapter === chapter))} |`),
    `| **All** | ${counts(ROWS)} |`,
  ];
  for (const chapter of chaptersOf(ROWS)) {
    lines.push('', `## ${chapter}`, '', '| Row | Strength | Requirement | Status |', '|---|---|---|---|');
    for (const row of ROWS.filter((one) => one.chapter === chapter)) lines.push(`| ${row.id} | ${row.strength} | ${row.requirement.replaceAll('|', '\\|')} | ${shown(row.state)} |`);
  }
  lines.push('', '## Points of wording', '', '| Point | What | Held by |', '|---|---|---|');
  for (const [id, point, heldBy] of WORDING) lines.push(`| ${id} | ${point} | ${holders(heldBy)} |`);
  lines.push('', '## What servers get wrong most often', '', '| Rank | What | Held by |', '|---|---|---|');
  for (const [rank, failure, heldBy] of FREQUENT_FAILURES) lines.push(`| ${rank} | ${failure} | ${holders(heldBy)} |`);
  return `${lines.join('\n')}\n`;
}
