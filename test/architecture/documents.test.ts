import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { printSearchPage } from '../../scripts/generate/search-page.ts';
import { VARIABLES } from '../../src/config/env.ts';
import { ERRORS } from '../../src/fhir/fhir-error.ts';
import { SOFTWARE_VERSION } from '../../src/software-version.ts';

const read = (path: string): string => readFileSync(path, 'utf8');

function filesUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesUnder(path) : [path];
  });
}

const sources = [...filesUnder('src'), ...filesUnder('migrations')].filter((path) => path.endsWith('.ts'));

describe('documents say what the code says', () => {
  it('docs/configuration.md has each variable with its description and default, and no other', () => {
    const rows = [...read('docs/configuration.md').matchAll(/^\| `([A-Z_]+)` \| (.*) \| (.*) \|$/gm)];
    expect(rows.map((row) => row[1])).toEqual(Object.keys(VARIABLES));
    for (const [, name, meaning, fallback] of rows) {
      const variable = VARIABLES[name as keyof typeof VARIABLES];
      expect(meaning).toContain(variable.description.replaceAll('|', '\\|'));
      expect(fallback).toBe(variable.default);
    }
  });

  it('docs/errors.md has each code with its status and issue code, and no other', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| `([a-z-]+)` \| (\d{3}) \| `([a-z-]+)` \| (.*) \|$/gm)].map(([, code, status, issue, text]) => [code, Number(status), issue, text]);
    expect(rows).toEqual(Object.entries(ERRORS).map(([code, error]) => [code, error.status, error.code, error.text]));
  });

  it('docs/search.md is what the table of search parameters makes it', () => {
    expect(read('docs/search.md')).toBe(printSearchPage());
  });

  it('docs/ARCHITECTURE.md names each room of src', () => {
    const page = read('docs/ARCHITECTURE.md');
    const rooms = readdirSync('src').filter((name) => statSync(join('src', name)).isDirectory() && readdirSync(join('src', name)).length > 0);
    for (const room of rooms) expect(page).toContain(`src/${room}/`);
  });

  it('every npm command of the README is a script of package.json', () => {
    const { scripts, version } = JSON.parse(read('package.json')) as { scripts: Record<string, string>; version: string };
    for (const [, name] of read('README.md').matchAll(/npm run (?:--silent )?([a-z:]+)/g)) expect(Object.keys(scripts)).toContain(name);
    expect(version).toBe(SOFTWARE_VERSION);
  });

  it.each(['docker-compose.yml', '.env.example'])('%s uses only variables that the server knows', (file) => {
    const known = new Set<string>(Object.keys(VARIABLES));
    // Variables of other programs in the stack begin with their own name.
    const named = [...read(file).matchAll(/^\s*(?:-\s*|ENV\s+|#\s*)?((?:PORT|HOST|BASE_URL|DATA_DIR|OPERATOR_ORG|TRUSTED_ISSUERS|SCAN|LOG_LEVEL|(?:DATABASE|STORAGE|MIRROR|CLAMAV|METRICS|BODY|INLINE|UPLOAD|ALLOW)_[A-Z_]+))\s*[:=]/gm)].map((match) => match[1] as string);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  it('each migration is in the list that runs', () => {
    const list = read('src/database/migrate.ts');
    for (const file of readdirSync('migrations')) expect(list).toContain(`'${file.replace('.ts', '')}'`);
  });
});

describe('the house keeps its habits', () => {
  it('files are named in kebab-case, by what they are', () => {
    const forbidden = /(^|-)(utils?|helpers?|common|misc|managers?|services?|handlers?|processors?|data|info|types)(-|\.|$)/;
    for (const path of sources) {
      const name = path.split('/').at(-1) as string;
      expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/);
      expect(name).not.toMatch(forbidden);
    }
  });

  it('no source has more than 300 lines, but for generated tables', () => {
    const long = sources.filter((path) => !path.endsWith('structure-tables.ts') && read(path).split('\n').length > 301);
    expect(long).toEqual([]);
  });

  it('the environment is read in one place', () => {
    expect(sources.filter((path) => path !== 'src/config/env.ts' && read(path).includes('process.env'))).toEqual([]);
  });

  it('every file begins by saying what it is', () => {
    expect(sources.filter((path) => !/^(#!.*\n)?\/\//.test(read(path)))).toEqual([]);
  });
});
