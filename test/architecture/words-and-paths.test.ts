import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';

const IGNORED = new Set(['node_modules', 'dist', 'data', 'coverage', '.git', 'target', 'results', 'package-lock.json']);

function filesUnder(folder: string): string[] {
  return readdirSync(folder).filter((name) => !IGNORED.has(name)).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesUnder(path) : [path];
  });
}

const read = (path: string): string => readFileSync(path, 'utf8');
const files = filesUnder('.').filter((path) => /(^|\/)(\.ci\/run|\.env\.example|Dockerfile|[^/]+\.(ts|mjs|md|json|ya?ml|java|sql|sh))$/.test(path));
const pages = files.filter((path) => path.endsWith('.md'));

describe('texts of the project', () => {
  it('hold no path of one machine', () => {
    const machine = new RegExp(`(^|[^A-Za-z0-9.~])/(${['work', 'root', 'home', 'Users'].join('|')})/[a-z]`);
    expect(files.filter((path) => read(path).split('\n').some((line) => machine.test(line) && !/https?:\/\//.test(line)))).toEqual([]);
  });

  it('link to files that are there', () => {
    const broken = pages.flatMap((page) => [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] as string)
      .filter((target) => !existsSync(join(dirname(page), target))).map((target) => `${page} → ${target}`));
    expect(broken).toEqual([]);
  });

  it('name sources, migrations and scripts that are there', () => {
    const named = pages.flatMap((page) => [...read(page).matchAll(/(?<![\w/.])((?:src|migrations|scripts|test|bench|docs|profiles|hapi-config)\/[A-Za-z0-9/_.-]*\.(?:ts|mjs|md|json|yaml|java))\b/g)].map((match) => ({ page, path: match[1] as string })));
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ page, path }) => !existsSync(path) && !existsSync(join(dirname(page), path)))).toEqual([]);
  });

  it('begin with a heading, and end with one line break', () => {
    for (const page of pages) {
      expect({ page, begins: read(page).startsWith('# ') }).toEqual({ page, begins: true });
      expect({ page, ends: /[^\n]\n$/.test(read(page)) }).toEqual({ page, ends: true });
    }
  });

  it('decisions are numbered without a gap, and each says why and what it costs', () => {
    const decisions = readdirSync('docs/decisions').sort();
    expect(decisions.map((name) => Number(name.slice(0, 4)))).toEqual(decisions.map((_name, index) => index + 1));
    for (const name of decisions) expect(read(join('docs/decisions', name))).toMatch(/\*\*Why\.\*\*[^]*\*\*Decision\.\*\*[^]*\*\*Price\.\*\*/);
  });

  it('comments carry no marker but NOTE and TODO with an issue', () => {
    const marked = files.filter((path) => path.endsWith('.ts')).flatMap((path) => read(path).split('\n').filter((line) => /\/\/\s*(FIXME|XXX|HACK|TODO(?!\(#\d+\)))/.test(line)).map((line) => `${path}: ${line.trim()}`));
    expect(marked).toEqual([]);
  });
});

describe('profiles', () => {
  const own = Object.entries(SEARCH_PARAMETERS).flatMap(([type, parameters]) => (parameters).filter((parameter) => parameter.definition.startsWith('https://muniment.example/')).map((parameter) => ({ type, parameter })));

  it('define each search parameter of our own as the table has it', () => {
    expect(own.length).toBeGreaterThan(0);
    for (const { type, parameter } of own) {
      const resource = JSON.parse(read(`profiles/SearchParameter-${parameter.definition.split('/').at(-1)}.json`)) as Record<string, unknown>;
      expect(resource).toMatchObject({ resourceType: 'SearchParameter', url: parameter.definition, code: parameter.name, type: parameter.type, expression: parameter.expression, base: [type], status: 'active' });
    }
  });

  it('are named by their type and id, and explained', () => {
    for (const name of readdirSync('profiles').filter((file) => file.endsWith('.json'))) {
      const { resourceType, id } = JSON.parse(read(join('profiles', name))) as { resourceType: string; id: string };
      expect(name).toBe(`${resourceType}-${id}.json`);
      expect(read('profiles/README.md')).toContain(`\`${name}\``);
    }
  });
});
