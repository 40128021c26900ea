// Pieces of SQL over the rows of the record (alias `e`). What no column holds is read from the canonical text of the
// row: a quotation mark inside a JSON string is escaped, so `"name":"` stands nowhere but where a member begins.
import { ENTITY_ROLES } from '../audit/access-index.ts';
import type { Values } from './query-values.ts';
import type { RecordType } from './record-type.ts';

/** True or false whatever the row, or SQL that says it of the row. */
export type Condition = boolean | string;

/** Whose record is searched, and what an absolute reference begins with. */
export interface RecordScope {
  type: RecordType;
  org: number;
  fhirBase: string;
  /** Id of the one patient whom a row must name, and no other. */
  onlyPatient?: string;
  /** `Patient/id` of those whom it may not name. */
  notPatients?: readonly string[];
}

/** What conditions are made with: the values of one statement, and the organisation that stands in each of its tables. */
export interface RecordSql extends RecordScope {
  values: Values;
}

export function anyOf(conditions: readonly Condition[]): Condition {
  const open = [...new Set(conditions.filter((one) => one !== false))];
  if (open.includes(true)) return true;
  return open.length === 0 ? false : open.length === 1 ? open[0] as Condition : `(${open.join(' or ')})`;
}

export function allOf(conditions: readonly Condition[]): Condition {
  const open = [...new Set(conditions.filter((one) => one !== true))];
  if (open.includes(false)) return false;
  return open.length === 0 ? true : open.length === 1 ? open[0] as Condition : `(${open.join(' and ')})`;
}

/** Conditions here are never null: what is absent is said with coalesce or a null test. */
export function not(condition: Condition): Condition {
  return typeof condition === 'boolean' ? !condition : `not ${condition}`;
}

/** The row's text holds these words as they stand. */
export function holds({ values }: RecordSql, text: string, within = 'e.body'): string {
  return `(strpos(${within}, ${values.add(text)}) > 0)`;
}

/** Text of a string as it stands in the canonical text, without its quotation marks. */
export function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

// Constant patterns are values as well: no SQL text of ours holds a quotation mark that could be anybody else's.
const JSON_STRING = '("(?:[^"\\\\]|\\\\.)*")';

/** The JSON string of a member whose name stands once in the row; null where there is none. */
export function memberText({ values }: RecordSql, name: string): string {
  return `substring(e.body from ${values.add(`"${name}":${JSON_STRING}`)})`;
}

/** The JSON array of strings of a member whose name stands once in the row; null where there is none. */
export function memberTexts({ values }: RecordSql, name: string): string {
  return `substring(e.body from ${values.add(`"${name}":(\\[(?:"(?:[^"\\\\]|\\\\.)*",?)*\\])`)})`;
}

/** A statement with the values that its text still names: those of conditions that were decided beforehand are left out. */
export function statement(text: string, { values }: RecordSql): { text: string; values: unknown[] } {
  const named: unknown[] = [];
  const numbers = new Map<string, string>();
  const numbered = text.replace(/\$(\d+)/g, (placeholder) => {
    const known = numbers.get(placeholder);
    if (known !== undefined) return known;
    named.push(values.list[Number(placeholder.slice(1)) - 1]);
    numbers.set(placeholder, `$${named.length}`);
    return `$${named.length}`;
  });
  return { text: numbered, values: named };
}

/** The versioned references that were written; an empty text where the row is no write. */
export function targetsText(sql: RecordSql): string {
  return `coalesce(${memberTexts(sql, 'targets')}, ${sql.values.add('')})`;
}

/** An agent besides the client: a person, or a subject that is not the client itself. */
export const HAS_USER = '(e.agent_user is not null or (e.agent_subject is not null and e.agent_subject is distinct from e.agent_client))';

/** Told as the full Provenance of a write. */
export function isFullWrite(sql: RecordSql): string {
  return `(e.write and e.outcome = 0 and ${holds(sql, '"targets":["')})`;
}

export function hasData(sql: RecordSql): string {
  return `(${holds(sql, '"role":"data"')} or ${holds(sql, '"targets":["')})`;
}

export function hasPatient(sql: RecordSql): string {
  return holds(sql, '"role":"patient"');
}

/** Index rows of the event with one of the keys, in one of the roles. `further` may name the index row as `x`. */
export function touches({ values, org }: RecordSql, keys: readonly string[], roles: readonly (keyof typeof ENTITY_ROLES)[], further = ''): Condition {
  if (keys.length === 0) return false;
  const numbers = roles.map((role) => ENTITY_ROLES[role]);
  const reference = keys.length === 1 ? `x.reference = ${values.add(keys[0])}` : `x.reference = any(${values.add([...keys], '::text[]')})`;
  return `exists (select 1 from access_entity x where x.org = ${values.add(org)} and ${reference} and x.role = any(${values.add(numbers, '::smallint[]')}) and x.event = e.id${further})`;
}

const ENTITIES = '"entities":(\\[(?:\\{"reference":"(?:[^"\\\\]|\\\\.)*","role":"[a-z]+"\\},?)*\\])';

/** The entities of the row as JSON: of the whole text it would be read whatever else stands there. */
export function entitiesJson({ values }: RecordSql): string {
  return `substring(e.body from ${values.add(ENTITIES)})::json`;
}

/** References of the data that was touched, each once, in their order: `r` and its place `n`, the first being 1. */
export function dataReferences(sql: RecordSql): string {
  const [role, data, reference] = ['role', 'data', 'reference'].map((name) => sql.values.add(name, '::text'));
  const listed = `
    select t.m ->> ${reference} as r, t.n from json_array_elements(${entitiesJson(sql)}) with ordinality t (m, n) where t.m ->> ${role} = ${data}
    union all
    select w.m, w.n + 1000000 from json_array_elements_text(${memberTexts(sql, 'targets')}::json) with ordinality w (m, n)`;
  return `(select d.r, row_number() over (order by min(d.n)) as n from (${listed}) d group by d.r)`;
}
