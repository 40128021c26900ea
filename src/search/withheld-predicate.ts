// What consents withhold, as conditions on a resource `r`: the same tests that are held against a resource in memory.
import type { ConsentDenial, DocumentTest, TestedCode } from '../access/document-test.ts';
import type { Values } from './query-values.ts';

/** The places of codings, as JSON paths. */
const LABELS = ['$.meta.security[*]', '$.securityLabel[*].coding[*]'];
// Strict: else a list would be taken for each of its members, and the code of one with the system of another.
const ANYWHERE = ['strict $.**'];

/** Path and variables are values; the path names the variables by their numbers. */
function codedAt(places: readonly string[], codes: readonly TestedCode[], values: Values): string {
  const filter = codes.map(({ system }, position) => `(@.code == $c${position}${system === undefined ? '' : ` && @.system == $s${position}`})`).join(' || ');
  const variables = values.add(JSON.stringify(Object.fromEntries(codes.flatMap(({ system, code }, position) => [[`c${position}`, code], ...(system === undefined ? [] : [[`s${position}`, system]])]))), '::jsonb');
  const tests = places.map((place) => `jsonb_path_exists(r.body::jsonb, ${values.add(`${place} ? (${filter})`, '::jsonpath')}, ${variables}, true)`);
  return `(${tests.join(' or ')})`;
}

function testPredicate(test: DocumentTest, values: Values): string {
  switch (test.kind) {
    case 'always': return 'true';
    case 'never': return 'false';
    case 'label': return codedAt(LABELS, test.codes, values);
    case 'code': return codedAt(ANYWHERE, test.codes, values);
    case 'id': return `r.id = any(${values.add([...test.ids], '::text[]')})`;
    case 'not': return `not ${testPredicate(test.of, values)}`;
    case 'all': return `(${test.of.map((one) => testPredicate(one, values)).join(' and ')})`;
    case 'any': return `(${test.of.map((one) => testPredicate(one, values)).join(' or ')})`;
  }
}

/** The patient is asked first: of others nothing is read. `is true` because a document may be about nobody. */
export function withheldPredicates(withheld: readonly ConsentDenial[], values: Values): string[] {
  return withheld.map(({ patients, when }) => {
    const test = testPredicate(when, values);
    if (patients === 'any') return `not ${test}`;
    const whose = `(r.patient = any(${values.add([...patients], '::text[]')})) is true`;
    return test === 'true' ? `not (${whose})` : `not (case when ${whose} then ${test} else false end)`;
  });
}
