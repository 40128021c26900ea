// A document that replaces another (R4 documentreference.html 10.3.4, relatesTo): what it replaces becomes superseded in
// the same transaction. What it appends, transforms or signs stays as it is.
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, printJson, type JsonObject } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { Verdict } from '../search/judge-resource.ts';
import { extractIndexValues } from '../search/extract-index-values.ts';
import { findAttachments } from '../validation/find-attachments.ts';
import type { LinkedBinary } from './attachments.ts';
import type { BinaryReader } from './binary-access.ts';
import { readLinkTarget } from './load-link-target.ts';
import { requireVerdict } from './permitted-version.ts';
import { publishDocument, type Published } from './publish-document.ts';
import { lockNewest } from './read-version.ts';
import { readResource } from './resource-text.ts';

export interface Supersession {
  /** The document that replaces, as it will be stored. */
  resource: JsonObject;
  id: string;
  /** Its version before: what that replaced already is superseded already. */
  before: string | null;
  reader: BinaryReader;
  /** Whether the caller may change what is replaced. */
  judge: (replaced: VersionRow) => Promise<Verdict>;
  now: number;
  /** Id of the access event of the write. */
  event: string;
}

export interface Superseded {
  id: string;
  /** Version before it was superseded. */
  previous: number;
  published: Published;
}

const TYPE = 'DocumentReference';

interface Replaced {
  id: string;
  expression: string;
}

/** Documents of this server that the resource says it replaces; others are none of ours. */
function replacedBy(resource: JsonObject, fhirBase: string): Replaced[] {
  const relations = Array.isArray(resource['relatesTo']) ? resource['relatesTo'] : [];
  return relations.flatMap((relation, index): Replaced[] => {
    const target = isJsonObject(relation) && relation['code'] === 'replaces' && isJsonObject(relation['target']) ? relation['target']['reference'] : undefined;
    const local = typeof target === 'string' ? parseLocalReference(target, fhirBase) : undefined;
    return local?.type === TYPE ? [{ id: local.id, expression: `${TYPE}.relatesTo[${index}].target` }] : [];
  });
}

/** What is newly replaced, each once, in the order in which they are locked. */
function newlyReplaced({ resource, before, reader }: Supersession): Replaced[] {
  const known = new Set(before === null ? [] : replacedBy(readResource(before), reader.fhirBase).map(({ id }) => id));
  const byId = new Map(replacedBy(resource, reader.fhirBase).filter(({ id }) => !known.has(id)).map((one) => [one.id, one]));
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Whether storing the resource supersedes another: that needs the right to change it. */
export function supersedesOthers(resource: JsonObject, before: string | null, fhirBase: string): boolean {
  return newlyReplaced({ resource, before, reader: { fhirBase } } as Supersession).length > 0;
}

/**
 * Supersedes what the resource replaces and did not replace before. Raises 422 `business-rule` for itself, a document
 * that is unknown or deleted, and one of another patient; 409 `conflict` for one that is not current any more.
 */
export async function supersedeReplaced(tx: Transaction, supersession: Supersession): Promise<Superseded[]> {
  const superseded: Superseded[] = [];
  for (const replaced of newlyReplaced(supersession)) superseded.push(await supersedeOne(tx, supersession, replaced));
  return superseded;
}

async function supersedeOne(tx: Transaction, { resource, id, reader, judge, now, event }: Supersession, replaced: Replaced): Promise<Superseded> {
  const { expression } = replaced;
  const refuse = (text: string): Error => fhirError('business-rule', `${TYPE}/${replaced.id} ${text}`, { expression });
  if (replaced.id === id) throw refuse('cannot replace itself');
  const previous = await lockNewest(tx, reader.org, typeNumber(TYPE), replaced.id);
  const verdict = previous === undefined ? 'hidden' : await judge(previous);
  if (previous === undefined || verdict === 'hidden') throw refuse('is not known here, so it cannot be replaced');
  requireVerdict(verdict, `${TYPE}/${replaced.id}`);
  if (previous.body === null) throw refuse('was deleted, so it cannot be replaced');
  if (previous.patient !== extractIndexValues(resource, TYPE, reader.fhirBase).patient) throw refuse('is about another patient, so it cannot be replaced by this');
  const next = readResource(previous.body);
  if (next['status'] !== 'current') throw fhirError('conflict', `${TYPE}/${replaced.id} is not current, so it cannot be replaced`, { expression });
  next['status'] = 'superseded';
  requireVerdict(await judge({ ...previous, body: printJson(next) }), `${TYPE}/${replaced.id}, once superseded`);
  const published = await publishDocument(tx, {
    type: TYPE, id: replaced.id, method: 'PUT', resource: next, moved: [], linked: await linkedBinaries(tx, next, reader), previous, reader, now, event,
  });
  return { id: replaced.id, previous: previous.version, published };
}

/** The Binaries that a stored document points to: its next version uses them as well. */
async function linkedBinaries(tx: Transaction, resource: JsonObject, reader: BinaryReader): Promise<LinkedBinary[]> {
  const urls = findAttachments(resource, TYPE).flatMap(({ attachment }) => (typeof attachment['url'] === 'string' ? [attachment['url']] : []));
  const ids = new Set(urls.flatMap((url) => {
    const local = parseLocalReference(url, reader.fhirBase);
    return local?.type === 'Binary' ? [local.id] : [];
  }));
  const linked: LinkedBinary[] = [];
  for (const id of ids) {
    const binary = await readLinkTarget(tx, reader.org, id);
    if (binary !== undefined) linked.push({ id, version: binary.version });
  }
  return linked;
}
