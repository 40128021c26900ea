// What create and update do before their transaction: the body is read and validated, inline data is received and
// verified. Nothing of it is visible until the transaction publishes it.
import { checkDeclaredType } from '../content/declared-type.ts';
import type { ContentReceiver, ReceivedContent } from '../content/receive-content.ts';
import type { JsonObject } from '../fhir/json.ts';
import { patientKey } from '../search/extract-index-values.ts';
import { checkClaims, linkBinaries, linkInlineData, readClaims, takeInlineAttachments, type LinkedBinary, type LinkParts, type MovedAttachment } from '../resources/attachments.ts';
import { findBinaryOwners, type BinaryOwners, type BinaryReader } from '../resources/binary-access.ts';
import { readLinkTarget, type LinkTargetLoader } from '../resources/load-link-target.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { FhirError, fhirError, type Issue } from '../fhir/fhir-error.ts';
import { profileIssues } from '../validation/check-resource.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import { isUnconfined, type Restriction } from '../access/restriction.ts';
import { authorize } from '../access/authorize.ts';
import { creatorOf } from '../access/principal.ts';
import { bytesTypeOf, contentRules } from './content-rules.ts';
import type { FhirRequest, InteractionContext } from './interaction.ts';
import { readResourceBody } from './read-body.ts';

export interface DocumentParts {
  fhirBase: string;
  content: ContentReceiver;
  bodyBytesMax: number;
  inlineBytesMax: number;
  targets: LinkTargetLoader;
  /** Asks whether the caller may read a Binary that others made. */
  owners: (reader: BinaryReader, binary: VersionRow) => Promise<BinaryOwners>;
}

export interface PreparedDocument {
  resource: JsonObject;
  moved: MovedAttachment[];
  linked: LinkedBinary[];
  /** Of its profiles; told where `Prefer: return=OperationOutcome` asks. */
  warnings: readonly Issue[];
}

export async function prepareDocument(parts: DocumentParts, context: InteractionContext): Promise<PreparedDocument> {
  return receiveDocument(parts, context, await readResourceBody(context.request, parts.bodyBytesMax));
}

/** The same for a resource that was read and validated already. */
export async function receiveDocument(parts: DocumentParts, context: InteractionContext, resource: JsonObject): Promise<PreparedDocument> {
  const reader = readerOf(context, parts.fhirBase);
  const mayRead = async (binary: VersionRow): Promise<boolean> => (await parts.owners(reader, binary)).readable;
  const links = { targets: linkTargets(parts, context), mayRead, mayHold: typeCheck(context) };
  const linked = await linkBinaries(links, reader, resource, context.request.type);
  const warnings = await requireProfiles(context.request, resource);
  const moved: MovedAttachment[] = [];
  try {
    for (const inline of takeInlineAttachments(resource, context.request.type, parts.inlineBytesMax)) {
      const claims = readClaims(inline.attachment, inline.expression);
      const received = await parts.content.receive({
        org: context.org,
        bytes: oneBuffer(inline.bytes),
        size: inline.bytes.length,
        declaredType: inline.contentType,
        rules: contentRules(context, bytesTypeOf(context.request.type)),
        creator: creatorOf(context.principal),
        bytesMax: parts.inlineBytesMax,
        patient: patientOf(resource, parts.fhirBase),
        now: context.now,
      });
      moved.push({ ...inline, received });
      checkClaims(claims, received, inline.expression);
      if (inline.attachment['url'] === undefined) continue;
      linked.push(await linkInlineData(links, reader, inline, received));
      moved.pop();
      await parts.content.discard(context.org.id, received);
    }
    return { resource, moved, linked, warnings };
  } catch (error) {
    await discardAll(parts.content, context, moved.map((attachment) => attachment.received));
    throw error;
  }
}

/**
 * The same inside the transaction, for a resource that another writer's version made necessary: nothing is received any
 * more, each inline attachment finds its bytes among those `received` before. Raises 409 `conflict` where one does not.
 */
export async function relinkDocument(tx: Transaction, parts: DocumentParts, context: InteractionContext, resource: JsonObject, received: readonly MovedAttachment[]): Promise<PreparedDocument> {
  const reader = readerOf(context, parts.fhirBase);
  const targets: LinkTargetLoader = { load: (org, id) => readLinkTarget(tx, org, id) };
  const mayRead = async (binary: VersionRow): Promise<boolean> => (await findBinaryOwners(tx, reader, binary)).readable;
  const linked = await linkBinaries({ targets, mayRead, mayHold: typeCheck(context) }, reader, resource, context.request.type);
  const warnings = await requireProfiles(context.request, resource);
  const moved = takeInlineAttachments(resource, context.request.type, parts.inlineBytesMax).map((inline): MovedAttachment => {
    const same = received.find((candidate) => candidate.contentType === inline.contentType && candidate.bytes.equals(inline.bytes));
    if (same === undefined) throw fhirError('conflict', 'Another writer was faster', { headers: { 'Retry-After': '1' } });
    checkClaims(readClaims(inline.attachment, inline.expression), same.received, inline.expression);
    return { ...inline, received: same.received };
  });
  return { resource, moved, linked, warnings };
}

/** Raises 422 where the resource is not what its profiles demand, with each attachment as it will be stored; answers what is only told. */
async function requireProfiles(request: FhirRequest, resource: JsonObject): Promise<Issue[]> {
  const issues = await profileIssues(resource, request.type);
  const refusals = issues.filter(({ severity }) => severity === 'error');
  if (refusals.length > 0) throw new FhirError(refusals);
  return issues;
}

/** A document holds no other media types by link than inline. Nothing is read for it: what the Binary declares was compared with its bytes. */
function typeCheck(context: InteractionContext): LinkParts['mayHold'] {
  const rules = contentRules(context, bytesTypeOf(context.request.type));
  return (contentType, expression) => checkDeclaredType(contentType, undefined, rules, expression);
}

/** Binaries of the same transaction come before those that the database holds. */
function linkTargets(parts: DocumentParts, { share }: InteractionContext): LinkTargetLoader {
  if (share === undefined) return parts.targets;
  return { load: async (org, id) => share.binaries.get(id) ?? parts.targets.load(org, id) };
}

export async function discardAll(content: ContentReceiver, context: InteractionContext, received: readonly ReceivedContent[]): Promise<void> {
  for (const one of received) await content.discard(context.org.id, one);
}

async function* oneBuffer(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function patientOf(resource: JsonObject, fhirBase: string): string | undefined {
  const subject = resource['subject'] as { reference?: unknown } | undefined;
  const reference = typeof subject?.reference === 'string' ? subject.reference : undefined;
  if (reference === undefined || !/(^|\/)Patient\//.test(reference)) return undefined;
  return patientKey(reference, fhirBase);
}

/** Who asks, as far as the owner of a Binary is concerned. */
export function readerOf(context: InteractionContext, fhirBase: string): BinaryReader {
  const { principal } = context;
  const restriction = (type: ResourceType): Restriction | undefined => {
    const decision = authorize(principal, { interaction: 'read', type });
    return decision.permit ? decision.restriction : undefined;
  };
  const restrictions = (['Binary', 'DocumentReference', 'Media'] as const).map((type) => restriction(type) ?? { kind: 'none' as const });
  const limited = !restrictions.every(isUnconfined);
  return {
    org: context.org.id,
    creator: creatorOf(principal),
    system: !limited && (principal.scopes.some((scope) => scope.context === 'system') || principal.roles.includes('admin')),
    confined: restrictions.some(({ kind }) => kind !== 'none'),
    limited,
    restriction,
    fhirBase,
  };
}
