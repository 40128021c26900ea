// Which resources differ between here and HAPI, and how. Nothing is called a difference that a delivery under way explains:
// what looks wrong is read again on both sides, and ours once more after HAPI's.
import { createHash } from 'node:crypto';
import type { Database } from '../database/database.ts';
import { parseJson, type JsonObject } from '../fhir/json.ts';
import type { BinaryData } from './binary-bytes.ts';
import { comparableForm, comparableHash, firstDifference } from './comparable-form.ts';
import { IDS_AT_ONCE, type HapiSide, type TheirResource } from './hapi-side.ts';
import { sourceVersion } from './mirrored-text.ts';
import { readOurs, sentText, type ComparedType, type MirroredOrg, type OurResource } from './our-side.ts';

/**
 * `missing`: live here and not there. `extra`: there and not here, or deleted here. `stale`: there as an earlier version of
 * ours. `different`: there with another content.
 */
export type DriftKind = 'missing' | 'extra' | 'stale' | 'different';

export interface Drift {
  type: ComparedType;
  id: string;
  kind: DriftKind;
  /** The first element that differs; null where there is nothing to compare. */
  path: string | null;
  /** Versions and hashes, never content. */
  detail: string;
  /** Whether HAPI's copy carries our meta.source, or its id is one of ours. */
  ours: boolean;
}

export interface Compared {
  /** Live ones here that were compared. */
  compared: number;
  equal: number;
  drift: Drift[];
  /** Ids whose delivery waits or runs: nothing can be said of them yet. */
  waiting: string[];
}

export interface CompareParts extends MirroredOrg {
  database: Pick<Database, 'workerTransaction'>;
  hapi: HapiSide;
  /** Our FHIR base as clients see it, without a trailing slash. */
  publicBase: string;
  binaryData: BinaryData;
}

/** Compares what is named, on both sides. At most IDS_AT_ONCE ids. */
export async function compareIds(parts: CompareParts, type: ComparedType, ids: readonly string[]): Promise<Compared> {
  const ours = await parts.database.workerTransaction((tx) => readOurs(tx, parts.org, type, ids));
  return compareRead(parts, type, ids, ours);
}

/** As compareIds, with what was just read here. */
export async function compareRead(parts: CompareParts, type: ComparedType, ids: readonly string[], ours: ReadonlyMap<string, OurResource>): Promise<Compared> {
  const theirs = await parts.hapi.readByIds(type, ids);
  const digests = await digestsOf(parts, type, ours.values());
  const suspects = ids.filter((id) => differs(parts, type, id, ours.get(id), theirs.get(id), digests) !== undefined);
  const { drift, waiting } = suspects.length === 0 ? { drift: [], waiting: [] } : await readAgain(parts, type, suspects);
  const live = ids.filter((id) => ours.get(id)?.deleted === false);
  const wrong = new Set([...drift.map(({ id }) => id), ...waiting]);
  return { compared: live.length, equal: live.filter((id) => !wrong.has(id)).length, drift, waiting };
}

/** By content. Bytes are compared by their digest, which was verified when they came and whenever they are read. */
type Digests = ReadonlyMap<string, string>;

async function digestsOf({ binaryData, org }: CompareParts, type: ComparedType, ours: Iterable<OurResource>): Promise<Digests> {
  return type === 'Binary' ? binaryData.digests(org, [...ours].map(({ content }) => content)) : new Map();
}

async function readAgain(parts: CompareParts, type: ComparedType, ids: readonly string[]): Promise<Pick<Compared, 'drift' | 'waiting'>> {
  const read = (): Promise<Map<string, OurResource>> => parts.database.workerTransaction((tx) => readOurs(tx, parts.org, type, ids));
  const [before, theirs, after] = [await read(), await parts.hapi.readByIds(type, ids), await read()];
  const digests = await digestsOf(parts, type, after.values());
  const drift: Drift[] = [];
  const waiting: string[] = [];
  for (const id of ids) {
    const [first, last] = [before.get(id), after.get(id)];
    if (first?.waiting === true || last?.waiting === true || first?.version !== last?.version) waiting.push(id);
    else drift.push(...(differs(parts, type, id, first, theirs.get(id), digests) ?? []));
  }
  return { drift, waiting };
}

/** Undefined where there is no difference. */
function differs(parts: CompareParts, type: ComparedType, id: string, ours: OurResource | undefined, theirs: TheirResource | undefined, digests: Digests): [Drift] | undefined {
  const found = (kind: DriftKind, detail: string, path: string | null = null, mine = false): [Drift] => [{ type, id, kind, path, detail, ours: mine }];
  const named = theirs === undefined ? undefined : sourceVersion(theirs.source, { orgName: parts.orgName, type, id, version: 0 });
  const live = theirs !== undefined && !theirs.placeholder;
  if (ours === undefined || ours.deleted) {
    if (!live || (ours === undefined && named === 'foreign')) return undefined;
    return found('extra', `${ours === undefined ? 'not here' : `deleted here by version ${ours.version}`}; at HAPI version ${theirs.version}${sourceNote(theirs)}`, null, ours !== undefined || typeof named === 'number');
  }
  if (!live) return found('missing', `version ${ours.version} here${theirs === undefined ? '' : '; at HAPI a placeholder'}`);
  return contentDiffers(parts, type, ours, theirs, named, digests, found);
}

type Found = (kind: DriftKind, detail: string, path?: string | null, mine?: boolean) => [Drift];

function contentDiffers(parts: CompareParts, type: ComparedType, ours: OurResource, theirs: TheirResource, named: number | 'foreign' | undefined, digests: Digests, found: Found): [Drift] | undefined {
  const text = sentText(parts.orgName, type, ours, parts.publicBase, digests.get(ours.content ?? ''));
  if (text === undefined) return found('different', `version ${ours.version} has no text here`);
  const [form, copy] = [comparableForm(parseJson(text) as JsonObject, parts.hapi.base), comparableForm(withDigest(theirs.resource, type), parts.hapi.base)];
  const [hash, copyHash] = [comparableHash(form), comparableHash(copy)];
  if (hash === copyHash) {
    // HAPI makes no version of what equals the one before, and its source goes on to name that one.
    if (typeof named === 'number' && named <= ours.version) return undefined;
    return found('different', `the content is equal, but HAPI's version ${theirs.version} is not from version ${ours.version} here${sourceNote(theirs)}`, `${type}.meta.source`, typeof named === 'number');
  }
  const stale = typeof named === 'number' && named < ours.version;
  return found(stale ? 'stale' : 'different', `version ${ours.version} here has ${hash.slice(0, 16)}, HAPI's version ${theirs.version} has ${copyHash.slice(0, 16)}${sourceNote(theirs)}`,
    firstDifference(form, copy, type) ?? null, typeof named === 'number');
}

/** The digest stands in the place of the bytes on both sides. */
function withDigest(resource: JsonObject, type: ComparedType): JsonObject {
  const data = resource['data'];
  if (type !== 'Binary' || typeof data !== 'string') return resource;
  return { ...resource, data: createHash('sha256').update(Buffer.from(data, 'base64')).digest('hex') };
}

/** Sources are ours or say where a change came from; a stranger's is shortened, since anything may stand in it. */
function sourceNote({ source }: TheirResource): string {
  return source === undefined ? ', without meta.source' : ` from ${source.slice(0, 160)}`;
}

/** Portions of ids as they are asked for. */
export function portions(ids: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(ids.length / IDS_AT_ONCE) }, (_, at) => ids.slice(at * IDS_AT_ONCE, (at + 1) * IDS_AT_ONCE));
}

