// Where the matches of one type come from: resources by their index, records by the rows that they are. Both answer
// pages by keyset, forwards and backwards.
import type { AccessEvent } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { uuidV7Ceil, uuidV7Floor, uuidV7Time } from '../fhir/uuid-v7.ts';
import type { Restriction } from '../access/restriction.ts';
import type { Keyset } from '../search/page-cursor.ts';
import type { ParsedSearch } from '../search/parse-search.ts';
import type { OpenValues } from '../search/record-open-values.ts';
import { requireTexts, type KeptText } from '../search/event-texts.ts';
import { readOpenValues, recordCountQuery, recordPageQuery } from '../search/record-query.ts';
import { recordPatient, withheldPatients } from '../search/judge-record.ts';
import type { RecordScope } from '../search/record-sql.ts';
import { isRecord, type RecordType } from '../search/record-type.ts';
import { keysetOf, reversed, type SortedRow } from '../search/search-order.ts';
import { restrictSearch } from '../search/restrict-search.ts';
import { findBegin } from '../search/search-plan.ts';
import { runSearchQuery } from '../search/run-search-query.ts';
import { countQuery, ESTIMATE_MAX, pageQuery, type SearchQuery, type SearchScope } from '../search/search-query.ts';
import { renderRecord } from './read-record.ts';

export interface SearchMatch {
  type: ResourceType;
  id: string;
  version: number;
  /** Whom it is about: the id of a Patient of this server, or its address. */
  patient: string | null;
  /** JSON text of the resource. */
  text: string;
  /** The access that a record tells of, where it is included. */
  event?: AccessEvent;
  keyset: Keyset;
}

export interface SearchSource {
  type: ResourceType;
  /** One page and one match more, from `from` on in the order of the search, or against it. */
  page(tx: Transaction, from: Keyset | undefined, backwards: boolean): Promise<SearchMatch[]>;
  /** All matches, or up to ESTIMATE_MAX. Raises 400 `too-costly` where that takes too long. */
  count(tx: Transaction, exact: boolean): Promise<number>;
}

export interface SourceScope {
  org: number;
  restriction: Restriction;
  fhirBase: string;
}

export function searchSource(type: ResourceType, parsed: ParsedSearch, scope: SourceScope): SearchSource {
  return isRecord(type) ? recordSource(type, parsed, scope) : resourceSource(type, parsed, { ...scope, type: typeNumber(type) });
}

/** The same search, from its other end when the page is one before. */
const turned = (parsed: ParsedSearch, backwards: boolean): ParsedSearch => (backwards ? reversed(parsed) : parsed);

interface ResourceRow extends SortedRow {
  version: number;
  patient: string | null;
  body: string;
}

function resourceSource(type: ResourceType, asked: ParsedSearch, wholeScope: SearchScope): SearchSource {
  const { parsed, scope } = restrictSearch(asked, wholeScope);
  return {
    type,
    async page(tx, from, backwards) {
      const page = turned(parsed, backwards);
      const rows = await runSearchQuery<ResourceRow>(tx, pageQuery(page, scope, from, await findBegin(tx, page, scope)));
      return rows.map((row) => ({ type, id: row.id, version: row.version, patient: row.patient, text: row.body, keyset: keysetOf(parsed, row) }));
    },
    async count(tx, exact) {
      await findBegin(tx, parsed, scope);
      return runCount(tx, countQuery(parsed, scope, exact));
    },
  };
}

/** Sorts after every id: none holds this character. With '' it bounds the ids of one instant. */
export const AFTER_IDS = '\u007f';

/** Ids of records are of their instant: a keyset that stands before or after all of an instant is an id as well. */
function recordKeyset(from: Keyset, descending: boolean): Keyset {
  if (from.value === null || (from.id !== '' && from.id !== AFTER_IDS)) return from;
  const after = from.id === AFTER_IDS;
  const ms = Math.min(Math.max(from.value + (descending ? Number(after) : Number(after) - 1), 0), 2 ** 48 - 1);
  return { value: from.value, id: descending ? uuidV7Floor(ms) : uuidV7Ceil(ms) };
}

function recordSource(type: RecordType, parsed: ParsedSearch, { org, fhirBase, restriction }: SourceScope): SearchSource {
  const patient = recordPatient(restriction);
  const nothing = patient === null;
  const scope: RecordScope = { type, org, fhirBase, ...(patient === undefined || patient === null ? {} : { onlyPatient: patient }), notPatients: withheldPatients(restriction) };
  let open: Promise<OpenValues> | undefined;
  const openValues = (tx: Transaction): Promise<OpenValues> => open ??= readOpenValues(tx, parsed, scope);
  return {
    type,
    async page(tx, from, backwards) {
      if (nothing) return [];
      const asked = turned(parsed, backwards);
      const at = from === undefined ? undefined : recordKeyset(from, asked.sort.descending);
      const rows = await runSearchQuery<KeptText>(tx, recordPageQuery(asked, scope, at, await openValues(tx)));
      const texts = await requireTexts(tx, rows);
      return rows.map(({ event: id }, position) => ({ type, id, version: 1, patient: null, text: renderRecord(type, texts[position] ?? ''), keyset: { value: uuidV7Time(id), id } }));
    },
    count: async (tx, exact) => (nothing ? 0 : runCount(tx, recordCountQuery(parsed, scope, exact ? undefined : ESTIMATE_MAX, await openValues(tx)))),
  };
}

async function runCount(tx: Transaction, query: SearchQuery): Promise<number> {
  try {
    return (await runSearchQuery<{ total: number }>(tx, query))[0]?.total ?? 0;
  } catch (error) {
    if ((error as { code?: string }).code === '57014') throw fhirError('too-costly', 'Counting took too long; narrow the search or leave _total out', { cause: error });
    throw error;
  }
}
