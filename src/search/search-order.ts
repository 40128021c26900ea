// The order of a result (R4 search.html 3.1.1.6.1) and the keyset that a page goes on from. What has no value comes
// first in ascending order and last in descending order; the id decides between equals.
import type { Keyset } from './page-cursor.ts';
import type { ParsedSearch, SortTerm } from './parse-search.ts';
import type { Values } from './query-values.ts';

interface OrderKey {
  /** SQL over the resource `r`; never null. */
  expression: string;
  descending: boolean;
  kind: 'instant' | 'text';
}

/** The earliest, or first, of several values. Each comparison is that of bytes. */
function termExpression({ parameter }: SortTerm): string {
  switch (parameter.column) {
    case 'id': return 'r.id';
    case 'last_updated': return 'r.last_updated';
    case 'date': return 'r.date_lo';
    case 'status': case 'patient': return `coalesce(r.${parameter.column}, '')`;
    default:
  }
  if (parameter.type === 'date') {
    return `coalesce((select min(o.lo) from search_date o where o.org = r.org and o.type = r.type and o.param = ${parameter.number} and o.last_updated = r.last_updated and o.id = r.id), '-infinity')`;
  }
  return `coalesce(substring(r.words from '\\n${parameter.number}\\t([^\\n]*)'), '')`.replaceAll('\\n', '\n').replaceAll('\\t', '\t');
}

function isInstant({ parameter }: SortTerm): boolean {
  return parameter.type === 'date';
}

function orderKeys(parsed: ParsedSearch): OrderKey[] {
  const { sort } = parsed;
  if (sort.terms === undefined) {
    const id: OrderKey = { expression: 'r.id', descending: sort.descending, kind: 'text' };
    if (sort.column === 'id') return [id];
    return [{ expression: sort.column === 'date' ? 'r.date_lo' : 'r.last_updated', descending: sort.descending, kind: 'instant' }, id];
  }
  const keys = sort.terms.map((term): OrderKey => ({ expression: termExpression(term), descending: term.descending, kind: isInstant(term) ? 'instant' : 'text' }));
  const last = sort.terms.at(-1);
  return last?.parameter.column === 'id' ? keys : [...keys, { expression: 'r.id', descending: last?.descending === true, kind: 'text' }];
}

/** `alias` may be the one of an index row whose order is that of its index. */
export function orderBy(parsed: ParsedSearch, alias = 'r'): string {
  return orderKeys(parsed).map(({ expression, descending }) => `${onAlias(expression, alias)} ${descending ? 'desc' : 'asc'}`).join(', ');
}

function onAlias(expression: string, alias: string): string {
  return alias === 'r' ? expression : expression.replace(/^r\.(last_updated|id)$/, `${alias}.$1`);
}

/** The same search from its other end. */
export function reversed(parsed: ParsedSearch): ParsedSearch {
  const { sort } = parsed;
  const terms = sort.terms?.map((term) => ({ ...term, descending: !term.descending }));
  return { ...parsed, sort: { ...sort, descending: !sort.descending, ...(terms === undefined ? {} : { terms }) } };
}

function placeholder(key: OrderKey, value: number | string, values: Values): string {
  return key.kind === 'instant' ? values.instant(Number(value)) : values.add(String(value));
}

/** What comes after the keyset, in the order of the search. */
export function afterKeyset(parsed: ParsedSearch, after: Keyset, values: Values, alias = 'r'): string {
  const keys = orderKeys(parsed);
  const given: (number | string)[] = [...(after.further ?? (after.value === null ? [] : [after.value])), after.id];
  const than = ({ descending }: OrderKey): string => (descending ? '<' : '>');
  const [first, ...rest] = keys;
  if (first === undefined || given.length !== keys.length) return 'false';
  const added = keys.map((key, position) => placeholder(key, given[position] ?? '', values));
  const columns = keys.map((key) => onAlias(key.expression, alias));
  if (rest.length === 0) return `${columns[0] ?? ''} ${than(first)} ${added[0] ?? ''}`;
  if (rest.every((key) => key.descending === first.descending)) return `(${columns.join(', ')}) ${than(first)} (${added.join(', ')})`;
  const nested = keys.reduceRight((inner, key, position) => {
    const beyond = `${columns[position] ?? ''} ${than(key)} ${added[position] ?? ''}`;
    return inner === '' ? beyond : `(${beyond} or (${columns[position] ?? ''} = ${added[position] ?? ''} and ${inner}))`;
  }, '');
  // Said once more on its own, so that an index may begin there.
  return `${columns[0] ?? ''} ${than(first)}= ${added[0] ?? ''} and ${nested}`;
}

/** Further columns of a page's rows, from which keysetOf makes the keyset. */
export function keysetColumns(parsed: ParsedSearch): string {
  if (parsed.sort.terms === undefined) return '';
  const parts = orderKeys(parsed).slice(0, -1).map(({ expression, kind }) => (kind === 'instant' ? `(extract(epoch from ${expression}) * 1000)::text` : expression));
  return `, array[${parts.join(', ')}] as sort_values`;
}

export interface SortedRow {
  id: string;
  last_updated: Date;
  /** Infinite for a resource without a date. */
  date_lo: Date | number;
  /** Where the order has several keys: each but the id, as text; instants in milliseconds. */
  sort_values?: string[];
}

export function keysetOf(parsed: ParsedSearch, row: SortedRow): Keyset {
  const { sort } = parsed;
  if (sort.terms !== undefined) {
    const kinds = orderKeys(parsed).map(({ kind }) => kind);
    return { value: null, id: row.id, further: (row.sort_values ?? []).map((text, position) => (kinds[position] === 'instant' ? Number(text) : text)) };
  }
  if (sort.column === 'id') return { value: null, id: row.id };
  const value = sort.column === 'date' ? row.date_lo : row.last_updated;
  return { value: value instanceof Date ? value.getTime() : Number(value), id: row.id };
}
