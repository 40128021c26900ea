// The authorization matrix over the ways in beside FHIR, from outside: each row of theirs × scope form × role × organisation ×
// category × compartment, answered as an oracle says that has read their documents alone. The rows are those of the server.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { adapterVerdict, demandOf, ORACLE_ROWS, type About, type AdapterToken, type AdapterVerdict } from '../access/adapter-oracle.ts';
import { CONTEXTS, ROLE_SETS, SCOPE_FORMS } from '../access/matrix-tokens.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { adapterBook, nameOfRow, type AdapterRecipe, type AdapterRow } from './adapter-recipes.ts';

let server: TestMuniment;
let root: string;
let admin: FhirClient;
const bearers = new Map<string, string>();
const counts = { done: 0, shown: 0, scope: 0, role: 0, hidden: 0, outside: 0, organisation: 0 };

beforeAll(async () => {
  server = await startMuniment();
  root = server.fhirBase.replace(/\/fhir$/, '');
  admin = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const TARGETS: readonly About[] = [['p1', 'lab'], ['p2', 'lab'], ['p1', 'insurance'], ['p1', 'imaging']].map(([patient = '', category = '']) => ({ org: 'demo', patient, category }));

const rowsOf = (isWanted: (prefix: string) => boolean): AdapterRow[] => server.adapters.filter(({ prefix }) => isWanted(prefix)).flatMap(({ prefix, routes }) => routes.map(({ method, path }) => ({ method, path: [prefix, path].filter((part) => part !== '').join('/') })));

/** Every form of scope with roles, contexts and an organisation that go round; each fourth is of another one. */
const TOKENS: readonly AdapterToken[] = SCOPE_FORMS.map((scope, at) => ({
  scope, roles: at % 2 === 0 ? ['admin'] : ROLE_SETS[(at * 5) % ROLE_SETS.length] ?? [], ...CONTEXTS[(at * 3 + 1) % CONTEXTS.length] as (typeof CONTEXTS)[number], org: at % 4 === 2 ? 'harbour' : 'demo',
}));

const ADMIN_SCOPES = [
  'user/*.cruds', 'system/*.cruds', 'user/Organization.cruds', 'user/Organization.r', 'user/Organization.u', 'user/Organization.read', 'user/*.write', 'system/*.*', 'user/Organization.cd',
  'patient/*.cruds', 'user/*.cruds?status=current', 'user/Organization.rs?name=demo', 'user/DocumentReference.cruds', 'user/Organization.ur', 'openid',
];
const ADMIN_ROLES: readonly (readonly string[])[] = [['admin'], ['auditor', 'admin'], ['practitioner'], ['auditor'], []];
const ADMIN_TOKENS: readonly AdapterToken[] = ADMIN_SCOPES.flatMap((scope, at) => [
  { scope, roles: ['admin'], fhirUser: 'Practitioner/ann', patient: 'p1', org: at % 2 === 1 ? 'harbour' : 'demo' },
  { scope, roles: ADMIN_ROLES[at % ADMIN_ROLES.length] ?? [], fhirUser: 'Practitioner/ann', patient: 'p1', org: at % 3 === 2 ? 'harbour' : 'demo' },
]);

async function bearerOf({ scope, roles, patient, fhirUser, org }: AdapterToken): Promise<string> {
  const key = JSON.stringify([scope, roles, patient, fhirUser, org]);
  const bearer = bearers.get(key) ?? await server.token({ scope, roles: [...roles], user: fhirUser, org, client: 'an-app', ...(patient === undefined ? {} : { patient }) });
  bearers.set(key, bearer);
  return bearer;
}

function foundIn(verdict: AdapterVerdict, answer: Answer, { status, shows }: AdapterRecipe): object {
  const succeeded = answer.status === status || (answer.status === 200 && status === 201);
  return {
    status: verdict.kind === 'done' && succeeded ? 'done' : answer.status,
    ...(verdict.kind === 'refused' && verdict.challenge !== undefined ? { challenge: answer.headers.get('www-authenticate')?.includes('insufficient_scope') === true } : {}),
    ...(verdict.kind === 'done' && verdict.shows !== undefined ? { shows: answer.text.includes(shows === undefined ? 'the recipe shows nothing' : `"id":${/^\d+$/.test(shows) ? shows : `"${shows}"`}`) } : {}),
  };
}

function wantedOf(verdict: AdapterVerdict): object {
  if (verdict.kind === 'done') return { status: 'done', ...(verdict.shows === undefined ? {} : { shows: verdict.shows }) };
  return { status: verdict.status, ...(verdict.challenge === undefined ? {} : { challenge: verdict.challenge }) };
}

function count(verdict: AdapterVerdict): void {
  counts[verdict.kind === 'refused' ? verdict.why : verdict.shows === true ? 'shown' : 'done'] += 1;
}

/** One row, asked by each token about each in turn of `targets`. What succeeded may have changed what it was about, so it is made anew. */
async function walkRow(row: AdapterRow, tokens: readonly AdapterToken[], targets: readonly About[], turn: number): Promise<string[]> {
  const differing: string[] = [];
  const made = new Map<About, AdapterRecipe>();
  for (const [at, token] of tokens.entries()) {
    // Every second token, others in the next row.
    if ((at + turn) % 2 === 1) continue;
    const about = targets[Math.floor((at + turn) / 2) % targets.length] as About;
    const recipe = made.get(about) ?? await (await adapterBook(server, admin, about))(row);
    made.set(about, recipe);
    const verdict = adapterVerdict(nameOfRow(row), token, about);
    const answer = await admin.call(`${root}/${recipe.path}`, { method: row.method, ...recipe.call, token: await bearerOf(token) });
    const [found, wanted] = [foundIn(verdict, answer, recipe), wantedOf(verdict)];
    if (JSON.stringify(found) !== JSON.stringify(wanted)) differing.push(`${nameOfRow(row)} ${JSON.stringify(about)} by ${JSON.stringify(token)}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)} (${answer.text.slice(0, 200)})`);
    count(verdict);
    if (row.method !== 'GET' && answer.status < 300) made.delete(about);
  }
  return differing;
}

describe('the authorization matrix over the ways in beside FHIR', () => {
  it('has an opinion on each row of the server, and on none that is not there', () => {
    expect(rowsOf(() => true).map(nameOfRow).sort()).toEqual([...ORACLE_ROWS].sort());
    expect(() => demandOf('GET documents/unheard-of')).toThrow('The matrix has no opinion on GET documents/unheard-of');
  });

  it('answers each row of data as the oracle says: what is hidden is unknown, and lists have what may be had', async () => {
    const differing: string[] = [];
    for (const [turn, row] of rowsOf((prefix) => prefix !== 'admin').entries()) differing.push(...await walkRow(row, TOKENS, TARGETS, turn));
    expect(differing.slice(0, 20)).toEqual([]);
  }, 300_000);

  it('answers each row of administrators as the oracle says: by scope, role and organisation', async () => {
    const differing: string[] = [];
    for (const [turn, row] of rowsOf((prefix) => prefix === 'admin').entries()) differing.push(...await walkRow(row, ADMIN_TOKENS, TARGETS, turn));
    expect(differing.slice(0, 20)).toEqual([]);
  }, 300_000);

  it('has asked more than 1,000 times, and each reason for a refusal occurred', () => {
    expect(Object.values(counts).reduce((sum, one) => sum + one, 0)).toBeGreaterThan(1_000);
    for (const [why, times] of Object.entries(counts)) expect([why, times > 0]).toEqual([why, true]);
  });
});
