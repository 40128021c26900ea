// Parameters whose values are open texts: names, addresses, roles, ids of tokens. No index holds them; within the
// bounds of the search there are few different ones. The rows are asked which, the language of the renderer decides
// which of them match, and the rows are asked again for those.
import { ROLE, foreignConcepts } from '../audit/coding.ts';
import { shownText, shownUri } from '../audit/shown-text.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { SearchClause, SearchValue } from './parse-search.ts';
import { matchesCode, matchesText } from './record-code-match.ts';
import { HAS_USER, memberText, memberTexts, statement, type Condition, type RecordSql } from './record-sql.ts';
import { runSearchQuery } from './run-search-query.ts';
import type { SearchQuery } from './search-query.ts';

/** What one value of a row is shown as: texts, or codes of which some are but text. */
interface Shown {
  texts: string[];
  codes: { system?: string; code: string }[];
}

export interface OpenField {
  /** SQL that gives JSON text, null where the row has none. */
  raw(sql: RecordSql): string;
  shown(raw: string): Shown;
}

const text = (shown: string | undefined): Shown => ({ texts: shown === undefined ? [] : [shown], codes: [] });

export const AGENT_NAME: OpenField = {
  raw: (sql) => `case when ${HAS_USER} then ${memberText(sql, 'name')} end`,
  shown: (raw) => text(shownText(JSON.parse(raw) as string)),
};
export const CLIENT_ADDRESS: OpenField = { raw: (sql) => memberText(sql, 'address'), shown: (raw) => text(shownText(JSON.parse(raw) as string)) };
export const SERVER_ADDRESS: OpenField = { raw: (sql) => memberText(sql, 'observer'), shown: (raw) => text(shownText(JSON.parse(raw) as string) ?? 'unnamed') };
export const TOKEN_ID: OpenField = {
  raw: (sql) => memberText(sql, 'jti'),
  shown(raw) {
    const jti = shownUri(JSON.parse(raw) as string);
    return text(jti === undefined ? undefined : `urn:ietf:params:oauth:jti:${jti}`);
  },
};
export const AGENT_ROLES: OpenField = {
  raw: (sql) => memberTexts(sql, 'roles'),
  shown(raw) {
    const concepts = foreignConcepts(ROLE, JSON.parse(raw) as string[]) ?? [];
    return {
      texts: concepts.flatMap((concept) => ('text' in concept ? [concept.text] : [])),
      codes: concepts.flatMap((concept) => ('coding' in concept ? concept.coding : [])),
    };
  },
};

function matches(value: SearchValue, clause: SearchClause, shown: Shown): boolean {
  if (value.kind === 'missing') return shown.texts.length + shown.codes.length > 0;
  if (value.kind === 'token') return shown.codes.some((code) => matchesCode(value, code));
  return value.kind === 'plain' && shown.texts.some((one) => matchesText(value.text, clause, one));
}

/** For each open clause and field: the JSON texts that match. */
export type OpenValues = ReadonlyMap<SearchClause, readonly (readonly string[])[]>;

/** Different values that one search may meet within its bounds. */
const VALUES_AT_MOST = 10_000;

/** The different values of some rows, each lot of them as `from … where …`; null is none. */
export function openValuesQuery(sql: RecordSql, field: OpenField, lots: readonly string[]): SearchQuery {
  const value = field.raw(sql);
  const values = lots.map((rows) => `select ${value} as value ${rows}`).join(' union all ');
  return { ...statement(`select distinct v.value from (${values}) v where v.value is not null limit ${VALUES_AT_MOST + 1}`, sql), plannedOnce: false };
}

/** Those that match. Raises 400 `too-costly` where there are too many to look through. */
export async function matchingValues(tx: Transaction, clause: SearchClause, field: OpenField, query: SearchQuery): Promise<string[]> {
  const rows = await runSearchQuery<{ value: string }>(tx, query);
  if (rows.length > VALUES_AT_MOST) throw fhirError('too-costly', `${clause.parameter.name} has more than ${VALUES_AT_MOST} different values here; narrow the search, by date for instance`);
  return rows.map(({ value }) => value).filter((value) => clause.values.some((asked) => matches(asked, clause, field.shown(value))));
}

/** Rows that show a value which matches, or for `:not` and `:missing=true` those that do not. */
export function openCondition(sql: RecordSql, clause: SearchClause, fields: readonly OpenField[], open: OpenValues): Condition {
  const found = open.get(clause) ?? [];
  const any = fields.flatMap((field, position) => {
    const values = found[position] ?? [];
    return values.length === 0 ? [] : [`coalesce(${field.raw(sql)} = any(${sql.values.add([...values], '::text[]')}), false)`];
  });
  const absent = clause.negated === true || clause.values.some((value) => value.kind === 'missing' && value.missing);
  if (any.length === 0) return absent;
  return absent ? `not (${any.join(' or ')})` : `(${any.join(' or ')})`;
}
