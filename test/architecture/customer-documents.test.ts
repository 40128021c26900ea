// docs/customer-documents.md against the tests: every row of the customer's documents that these rooms answer for names one, or says
// what became of it.
import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';

const page = readFileSync('docs/customer-documents.md', 'utf8');
const rows = page.split('\n').filter((line) => /^\| C?\d+ \|/.test(line)).map((line) => line.split(/(?<!\\) \| ?|^\| |\|$/).slice(1, -1).map((cell) => cell.trim()));
const numbers = (from: number, to: number, prefix = ''): string[] => Array.from({ length: to - from + 1 }, (_, at) => `${prefix}${prefix === '' ? from + at : String(from + at).padStart(2, '0')}`);

describe('the rows of what the customer’s documents name', () => {
  it('stand there, each once', () => {
    expect(rows.map(([row]) => row)).toEqual([...numbers(3, 33), ...numbers(45, 84), ...numbers(90, 96), ...numbers(1, 43, 'C')]);
  });

  it('each name a test by words of its title, or say what became of it', () => {
    const wrong = rows.filter(([, , held = '', also = '']) => {
      const [, path, title] = /^`(test\/[^`]+\.test\.ts)`: (.{8,})$/.exec(held) ?? [];
      if (path === undefined || title === undefined) return held !== '' || also === '';
      return !existsSync(path) || !readFileSync(path, 'utf8').split('\n').some((line) => /^\s*(?:it|test|describe|\])|^\s*\['/.test(line) && line.includes(title));
    });
    expect(wrong.map(([row]) => row)).toEqual([]);
  });
});
