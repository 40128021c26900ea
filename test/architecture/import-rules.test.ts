import { describe, expect, it, beforeAll, afterAll } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

interface Violation {
  from: string;
  to: string;
  rule: { name: string };
}

interface Rules {
  FLOORS: [string, string][];
  default: { forbidden: { name: string; comment: string }[] };
}

/** One import that each rule is there to find: rule, file, what it imports. */
const BROKEN: [string, string, string][] = [
  ['no-arrow-up-from-server', 'src/server.ts', './main.ts'],
  ['no-arrow-up-from-http', 'src/http/up.ts', '../server.ts'],
  ['no-arrow-up-from-gate', 'src/gate/up.ts', '../http/routes.ts'],
  ['no-arrow-up-from-interactions', 'src/interactions/up.ts', '../gate/perform.ts'],
  ['no-arrow-up-from-resources', 'src/resources/up.ts', '../interactions/interaction.ts'],
  ['no-arrow-up-from-search', 'src/search/up.ts', '../resources/read.ts'],
  ['no-arrow-up-from-rules', 'src/content/up.ts', '../search/query.ts'],
  ['no-arrow-up-from-database', 'src/database/up.ts', '../access/authorize.ts'],
  ['no-arrow-up-from-ground', 'src/config/up.ts', '../database/database.ts'],
  ['access-keeps-to-itself', 'src/access/beside.ts', '../audit/event.ts'],
  ['audit-keeps-to-itself', 'src/audit/beside.ts', '../content/store.ts'],
  ['content-keeps-to-itself', 'src/content/beside.ts', '../validation/valid.ts'],
  ['validation-keeps-to-itself', 'src/validation/beside.ts', '../access/authorize.ts'],
  ['interactions-keeps-to-itself', 'src/interactions/beside.ts', '../mirror/deliver.ts'],
  ['mirror-keeps-to-itself', 'src/mirror/beside.ts', '../interactions/interaction.ts'],
  ['resources-keeps-to-itself', 'src/resources/beside.ts', '../records/draft.ts'],
  ['records-keeps-to-itself', 'src/records/beside.ts', '../resources/read.ts'],
  ['log-keeps-to-itself', 'src/log/beside.ts', '../resources/read.ts'],
  ['fhir-keeps-to-itself', 'src/fhir/beside.ts', '../config/config.ts'],
  ['config-keeps-to-itself', 'src/config/beside.ts', '../fhir/json.ts'],
  ['database-keeps-to-itself', 'src/database/beside.ts', '../embedded/postgres.ts'],
  ['embedded-keeps-to-itself', 'src/embedded/beside.ts', '../database/database.ts'],
  ['express-stays-in-http', 'src/gate/owner.ts', 'express'],
  ['object-stores-stay-in-their-folder', 'src/content/owner.ts', 'minio'],
  ['hapi-stays-in-the-mirror', 'src/mirror/owner.ts', 'fhir-kit-client'],
  ['knex-stays-with-the-tables', 'src/interactions/owner.ts', 'knex'],
  ['postgres-stays-with-the-database', 'src/search/owner.ts', 'pg'],
  ['tokens-stay-in-access', 'src/http/owner.ts', 'jose'],
  ['the-authorization-server-stays-embedded', 'src/http/owner.ts', 'oidc-provider'],
  ['figures-stay-in-metrics', 'src/gate/figures.ts', 'prom-client'],
  ['images-stay-in-content', 'src/validation/owner.ts', 'sharp'],
  ['no-circles', 'src/fhir/one.ts', './two.ts'],
  ['no-interaction-imports-another', 'src/interactions/update.ts', './create.ts'],
  ['shared-shapes-know-no-interaction', 'src/interactions/interaction.ts', './create.ts'],
  ['gate-knows-the-shape-alone', 'src/gate/shape.ts', '../interactions/create.ts'],
  ['the-language-knows-nobody', 'src/fhir/nobody.ts', '../logger.ts'],
  ['the-pure-do-no-io', 'src/fhir/io.ts', 'node:fs'],
  ['the-pure-do-no-io', 'src/audit/io.ts', 'node:fs/promises'],
  ['the-pure-do-no-io', 'src/search/parse-search.ts', 'node:net'],
  ['the-pure-reach-no-database', 'src/audit/pure.ts', '../database/database.ts'],
  ['migrations-stand-alone', 'migrations/0001-first.ts', '../src/database/database.ts'],
  ['only-the-migrator-runs-migrations', 'src/resources/migrator.ts', '../../migrations/0001-first.ts'],
  ['the-product-stands-without-its-tools', 'src/content/tools.ts', '../../test/support/tool.ts'],
  ['no-development-package-in-the-product', 'src/content/tooling.ts', 'fast-check'],
  ['nothing-unknown', 'src/content/unknown.ts', './does-not-exist.ts'],
  ['no-undeclared-package', 'src/content/undeclared.ts', 'send'],
];

