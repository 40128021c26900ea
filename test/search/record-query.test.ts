import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Keyset } from '../../src/search/page-cursor.ts';
import { parseSearch } from '../../src/search/parse-search.ts';
import type { RecordType } from '../../src/search/record-type.ts';
import { recordCountQuery, recordPageQuery } from '../../src/search/record-query.ts';
import type { SearchQuery } from '../../src/search/search-query.ts';
import { boundValue, placeholders, tableUses } from './sql-structure.ts';

const BASE = 'https://documents.example/fhir';
const ORG = 4_711;
const EVENT = '01a21398-6b43-72da-b895-e643e19a48f5';

const text = fc.string({ minLength: 1, maxLength: 12 }).filter((one) => !one.includes('\u0000')).map((one) => `zq7'";--$1${one}`);
const token = fc.oneof(text, fc.constantFrom('R', '0', '4', EVENT), fc.tuple(text, text).map((parts) => parts.join('|')));
const reference = fc.oneof(text, fc.constantFrom('DocumentReference/1', 'DocumentReference/1/_history/2', `${BASE}/Binary/1`, `AuditEvent/${EVENT}`, 'Practitioner/demo', 'client'), text.map((one) => `Patient/${one}`));
const date = fc.tuple(fc.constantFrom('', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap'), fc.constantFrom('0001', '1950', '1969-12-31T23:59:59.999Z', '1970', '2024-05-06', '9999-12-31', '9999')).map((parts) => parts.join(''));
// A bar alone is no Identifier: such a search has no SQL.
const several = (one: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.array(one, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(',')).filter((joined) => !joined.split(',').includes('|'));
const controls = fc.tuple(fc.constantFrom('_sort', '_count'), fc.constantFrom('_lastUpdated', '-_lastUpdated', '5'));

const audit = fc.array(fc.oneof(
  fc.tuple(fc.constantFrom('_id', 'action', 'outcome', 'request-id', 'subtype', 'type', 'site', 'site:not', 'action:not', 'outcome:not', 'altid', '_tag', 'agent.identifier', 'entity:identifier'), several(token)),
  fc.tuple(fc.constantFrom('entity-type', 'entity-role:not', 'entity-type:text', '_profile', 'subtype:text', 'agent-name', 'address:contains', 'policy:below', 'agent-role'), several(token), several(date)).map(([name, one]) => [name, one] as [string, string]),
  fc.tuple(fc.constantFrom('entity', 'agent', 'agent:Practitioner', 'patient', 'source'), several(reference)),
  fc.tuple(fc.constantFrom('date', '_lastUpdated'), several(date)),
), { maxLength: 5 }).map((pairs): { type: RecordType; pairs: [string, string][] } => ({ type: 'AuditEvent', pairs }));
const provenance = fc.array(fc.oneof(
  fc.tuple(fc.constantFrom('_id', 'agent-type', 'agent-role', 'signature-type', 'agent:identifier'), several(token)),
  fc.tuple(fc.constantFrom('target', 'agent', 'entity', 'patient', 'location'), several(reference)),
  fc.tuple(fc.constantFrom('recorded', '_lastUpdated'), several(date)),
), { maxLength: 5 }).map((pairs): { type: RecordType; pairs: [string, string][] } => ({ type: 'Provenance', pairs }));

const asked = fc.tuple(fc.oneof(audit, provenance), fc.option(controls, { nil: undefined })).map(([{ type, pairs }, control]) => {
  // What is looked up in each row is bounded by a date, so that it is not refused.
  const bounded: [string, string][] = [...pairs, ['_lastUpdated', 'ge2024']];
  const valid = control !== undefined && (control[0] === '_count') === (control[1] === '5');
  return { type, pairs: (valid ? [...bounded, control] : bounded) };
});
const after = fc.option(fc.record<Keyset>({ value: fc.constant(1), id: fc.oneof(fc.constant(EVENT), text) }), { nil: undefined });

function queriesOf({ type, pairs }: { type: RecordType; pairs: [string, string][] }, keyset: Keyset | undefined): SearchQuery[] {
  const parsed = parseSearch(type, pairs, BASE, false);
  const scope = { type, org: ORG, fhirBase: BASE };
  return [recordPageQuery(parsed, scope, keyset), recordCountQuery(parsed, scope, undefined), recordCountQuery(parsed, scope, 10_000)];
}

describe('the SQL of a search in the record', () => {
  it('binds every table that it reads to the organisation', () => {
    fc.assert(fc.property(asked, after, (search, keyset) => {
      for (const query of queriesOf(search, keyset)) {
        for (const { table, alias } of tableUses(query.text)) {
          expect(['access_event', 'access_entity', 'organisation']).toContain(table);
          expect([query.text, boundValue(query.text, query.values, alias, table === 'organisation' ? 'id' : 'org')]).toEqual([query.text, ORG]);
        }
      }
    }), { numRuns: 1_000 });
  });

  it('holds no text that a client sent, and has a value for each placeholder', () => {
    fc.assert(fc.property(asked, after, (search, keyset) => {
      for (const query of queriesOf(search, keyset)) {
        expect(query.text).not.toContain('zq7');
        expect(query.text).not.toMatch(/['";\\]|--/);
        expect(placeholders(query.text)).toEqual(query.values.map((_value, index) => index + 1));
      }
    }), { numRuns: 1_000 });
  });

  it.each(['ge1950', 'le1950', 'gt1969-12-31', 'eq0001', 'lt9999', 'sa9999-12-31', 'ap9999'])('date=%s narrows by ids that there can be', (value) => {
    const [query] = queriesOf({ type: 'AuditEvent', pairs: [['date', value]] }, undefined);
    for (const one of query?.values.filter((candidate) => typeof candidate === 'string' && /^[0-9a-f]{8}-/.test(candidate)) ?? []) {
      expect(one).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
  });

  it('asks for one event by its id, and for none by what is no id', () => {
    const idOf = (id: string): SearchQuery => queriesOf({ type: 'AuditEvent', pairs: [['_id', id]] }, undefined)[0] as SearchQuery;
    expect(idOf(EVENT).text).toContain('e.id = $2::uuid');
    expect(idOf('not-a-uuid').text).toContain('e.org = $1 and false');
  });

  it('looks for a versioned entity in the row itself', () => {
    const [query] = queriesOf({ type: 'AuditEvent', pairs: [['entity', `${BASE}/Binary/1/_history/2`]] }, undefined);
    expect(query?.values).toContain('"Binary/1/_history/2","role":"data"');
  });
});
