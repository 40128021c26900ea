// What a searchset includes beside its matches: forwards by the references of a resource, backwards by the index rows
// that point to it, and of the record by the rows of the accesses that touched it.
import type { Restriction } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import type { JsonObject } from '../fhir/json.ts';
import { RESOURCE_TYPES, typeName, typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { followReferences } from '../search/follow-references.ts';
import { indexHash } from '../search/index-hash.ts';
import type { Include } from '../search/parse-include.ts';
import { permitsRecord } from '../search/judge-record.ts';
import { judgeResource } from '../search/judge-resource.ts';
import { isRecord } from '../search/record-type.ts';
import { readRecordsOf, readRecordsByIds, recordMatch } from './included-records.ts';
import { readResource } from './resource-text.ts';
import type { SearchMatch } from './search-source.ts';

/** Steps of `:iterate`, and resources of one page, at most. */
export const INCLUDE_DEPTH_MAX = 5;
export const INCLUDED_MAX = 1_000;

export interface IncludeScope {
  org: number;
  fhirBase: string;
  /** What the caller may have of a type: what is referred to by the right to read, others by the one to search. */
  restriction: (type: ResourceType, reverse: boolean) => Restriction;
  /** Types that are passed on from elsewhere. */
  outsideTypes: readonly string[];
}

export interface Included {
  resources: SearchMatch[];
  /** `Type/id` of what is referred to and is not held here. */
  outside: string[];
  /** True when there was more than a page may include. */
  truncated: boolean;
}

const keyOf = (one: { type: string; id: string }): string => `${one.type}/${one.id}`;

/** Collects each resource once; what is a match is not included. */
class Collection {
  readonly resources: SearchMatch[] = [];
  readonly outside = new Set<string>();
  truncated = false;
  readonly #seen: Set<string>;
  readonly #read = new Map<SearchMatch, JsonObject>();

  constructor(matches: readonly SearchMatch[]) {
    this.#seen = new Set(matches.map(keyOf));
  }

  has(key: string): boolean {
    return this.#seen.has(key);
  }

  /** Each text is read once, however many references of it are followed. */
  read(resource: SearchMatch): JsonObject {
    const read = this.#read.get(resource) ?? readResource(resource.text);
    this.#read.set(resource, read);
    return read;
  }

  /** Answers those that are new. */
  add(found: readonly SearchMatch[]): SearchMatch[] {
    return found.filter((one) => {
      if (this.#seen.has(keyOf(one))) return false;
      if (this.resources.length >= INCLUDED_MAX) { this.truncated = true; return false; }
      this.#seen.add(keyOf(one));
      this.resources.push(one);
      return true;
    });
  }
}

export async function readIncluded(tx: Transaction, matches: readonly SearchMatch[], includes: readonly Include[], scope: IncludeScope): Promise<Included> {
  const collection = new Collection(matches);
  const iterating = includes.filter((include) => include.iterate);
  let from = matches;
  for (let depth = 0; depth < INCLUDE_DEPTH_MAX && from.length > 0 && !collection.truncated; depth += 1) {
    const added: SearchMatch[] = [];
    for (const include of depth === 0 ? includes : iterating) {
      const found = include.reverse ? await readReferring(tx, from, include, scope) : await readReferredTo(tx, from, include, scope, collection);
      added.push(...collection.add(found.filter((one) => isPermitted(one, scope.restriction(one.type, include.reverse), scope.fhirBase))));
    }
    from = added;
  }
  return { resources: collection.resources, outside: [...collection.outside], truncated: collection.truncated };
}

/** What is confined is judged by what it says, as a search would find it. */
function isPermitted({ type, id, text, event }: SearchMatch, restriction: Restriction, fhirBase: string): boolean {
  if (restriction.kind === 'none') return true;
  if (isRecord(type)) return event !== undefined && permitsRecord(restriction, event);
  return judgeResource(restriction, type, { ...readResource(text), id }, fhirBase) === 'permitted';
}

async function readReferredTo(tx: Transaction, from: readonly SearchMatch[], include: Include, scope: IncludeScope, collection: Collection): Promise<SearchMatch[]> {
  const wanted = new Map<string, { type: ResourceType; id: string }>();
  for (const resource of from) {
    if (resource.type !== include.source) continue;
    for (const { type, id } of followReferences(collection.read(resource), include.parameter, scope.fhirBase)) {
      const key = `${type}/${id}`;
      if (include.target !== undefined && type !== include.target) continue;
      if (scope.outsideTypes.includes(type)) collection.outside.add(key);
      // The bytes of a Binary are read by themselves, by whoever may read a document that owns them.
      else if (!collection.has(key) && type !== 'Binary' && Object.hasOwn(RESOURCE_TYPES, type) && scope.restriction(type as ResourceType, false).kind !== 'nothing') wanted.set(key, { type: type as ResourceType, id });
    }
  }
  return readByReference(tx, scope.org, [...wanted.values()].slice(0, INCLUDED_MAX + 1));
}

interface ResourceRow {
  type: number;
  id: string;
  version: number;
  last_updated: Date;
  patient: string | null;
  body: string;
}

const COLUMNS = 'r.type, r.id, r.version, r.last_updated, r.patient, r.body';

function resourceMatch(row: ResourceRow): SearchMatch {
  return { type: typeName(row.type), id: row.id, version: row.version, patient: row.patient, text: row.body, keyset: { value: row.last_updated.getTime(), id: row.id } };
}

async function readByReference(tx: Transaction, org: number, wanted: readonly { type: ResourceType; id: string }[]): Promise<SearchMatch[]> {
  if (wanted.length === 0) return [];
  const held = wanted.filter(({ type }) => !isRecord(type));
  const { rows } = held.length === 0 ? { rows: [] } : await tx.query<ResourceRow>({
    name: 'read-included',
    text: `select ${COLUMNS} from unnest($2::smallint[], $3::text[]) as wanted (type, id)
      cross join lateral (select * from resource v where v.org = $1 and v.type = wanted.type and v.id = wanted.id and not v.deleted offset 0) r`,
    values: [org, held.map(({ type }) => typeNumber(type)), held.map(({ id }) => id)],
  });
  const records = await readRecordsByIds(tx, org, wanted.filter(({ type }) => isRecord(type)).map(({ id }) => id));
  const found = new Map(rows.map((row): [string, SearchMatch] => [`${typeName(row.type)}/${row.id}`, resourceMatch(row)]));
  return wanted.flatMap(({ type, id }) => {
    const event = isRecord(type) ? records.get(id) : undefined;
    const match = isRecord(type) && event !== undefined ? recordMatch(type, event) : found.get(`${type}/${id}`);
    return match === undefined ? [] : [match];
  });
}

async function readReferring(tx: Transaction, from: readonly SearchMatch[], include: Include, scope: IncludeScope): Promise<SearchMatch[]> {
  const { source, parameter, target } = include;
  const referredTo = from.filter(({ type }) => (target === undefined || type === target) && (parameter.targets?.includes(type) ?? true));
  if (referredTo.length === 0 || scope.restriction(source, true).kind === 'nothing') return [];
  if (isRecord(source)) return readRecordsOf(tx, scope.org, source, referredTo);
  const { rows } = await tx.query<ResourceRow>({
    name: 'read-referring',
    text: `select ${COLUMNS} from unnest($4::bigint[]) as wanted (hash)
      cross join lateral (select i.last_updated, i.id from search_reference i where i.org = $1 and i.type = $2 and i.param = $3 and i.hash = wanted.hash
        order by i.last_updated desc, i.id desc limit ${INCLUDED_MAX + 1}) i
      cross join lateral (select * from resource v where v.org = $1 and v.type = $2 and v.id = i.id and v.last_updated = i.last_updated and not v.deleted offset 0) r
      limit ${INCLUDED_MAX + 1}`,
    values: [scope.org, typeNumber(source), parameter.number, referredTo.map((one) => indexHash(keyOf(one)).toString())],
  });
  return rows.map(resourceMatch);
}