const root = process.cwd();
let folder = '';
let violations: Violation[] = [];

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

function cruise(): Promise<string> {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const folders = ['src', 'migrations'];
  return new Promise((done) => {
    // The exit code counts the violations; the report is what is looked at.
    execFile(process.execPath, [program, '--config', join(root, '.dependency-cruiser.mjs'), '--output-type', 'json', ...folders], { cwd: folder, maxBuffer: 64 * 1024 * 1024, env: { ...process.env, NODE_OPTIONS: '' } }, (_error, stdout, stderr) => done(stdout === '' ? stderr : stdout));
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muniment-rules-'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  write('package.json', readFileSync('package.json', 'utf8'));
  write('tsconfig.json', readFileSync('tsconfig.json', 'utf8'));
  for (const path of BROKEN.filter(([, , to]) => to.startsWith('.') && !to.includes('does-not-exist')).map(([, from, to]) => join(dirname(from), to))) write(path, 'export interface Named { name: string }\n');
  const imports = new Map<string, string[]>();
  for (const [, from, to] of BROKEN) imports.set(from, [...(imports.get(from) ?? []), to]);
  for (const [from, targets] of imports) {
    write(from, `${targets.map((to, position) => (to.startsWith('.') ? `import type { Named as Named${position} } from '${to}';\nexport type Uses${position} = Named${position};` : `import * as named${position} from '${to}';\nexport const uses${position} = named${position};`)).join('\n')}\nexport interface Named { name: string }\n`);
  }
  write('src/fhir/two.ts', `import type { Named as First } from './one.ts';\nexport interface Named { first: First }\n`);
  violations = (JSON.parse(await cruise()) as { summary: { violations: Violation[] } }).summary.violations;
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function filesUnder(path: string): string[] {
  return readdirSync(path).flatMap((name) => (statSync(join(path, name)).isDirectory() ? filesUnder(join(path, name)) : [join(path, name)]));
}

async function rules(): Promise<Rules> {
  return (await import(pathToFileURL(resolve('.dependency-cruiser.mjs')).href)) as Rules;
}

describe('the import rules', () => {
  it.each(BROKEN)('%s finds %s importing %s', (rule, from) => {
    expect(violations.filter((violation) => violation.from === from).map((violation) => violation.rule.name)).toContain(rule);
  });

  it('has a broken example for each rule, and a comment that says what to do', async () => {
    const { default: { forbidden } } = await rules();
    expect(new Set(BROKEN.map(([rule]) => rule))).toEqual(new Set(forbidden.map((rule) => rule.name)));
    for (const rule of forbidden) expect(rule.comment.length).toBeGreaterThan(20);
  });

  it('knows the floor of every source', async () => {
    const { FLOORS } = await rules();
    const floorsOf = (path: string): string[] => FLOORS.filter(([, floor]) => new RegExp(floor).test(path)).map(([name]) => name);
    for (const path of [...filesUnder('src'), ...filesUnder('migrations')]) expect({ path, floors: floorsOf(path).length }).toEqual({ path, floors: 1 });
  });
});
