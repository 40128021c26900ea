// What consents withhold is the same in SQL, which searches and counts, and in memory, which reads and writes.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import type { ConsentDenial, DocumentTest } from '../../src/access/document-test.ts';
import { judgeResource } from '../../src/search/judge-resource.ts';
import { Values } from '../../src/search/query-values.ts';
import { withheldPredicates } from '../../src/search/withheld-predicate.ts';

const BASE = 'https://muniment.test/fhir';
let client: pg.Client;
beforeAll(async () => {
  client = new pg.Client({ connectionString: process.env['TEST_POSTGRES_URL'] });
  await client.connect();
});
afterAll(() => client.end());

// What JSON paths could take for something of their own stands among the codes.
const word = fc.constantFrom('R', 'V', 'x', 'a"b', '$c0', "it's", 'ü', '{}', '\\', 'd');
const code = fc.record({ system: word, code: word }, { requiredKeys: ['code'] });
const codes = fc.array(code, { minLength: 1, maxLength: 3 });
const { test } = fc.letrec<{ test: DocumentTest }>((tie) => ({
  test: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<DocumentTest>({ kind: 'always' }, { kind: 'never' }),
    codes.map((of): DocumentTest => ({ kind: 'label', codes: of })), codes.map((of): DocumentTest => ({ kind: 'code', codes: of })),
    fc.array(word, { minLength: 1, maxLength: 2 }).map((ids): DocumentTest => ({ kind: 'id', ids })),
    fc.array(tie('test'), { minLength: 1, maxLength: 3 }).chain((of) => fc.constantFrom('all' as const, 'any' as const).map((kind): DocumentTest => ({ kind, of }))),
    tie('test').map((of): DocumentTest => ({ kind: 'not', of })),
  ),
}));
const denials = fc.array(fc.record({ patients: fc.oneof(fc.constant('any' as const), fc.uniqueArray(fc.constantFrom('p', 'q', 'r'), { minLength: 1 }).map((ids) => new Set(ids))), when: test }), { minLength: 1, maxLength: 3 }) as fc.Arbitrary<ConsentDenial[]>;
const concept = fc.array(code, { minLength: 1, maxLength: 2 }).map((coding) => ({ coding }));
const document = fc.record({
  id: word, meta: fc.record({ security: fc.array(code, { minLength: 1, maxLength: 2 }), versionId: fc.constant('1') }, { requiredKeys: ['versionId'] }), securityLabel: fc.array(concept, { minLength: 1, maxLength: 2 }),
  category: fc.array(concept, { minLength: 1, maxLength: 2 }), type: concept, subject: fc.constantFrom('Patient/p', 'Patient/q', 'Group/p').map((reference) => ({ reference })), description: word,
}, { requiredKeys: ['id', 'meta'] }).map((more) => ({ resourceType: 'DocumentReference', status: 'current', ...more }));

it('SQL and memory agree about every test, document and patient', async () => {
  const seen = new Set<boolean>();
  await fc.assert(fc.asyncProperty(denials, document, async (withheld, resource) => {
    const inMemory = judgeResource({ kind: 'within', anyOf: [{}], withheld }, 'DocumentReference', resource, BASE) === 'permitted';
    const values = new Values();
    const subject = (resource['subject'] as { reference: string } | undefined)?.reference;
    const [body, patient, id] = [values.add(JSON.stringify(resource), '::text'), values.add(subject?.startsWith('Patient/') === true ? subject.slice(8) : null, '::text'), values.add(resource['id'], '::text')];
    const { rows } = await client.query<{ permitted: boolean }>(`select ${withheldPredicates(withheld, values).join(' and ')} as permitted from (select ${body} as body, ${patient} as patient, ${id} as id) r`, values.list);
    expect(rows[0]?.permitted).toBe(inMemory);
    seen.add(inMemory);
  }), { numRuns: 1_500 });
  expect(seen.size).toBe(2);
});
