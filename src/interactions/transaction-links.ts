// Which address each entry of a transaction will have, and the links to it (R4 http.html 3.1.0.11.2): the id of what is
// created is chosen before anything is stored, so that every link is rewritten before it is validated.
import { entryPath, type BundleEntry } from '../fhir/bundle.ts';
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { rewriteLinks } from '../fhir/rewrite-links.ts';
import { RESOURCE_TYPES, type ResourceType } from '../fhir/resource-type.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { findMatches } from './conditional-match.ts';
import type { AimedEntry } from './bundle-entry.ts';
import type { InteractionContext } from './interaction.ts';
import type { OutsideResources } from './outside-resources.ts';

/** `Type/id` that an entry creates or changes; `assignedId` where this transaction chose the id. */
export interface EntryTarget {
  reference: string;
  assignedId?: string;
  /** False where the entry finds what is there already. */
  creates: boolean;
}

/** `deleted` are the `Type/id` that entries of the same transaction delete before it creates. Raises 400 or 412 for criteria of the entry that cannot be used. */
export async function targetOf(context: InteractionContext, { entry, request, passage }: AimedEntry, fhirBase: string, deleted: ReadonlySet<string>): Promise<EntryTarget | undefined> {
  const { code, kind } = passage.interaction;
  // What is refused already (a type that is not kept here) has the code of its method, and no target.
  if (kind === 'read') return undefined;
  if (code === 'create') {
    const criteria = request.header('if-none-exist');
    const match = criteria === undefined ? undefined : await oneMatch(context, request.type, criteria, fhirBase, deleted);
    if (match !== undefined) return { reference: `${request.type}/${match}`, creates: false };
    const assignedId = newUuidV7(context.now);
    return { reference: `${request.type}/${assignedId}`, assignedId, creates: true };
  }
  if (code !== 'update' && code !== 'patch' && code !== 'delete') return undefined;
  if (request.id !== '') return { reference: `${request.type}/${request.id}`, creates: code === 'update' };
  const match = await oneMatch(context, request.type, entry.url, fhirBase);
  if (match !== undefined) return { reference: `${request.type}/${match}`, creates: false };
  if (code !== 'update') return undefined;
  const own = entry.resource?.['id'];
  const assignedId = typeof own === 'string' ? own : newUuidV7(context.now);
  return { reference: `${request.type}/${assignedId}`, assignedId, creates: true };
}

async function oneMatch(context: InteractionContext, type: ResourceType, criteria: string, fhirBase: string, deleted: ReadonlySet<string> = new Set()): Promise<string | undefined> {
  const matches = (await findMatches(context, type, criteria, fhirBase, deleted.size)).filter((id) => !deleted.has(`${type}/${id}`));
  if (matches.length > 1) throw fhirError('multiple-matches', 'The condition matches more than one resource');
  return matches[0];
}

/** Text of links to the entries, by every form in which one may be named. */
export function linkMap(entries: readonly { entry: BundleEntry; target: EntryTarget | undefined }[]): Map<string, string> {
  const links = new Map<string, string>();
  for (const { entry, target } of entries) {
    if (entry.fullUrl === undefined || target === undefined) continue;
    links.set(entry.fullUrl, target.reference);
    // A RESTful fullUrl is also named relatively, by whoever has the same base.
    const relative = /^https?:\/\/.*\/([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64})$/.exec(entry.fullUrl)?.[1];
    if (relative !== undefined && !links.has(relative)) links.set(relative, target.reference);
  }
  return links;
}

const CONDITIONAL = /^(?:https?:\/\/[^?]*\/)?([A-Z][A-Za-z]+)\?(.+)$/;

interface ConditionalLink {
  index: number;
  link: string;
  type: ResourceType;
  criteria: string;
  expression: string;
}

/** Rewrites every link to an entry; answers the conditional ones, and what names no entry at all. */
export function rewriteEntryLinks(entry: BundleEntry, links: ReadonlyMap<string, string>): { conditional: ConditionalLink[]; errors: FhirError[] } {
  const conditional: ConditionalLink[] = [];
  const errors: FhirError[] = [];
  const type = entry.resource?.['resourceType'];
  if (entry.resource === undefined || typeof type !== 'string') return { conditional, errors };
  rewriteLinks(entry.resource, type, (link, kind, expression) => {
    const found = links.get(link) ?? versionedLink(link, links);
    if (found !== undefined) return found;
    const place = `${entryPath(entry.index)}.resource${expression.slice(type.length)}`;
    const condition = kind === 'reference' ? CONDITIONAL.exec(link) : null;
    if (condition !== null) {
      const [, target = '', criteria = ''] = condition;
      if (Object.hasOwn(RESOURCE_TYPES, target)) conditional.push({ index: entry.index, link, type: target as ResourceType, criteria, expression: place });
      else errors.push(fhirError('reference-target', `A conditional reference to ${target} cannot be resolved here`, { expression: place }));
    }
    const mustBeHere = kind === 'reference' || /\.url$/.test(expression);
    if (mustBeHere && /^urn:(uuid|oid):/.test(link)) errors.push(fhirError('reference-target', `${link.slice(0, 100)} names no entry of this Bundle`, { expression: place }));
    return undefined;
  });
  return { conditional, errors };
}

/** A link to one version stays a link to one version. */
function versionedLink(link: string, links: ReadonlyMap<string, string>): string | undefined {
  const [, plain = '', version = ''] = /^(.*)(\/_history\/[A-Za-z0-9\-.]{1,64})$/.exec(link) ?? [];
  const found = plain === '' ? undefined : links.get(plain);
  return found === undefined ? undefined : `${found}${version}`;
}

/** Resolves the conditional references of all entries and puts them in their place; each must have one match. */
export async function resolveConditionalLinks(
  context: InteractionContext, fhirBase: string, entries: readonly BundleEntry[], conditional: readonly ConditionalLink[], outside: OutsideResources | undefined, among: (type: string, criteria: string) => string[],
): Promise<FhirError[]> {
  const resolved = new Map<string, string>();
  const errors: FhirError[] = [];
  for (const { link, type, criteria, expression } of conditional) {
    if (resolved.has(link)) continue;
    const matches = await conditionalMatches(context, fhirBase, type, criteria, outside, among);
    const [match] = matches;
    if (match !== undefined && matches.length === 1) resolved.set(link, match);
    else errors.push(matches.length > 1
      ? fhirError('multiple-matches', `${link.slice(0, 200)} matches more than one resource`, { expression })
      : fhirError('reference-target', `${link.slice(0, 200)} matches nothing`, { expression }));
  }
  for (const { resource } of entries) {
    const type = resource?.['resourceType'];
    if (resource !== undefined && typeof type === 'string' && resolved.size > 0) rewriteLinks(resource, type, (link, kind) => (kind === 'reference' ? resolved.get(link) : undefined));
  }
  return errors;
}

/** What the Bundle itself creates counts as there; else what is kept here, or passed on. */
async function conditionalMatches(context: InteractionContext, fhirBase: string, type: ResourceType, criteria: string, outside: OutsideResources | undefined, among: (type: string, criteria: string) => string[]): Promise<string[]> {
  const created = among(type, criteria);
  if (type === 'DocumentReference' || type === 'Media' || type === 'List') {
    const kept = await findMatches(context, type, criteria, fhirBase);
    return [...new Set([...created, ...kept.map((id) => `${type}/${id}`)])];
  }
  if (outside === undefined) throw fhirError('reference-target', `A conditional reference to ${type} needs the mirror, which is off`);
  return outside.resolveChain({ org: context.org, principal: context.principal }, type, [...new URLSearchParams(criteria)]);
}
