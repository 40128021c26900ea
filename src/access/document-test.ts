// What a document must be for a consent to withhold it: a small algebra over labels, codes and ids that is held against a
// resource in memory here, and in SQL by the search floor. Pure.
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';

/** A coding; without a system any system will do. */
export interface TestedCode {
  system?: string;
  code: string;
}

export type DocumentTest =
  | { kind: 'always' }
  | { kind: 'never' }
  /** One of the labels in meta.security, or in DocumentReference.securityLabel. */
  | { kind: 'label'; codes: readonly TestedCode[] }
  /** One of the codes anywhere in the resource. */
  | { kind: 'code'; codes: readonly TestedCode[] }
  | { kind: 'id'; ids: readonly string[] }
  | { kind: 'all' | 'any'; of: readonly DocumentTest[] }
  | { kind: 'not'; of: DocumentTest };

/** The documents of these patients, as far as the test holds. */
export interface ConsentDenial {
  /** Ids of Patients; `any` = everybody's, and nobody's. */
  patients: ReadonlySet<string> | 'any';
  when: DocumentTest;
  /** The consents could not be asked for: what is withheld is so for its label. */
  unknown?: true;
}

export const ALWAYS: DocumentTest = { kind: 'always' };
export const NEVER: DocumentTest = { kind: 'never' };

const isKind = (kind: DocumentTest['kind']) => (test: DocumentTest): boolean => test.kind === kind;

export function allOf(tests: readonly DocumentTest[]): DocumentTest {
  if (tests.some(isKind('never'))) return NEVER;
  const [first, ...others] = tests.filter((test) => test.kind !== 'always');
  if (first === undefined) return ALWAYS;
  return others.length === 0 ? first : { kind: 'all', of: [first, ...others] };
}

export function anyOf(tests: readonly DocumentTest[]): DocumentTest {
  if (tests.some(isKind('always'))) return ALWAYS;
  const [first, ...others] = tests.filter((test) => test.kind !== 'never');
  if (first === undefined) return NEVER;
  return others.length === 0 ? first : { kind: 'any', of: [first, ...others] };
}

export function notOf(test: DocumentTest): DocumentTest {
  if (test.kind === 'always') return NEVER;
  if (test.kind === 'never') return ALWAYS;
  return test.kind === 'not' ? test.of : { kind: 'not', of: test };
}

/** How many codes and ids are compared for it. */
export function weightOf(test: DocumentTest): number {
  switch (test.kind) {
    case 'always': case 'never': return 0;
    case 'label': case 'code': return test.codes.length;
    case 'id': return test.ids.length;
    case 'not': return weightOf(test.of);
    case 'all': case 'any': return test.of.reduce((sum, one) => sum + weightOf(one), 0);
  }
}

const list = (value: JsonValue | undefined): JsonValue[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);
const member = (value: JsonValue, name: string): JsonValue[] => (isJsonObject(value) ? list(value[name]) : []);

function isCoded(value: JsonValue, codes: readonly TestedCode[]): boolean {
  return isJsonObject(value) && codes.some(({ system, code }) => value['code'] === code && (system === undefined || value['system'] === system));
}

function hasLabel(resource: JsonObject, codes: readonly TestedCode[]): boolean {
  const security = member(resource, 'meta').flatMap((meta) => member(meta, 'security'));
  const labels = member(resource, 'securityLabel').flatMap((concept) => member(concept, 'coding'));
  return [...security, ...labels].some((coding) => isCoded(coding, codes));
}

function hasCode(value: JsonValue, codes: readonly TestedCode[]): boolean {
  if (Array.isArray(value)) return value.some((one) => hasCode(one, codes));
  return isJsonObject(value) && (isCoded(value, codes) || Object.values(value).some((one) => hasCode(one, codes)));
}

export function testHolds(test: DocumentTest, resource: JsonObject): boolean {
  switch (test.kind) {
    case 'always': return true;
    case 'never': return false;
    case 'label': return hasLabel(resource, test.codes);
    case 'code': return hasCode(resource, test.codes);
    case 'id': return typeof resource['id'] === 'string' && test.ids.includes(resource['id']);
    case 'not': return !testHolds(test.of, resource);
    case 'all': return test.of.every((one) => testHolds(one, resource));
    case 'any': return test.of.some((one) => testHolds(one, resource));
  }
}
