// Search of the record: AuditEvent and Provenance are two views of the access rows. The row's id is a UUIDv7 of its
// recorded instant, so the primary key is the order of time and a range of dates is a range of ids.
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { keptRow } from './event-texts.ts';
import type { Keyset } from './page-cursor.ts';
import type { ParsedSearch, SearchClause } from './parse-search.ts';
import { clauseSql, type ClauseSql } from './record-conditions.ts';
import { AUDIT_EVENT_LOOKUPS, PROVENANCE_LOOKUPS, type RecordLookup } from './record-lookups.ts';
import { matchingValues, openValuesQuery, type OpenField, type OpenValues } from './record-open-values.ts';
import { countPatients } from './record-codes.ts';
import { allOf, anyOf, not, statement, touches, type Condition, type RecordScope, type RecordSql } from './record-sql.ts';
import { Values } from './query-values.ts';
import type { SearchQuery } from './search-query.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NOTHING_OPEN: OpenValues = new Map();

function lookupOf({ parameter }: SearchClause, type: RecordScope['type']): RecordLookup {
  const lookup = (type === 'AuditEvent' ? AUDIT_EVENT_LOOKUPS : PROVENANCE_LOOKUPS)[parameter.name];
  if (lookup === undefined) throw new Error(`No row of ${type} is found by ${parameter.name}`);
  return lookup;
}

const sqlFor = (scope: RecordScope): RecordSql => ({ ...scope, values: new Values() });

/** The rows of the organisation that meet the conditions. */
function rowsWhere({ values, org }: RecordSql, ...conditions: Condition[]): string {
  return `from access_event e where e.org = ${values.add(org)} and ${String(allOf(conditions))}`;
}

/** Raises 400 `too-costly` where each row of the record would be looked into. */
function refuseUnbounded(clauses: readonly { clause: SearchClause; made: ClauseSql }[], isOfPatient: boolean): void {
  const costly = clauses.find(({ made }) => made.costly);
  if (costly === undefined || isOfPatient || clauses.some(({ made }) => made.bounds)) return;
  const { parameter, modifier } = costly.clause;
  throw fhirError('too-costly', `${parameter.name}${modifier === undefined ? '' : `:${modifier}`} is looked up in each record: narrow the search by a date, an agent, an entity or a patient`);
}

/** What all rows must meet, and the alternatives of one clause of which each is asked by itself. */
interface Where {
  all: Condition;
  alternatives: Condition[];
}

function whereOf(parsed: ParsedSearch, sql: RecordSql, open: OpenValues, leftOut?: SearchClause): Where {
  const made = parsed.clauses.filter((clause) => clause !== leftOut).map((clause) => ({ clause, made: clauseSql(clause, lookupOf(clause, sql.type), sql, open) }));
  if (leftOut === undefined) refuseUnbounded(made, sql.onlyPatient !== undefined);
  const lists = made.map(({ made: { alternatives } }) => alternatives.filter((one) => one !== false));
  const branching = lists.find((list) => list.length > 1 && !list.includes(true));
  const all = [ofPatient(sql), not(touches(sql, sql.notPatients ?? [], ['patient'])), ...lists.filter((list) => list !== branching).map(anyOf), ...(parsed.anyOf ?? []).map((clauses) => anyOfClauses(clauses, sql, open))];
  return { all: allOf(all), alternatives: branching ?? [true] };
}

function ofPatient(sql: RecordSql): Condition {
  if (sql.onlyPatient === undefined) return true;
  return allOf([touches(sql, [`Patient/${sql.onlyPatient}`], ['patient']), `(${countPatients(sql)} = 1)`]);
}

/** One of the clauses is enough. */
function anyOfClauses(clauses: readonly SearchClause[], sql: RecordSql, open: OpenValues): Condition {
  return anyOf(clauses.flatMap((clause) => clauseSql(clause, lookupOf(clause, sql.type), sql, open).alternatives));
}

/** What matches the open texts of a search; asked for once, before its page and its count. Raises 400 `too-costly`. */
export async function readOpenValues(tx: Transaction, parsed: ParsedSearch, scope: RecordScope): Promise<OpenValues> {
  const found = new Map<SearchClause, string[][]>();
  for (const clause of parsed.clauses) {
    const lookup = lookupOf(clause, scope.type);
    if (lookup.kind !== 'open') continue;
    whereOf(parsed, sqlFor(scope), NOTHING_OPEN);
    const lists: string[][] = [];
    for (const field of lookup.fields) lists.push(await matchingValues(tx, clause, field, valuesQuery(parsed, scope, clause, field)));
    found.set(clause, lists);
  }
  return found;
}

/** The values of one open field in the rows that the other clauses leave; what other open clauses ask is left out as well. */
function valuesQuery(parsed: ParsedSearch, scope: RecordScope, clause: SearchClause, field: OpenField): SearchQuery {
  const sql = sqlFor(scope);
  const others = parsed.clauses.filter((one) => one === clause || lookupOf(one, scope.type).kind !== 'open');
  const { all, alternatives } = whereOf({ ...parsed, clauses: others }, sql, NOTHING_OPEN, clause);
  return openValuesQuery(sql, field, alternatives.map((one) => rowsWhere(sql, all, one)));
}

/** One page and one row more, newest first unless sorted otherwise, each row a KeptText. Raises 400 `too-costly`. */
export function recordPageQuery(parsed: ParsedSearch, scope: RecordScope, after: Keyset | undefined, open: OpenValues = NOTHING_OPEN): SearchQuery {
  const sql = sqlFor(scope);
  const { all, alternatives } = whereOf(parsed, sql, open);
  const { descending } = parsed.sort;
  const page = after !== undefined && UUID.test(after.id) ? `e.id ${descending ? '<' : '>'} ${sql.values.add(after.id, '::uuid')}` : true;
  const ordered = (id: string): string => `order by ${id} ${descending ? 'desc' : 'asc'} limit ${parsed.count + 1}`;
  const branches = alternatives.map((one) => rowsWhere(sql, all, one, page));
  const [only] = branches;
  const text = branches.length === 1
    ? `select ${keptRow('e')} ${only} ${ordered('e.id')}`
    : `select ${keptRow('r')} from (select b.id from (${branches.map((branch) => `(select e.id ${branch} ${ordered('e.id')})`).join(' union ')}) b ${ordered('b.id')}) p join access_event r on r.org = ${sql.values.add(scope.org)} and r.id = p.id ${ordered('r.id')}`;
  return { ...statement(text, sql), plannedOnce: false };
}

export function recordCountQuery(parsed: ParsedSearch, scope: RecordScope, limit: number | undefined, open: OpenValues = NOTHING_OPEN): SearchQuery {
  const sql = sqlFor(scope);
  const { all, alternatives } = whereOf(parsed, sql, open);
  const rows = alternatives.map((one) => `select e.id ${rowsWhere(sql, all, one)}`).map((one) => (alternatives.length === 1 ? one : `(${one})`)).join(' union ');
  const counted = alternatives.length === 1 ? rows : `select u.id from (${rows}) u`;
  return { ...statement(`select count(*)::int as total from (${limit === undefined ? counted : `${counted} limit ${limit}`}) as matches`, sql), plannedOnce: false };
}
