// Search of the record: AuditEvent and Provenance are two views of the access rows. The row's id is a UUIDv7 of its
// recorded instant, so the primary key is the order of time and a range of dates is a range of ids.
import { uuidV7Ceil, uuidV7Floor } from '../fhir/uuid-v7.ts';
import type { Keyset } from './page-cursor.ts';
import type { ParsedSearch, SearchClause, SearchValue } from './parse-search.ts';
import { instantPredicate, Values, type SearchQuery } from './search-query.ts';

const ROLE_DATA = 2;

/** Ids hold 48 bits of milliseconds from 1970 on; nothing was recorded outside them. */
const idTime = (ms: number): number => Math.min(Math.max(ms, 0), 2 ** 48 - 1);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function datePredicate(value: SearchValue, values: Values): string {
  if (value.kind !== 'date') return 'false';
  return instantPredicate('e.recorded', value.prefix, value.range, (ms) => values.instant(ms));
}

/** Narrows by id what `recorded` says exactly; a part of a date range that has no bound is left open. */
function idBounds(clause: SearchClause, values: Values): string[] {
  const only = clause.values.length === 1 ? clause.values[0] : undefined;
  if (only === undefined || only.kind !== 'date') return [];
  const { prefix, range } = only;
  const bounds: string[] = [];
  if (['eq', 'ap', 'ge'].includes(prefix)) bounds.push(`e.id >= ${values.add(uuidV7Floor(idTime(range.lo)), '::uuid')}`);
  if (['gt', 'sa'].includes(prefix)) bounds.push(`e.id >= ${values.add(uuidV7Floor(idTime(range.hi)), '::uuid')}`);
  if (['eq', 'ap', 'le'].includes(prefix)) bounds.push(`e.id <= ${values.add(uuidV7Ceil(idTime(range.hi)), '::uuid')}`);
  if (['lt', 'eb'].includes(prefix)) bounds.push(`e.id <= ${values.add(uuidV7Ceil(idTime(range.lo)), '::uuid')}`);
  return bounds;
}

function agentPredicate(value: SearchValue, values: Values): string {
  if (value.kind !== 'reference') return 'false';
  const keys = values.add(value.keys, '::text[]');
  const byUser = `e.agent_user = any(${keys})`;
  if (value.text.includes('/')) return byUser;
  const bare = values.add(value.text);
  return `(${byUser} or e.agent_client = ${bare} or e.agent_subject = ${bare})`;
}

/** An access that touched nothing has itself as target. */
function targetPredicate(value: SearchValue, values: Values, org: number): string {
  if (value.kind !== 'reference') return 'false';
  const own = value.keys.flatMap((key) => (key.startsWith('AuditEvent/') && UUID.test(key.slice(11)) ? [key.slice(11)] : []));
  const touched = `exists (select 1 from access_entity t where t.org = ${values.add(org)} and t.reference = any(${values.add(value.keys, '::text[]')}) and t.event = e.id and t.role = ${ROLE_DATA})`;
  return own.length === 0 ? touched : `(${touched} or (e.id = any(${values.add(own, '::uuid[]')}) and not exists (select 1 from access_entity n where n.org = e.org and n.event = e.id and n.role = ${ROLE_DATA})))`;
}

function tokenPredicate(clause: SearchClause, value: SearchValue, values: Values): string {
  if (value.kind !== 'token') return 'false';
  const { name, system } = clause.parameter;
  if (name === '_id') return UUID.test(value.code) ? `e.id = ${values.add(value.code, '::uuid')}` : 'false';
  if (value.system !== undefined && value.system !== system && !(value.system === '' && system === undefined)) return 'false';
  if (name === 'action') return `e.action = ${values.add(value.code)}`;
  if (name === 'outcome') return /^\d{1,2}$/.test(value.code) ? `e.outcome = ${values.add(Number(value.code))}` : 'false';
  if (name === 'request-id') return `e.request_id = ${values.add(value.code)}`;
  return 'false';
}

function clauseSql(clause: SearchClause, values: Values, org: number): string {
  const any = clause.values.map((value) => {
    switch (clause.parameter.name) {
      case 'agent': return agentPredicate(value, values);
      case 'target': return targetPredicate(value, values, org);
      case 'date': case 'recorded': case '_lastUpdated': return datePredicate(value, values);
      default: return tokenPredicate(clause, value, values);
    }
  });
  return [`(${any.join(' or ')})`, ...(clause.parameter.type === 'date' ? idBounds(clause, values) : [])].join(' and ');
}

/** The entity index knows no versions; where a versioned reference is asked for, the row's text decides. */
function conditions(parsed: ParsedSearch, org: number, values: Values): string {
  const where = [`e.org = ${values.add(org)}`];
  for (const clause of parsed.clauses) {
    if (clause.parameter.name !== 'entity') { where.push(clauseSql(clause, values, org)); continue; }
    const keys = clause.values.flatMap((value) => (value.kind === 'reference' ? value.keys : []));
    where.push(`exists (select 1 from access_entity x where x.org = ${values.add(org)} and x.reference = any(${values.add(keys, '::text[]')}) and x.event = e.id)`);
    const versioned = clause.values.flatMap((value) => (value.kind === 'reference' && value.text.includes('/_history/') ? [value.text] : []));
    if (versioned.length === clause.values.length && versioned.length > 0) where.push(`(${versioned.map((text) => `strpos(e.body, ${values.add(`"${lastTwo(text)}"`)}) > 0`).join(' or ')})`);
  }
  return where.join(' and ');
}

/** Type/id/_history/n of a reference in any form. */
function lastTwo(reference: string): string {
  return reference.split('/').slice(-4).join('/');
}

/** One page and one row more, newest first unless sorted otherwise. */
export function recordPageQuery(parsed: ParsedSearch, org: number, after: Keyset | undefined): SearchQuery {
  const values = new Values();
  const where = conditions(parsed, org, values);
  const page = after !== undefined && UUID.test(after.id) ? ` and e.id ${parsed.sort.descending ? '<' : '>'} ${values.add(after.id, '::uuid')}` : '';
  return { text: `select e.id, e.body from access_event e where ${where}${page} order by e.id ${parsed.sort.descending ? 'desc' : 'asc'} limit ${parsed.count + 1}`, values: values.list, plannedOnce: false };
}

export function recordCountQuery(parsed: ParsedSearch, org: number, limit: number | undefined): SearchQuery {
  const values = new Values();
  const rows = `select 1 from access_event e where ${conditions(parsed, org, values)}`;
  return { text: `select count(*)::int as total from (${limit === undefined ? rows : `${rows} limit ${limit}`}) as matches`, values: values.list, plannedOnce: false };
}
