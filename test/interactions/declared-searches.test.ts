// The plan of every declared search, as the application role under row-level security: which index it follows, and that
// it never reads a whole table. The planner is asked with data and statistics.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { loadDocuments } from '../../bench/load-documents.ts';
import { openDatabase, type Database, type Transaction } from '../../src/database/database.ts';
import { PLAN_FOR_VALUES } from '../../src/database/plans.ts';
import { typeNumber } from '../../src/fhir/resource-type.ts';
import { createOrganisations } from '../../src/resources/organisation.ts';
import { parseSearch } from '../../src/search/parse-search.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import { findBegin } from '../../src/search/search-plan.ts';
import { pageQuery, type SearchQuery, type SearchScope } from '../../src/search/search-query.ts';
import { createDatabase } from '../support/start-muniment.ts';

const BASE = 'https://documents.example/fhir';
const COUNT = 4_000;
type Type = 'DocumentReference' | 'Media' | 'List';

let database: Database;
let org = 0;

beforeAll(async () => {
  const url = await createDatabase();
  database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true });
  org = await createOrganisations(database, true).open('demo');
  await loadDocuments(database, org, BASE, COUNT);
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  await owner.query('vacuum analyze');
  await owner.end();
});
afterAll(() => database.close());

interface PlanNode {
  'Node Type': string;
  'Index Name'?: string;
  'Relation Name'?: string;
  'Rows Removed by Filter'?: number;
  'Actual Loops': number;
  Plans?: PlanNode[];
}

interface Plan {
  begin: string;
  indexes: string[];
  nodes: PlanNode[];
  rows: number;
}

const flat = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flat)];

function literal(value: unknown): string {
  if (!Array.isArray(value)) return pg.escapeLiteral(String(value));
  return pg.escapeLiteral(`{${value.map((item) => `"${String(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`);
}

/** Prepared as the server does it, so that the plan is the one for all values; only `planner` is planned for its own. */
async function explain(tx: Transaction, query: SearchQuery): Promise<{ Plan: PlanNode & { 'Actual Rows': number } }> {
  if (!query.plannedOnce) await tx.query(PLAN_FOR_VALUES);
  await tx.query(`prepare plan as ${query.text}`);
  const { rows } = await tx.query<{ 'QUERY PLAN': [{ Plan: PlanNode & { 'Actual Rows': number } }] }>(`explain (analyze, timing off, format json) execute plan(${query.values.map(literal).join(', ')})`);
  await tx.query('deallocate plan');
  return (rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode & { 'Actual Rows': number } }] })['QUERY PLAN'][0];
}

function planOf(type: Type, text: string): Promise<Plan> {
  return database.readTransaction(org, async (tx) => {
    const pairs = text.split('&').filter((pair) => pair !== '').map((pair): [string, string] => { const [name = '', ...value] = pair.split('='); return [name, value.join('=')]; });
    const parsed = parseSearch(type, pairs, BASE, true);
    const scope: SearchScope = { org, type: typeNumber(type), restriction: { kind: 'none' }, fhirBase: BASE };
    const begin = await findBegin(tx, parsed, scope);
    const { Plan: root } = await explain(tx, pageQuery(parsed, scope, undefined, begin));
    const nodes = flat(root);
    return { begin: begin.kind, indexes: [...new Set(nodes.flatMap((node) => node['Index Name'] ?? []))], nodes, rows: root['Actual Rows'] };
  });
}

/** A value of each declared parameter, with the index that the search must follow. */
const DOCUMENT_SEARCHES: Record<string, [value: string, index: string, more?: string]> = {
  _id: ['bench-7', 'resource_pkey'], _lastUpdated: ['lt2001', 'resource_newest'], _tag: ['rare', 'search_token_pkey'], _profile: ['http://profile.example/none', 'search_uri_pkey'], _security: ['V', 'search_token_pkey'], _source: ['https://source.example/system/3', 'search_uri_pkey'],
  identifier: ['document-7', 'search_token_pkey'], patient: ['bench-7', 'resource_patient_date'], subject: ['Patient/bench-7', 'search_reference_pkey'], category: ['imaging', 'search_token_pkey'], type: ['11506-3', 'search_token_pkey'], status: ['entered-in-error', 'resource_rare_status'],
  date: ['2023-05-05', 'resource_date'], authenticator: ['Practitioner/bench-4', 'search_reference_pkey'], author: ['Practitioner/bench-4', 'search_reference_pkey'], contenttype: ['application/dicom', 'search_uri_pkey'], custodian: ['Organization/bench', 'search_reference_pkey'],
  description: ['stable resume', 'search_string_pkey'], encounter: ['Encounter/bench-3', 'search_reference_pkey'], event: ['operation', 'search_token_pkey'], facility: ['practice', 'search_token_pkey'], format: ['urn:ihe:pcc:xphr:2007', 'search_token_pkey'], language: ['fr', 'search_token_pkey'],
  location: ['https://archive.example/7/documents/7', 'search_uri_pkey'], period: ['2023-05-05', 'search_date_pkey'], related: ['Observation/bench-399', 'search_reference_pkey'], relatesto: ['DocumentReference/bench-98', 'search_reference_pkey'], relation: ['replaces', 'search_token_pkey'],
  relationship: ['replaces$DocumentReference/bench-98', 'search_composite_pkey'], 'security-label': ['R', 'search_token_pkey'], setting: ['setting-7', 'search_token_pkey'], creation: ['2023-05-05', 'search_date_pkey'],
};
const BY_TYPE: Record<string, string> = { token: 'search_token_pkey', reference: 'search_reference_pkey', string: 'search_string_pkey', date: 'search_date_pkey' };
const BY_COLUMN: Record<string, string> = { id: 'resource_pkey', last_updated: 'resource_newest', patient: 'resource_patient_date', status: 'resource_rare_status', date: 'resource_date' };
const VALUE_BY_TYPE: Record<string, string> = { token: 'x', reference: 'Patient/x', string: 'x', date: '2001', uri: 'http://x.example/y' };

