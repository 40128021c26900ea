import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { printTable } from '../conformance/print-table.ts';
import { FREQUENT_FAILURES, ROWS, WORDING } from '../conformance/rows.ts';

const FOLDER = 'test/conformance';
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.test.ts'));
const proved = files.flatMap((name) => [...readFileSync(join(FOLDER, name), 'utf8').matchAll(/^ *row\('([A-Za-z0-9-]+)'/gm)].map((match) => match[1] as string));

describe('the table of conformance is true', () => {
  it('each row stands once', () => {
    const ids = ROWS.map((row) => row.id);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  });

  it('each row that says passed has exactly one test, and each test its row', () => {
    expect(proved.filter((id, at) => proved.indexOf(id) !== at)).toEqual([]);
    expect(ROWS.filter((row) => row.state === 'tested' && !proved.includes(row.id)).map((row) => row.id)).toEqual([]);
    expect(proved.filter((id) => !ROWS.some((row) => row.id === id))).toEqual([]);
  });

  it('no test is chosen or left out by hand', () => {
    for (const name of files) expect(readFileSync(join(FOLDER, name), 'utf8')).not.toMatch(/\b(it|test|describe)\.(only|skip|todo)\b|\bf(it|describe)\(/);
  });

  it('what other rows hold is named by rows that exist', () => {
    const ids = new Set(ROWS.map((row) => row.id));
    const named = [...WORDING, ...FREQUENT_FAILURES].flatMap(([, , heldBy]) => (typeof heldBy === 'string' ? [] : heldBy));
    expect(named.filter((id) => !ids.has(id))).toEqual([]);
  });

  it('docs/conformance.md is what the table prints: npm run conformance -- --write', () => {
    expect(readFileSync('docs/conformance.md', 'utf8')).toBe(printTable());
  });
});