function expectNoWholeTable({ nodes }: Plan): void {
  expect(nodes.filter((node) => /^(Seq|Bitmap)/.test(node['Node Type'])).map((node) => node['Relation Name'])).toEqual([]);
}

describe('every declared search of DocumentReference', () => {
  it('has a value here', () => {
    expect(Object.keys(DOCUMENT_SEARCHES).sort()).toEqual(SEARCH_PARAMETERS.DocumentReference.map(({ name }) => name).filter((name) => !name.startsWith('author.')).sort());
  });

  it.each(Object.entries(DOCUMENT_SEARCHES))('%s follows its index', async (name, [value, index]) => {
    const plan = await planOf('DocumentReference', `${name}=${value}`);
    expect({ name, indexes: plan.indexes }).toEqual({ name, indexes: expect.arrayContaining([index]) });
    expectNoWholeTable(plan);
  });
});

describe.each(['Media', 'List'] as const)('every declared search of %s', (type) => {
  it.each(SEARCH_PARAMETERS[type].map((parameter) => [parameter.name, parameter] as const))('%s follows its index', async (name, parameter) => {
    const value = parameter.column === 'status' ? 'entered-in-error' : parameter.targets === undefined ? VALUE_BY_TYPE[parameter.type] : `${parameter.targets[0] as string}/x`;
    const plan = await planOf(type, `${name}=${value as string}`);
    const index = parameter.column === undefined ? (parameter.type === 'uri' ? 'search_uri_pkey' : BY_TYPE[parameter.type]) : BY_COLUMN[parameter.column];
    expect({ name, indexes: plan.indexes }).toEqual({ name, indexes: expect.arrayContaining([index]) });
    expectNoWholeTable(plan);
  });
});

describe('searches of several kinds', () => {
  it.each<[string, string, string[]]>([
    ['', 'order', ['resource_newest']], ['_sort=date', 'order', ['resource_date']], ['_sort=-date,_id', 'order', ['resource_date']], ['_sort=_id', 'order', ['resource_pkey']],
    ['status=current', 'order', ['resource_newest']], ['date=ge2000', 'order', ['resource_newest']], ['type=http://loinc.org|&_sort=-date', 'order', ['resource_date', 'search_token_pkey']], ['period=ge2000', 'order', ['resource_newest', 'search_date_version']],
    ['category=imaging,correspondence,clinical-note', 'order', ['resource_newest', 'search_token_pkey']], ['location:below=https://archive.example', 'order', ['resource_newest']], ['contenttype:below=application', 'order', ['resource_newest']],
    ['patient=bench-7&category=imaging&_sort=-date', 'column', ['resource_patient_date', 'search_token_pkey']], ['patient=bench-7&description:contains=x', 'column', ['resource_patient_date']], ['patient=bench-7&category:not=imaging', 'column', ['resource_patient_date', 'search_token_pkey']],
    ['patient=bench-7&category:missing=true', 'column', ['resource_patient_date']], ['identifier=document-1,document-2', 'ranges', ['search_token_pkey', 'resource_pkey']], ['identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|ACSN|document-7', 'index', ['search_token_pkey', 'resource_pkey']],
    ['subject:identifier=urn:muniment:patients|7', 'index', ['search_reference_pkey', 'resource_pkey']], ['description:exact=x', 'index', ['search_token_pkey']], ['date=2023-05-05&description:contains=x', 'ranges', ['resource_date', 'resource_pkey']], ['date=ge2022-03-01&date=lt2022-03-02', 'ranges', ['resource_date', 'resource_pkey']],
    ['period=ap2022-01-02', 'ranges', ['search_date_pkey', 'resource_pkey']], ['status=superseded&_sort=description', 'ranges', ['resource_rare_status', 'resource_pkey']],
  ])('%s begins with %s', async (text, begin, indexes) => {
    const plan = await planOf('DocumentReference', text);
    expect({ text, begin: plan.begin, indexes: plan.indexes }).toEqual({ text, begin, indexes: expect.arrayContaining(indexes) });
    expectNoWholeTable(plan);
  });

  it('read some rows for each that they answer, not the table', async () => {
    for (const text of ['category=imaging', 'type=11506-3', 'status=superseded', 'patient=bench-7', 'identifier=document-7', 'date=2023-05-05', 'date=ge2023', 'period=ge2023', 'language=en', 'author=Practitioner/bench-4', 'contenttype:below=text/xml']) {
      const { nodes, rows } = await planOf('DocumentReference', text);
      const removed = nodes.reduce((sum, node) => sum + (node['Rows Removed by Filter'] ?? 0) * node['Actual Loops'], 0);
      expect({ text, many: removed > 10 * (rows + 21) }).toEqual({ text, many: false });
    }
  });
});
