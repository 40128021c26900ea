// The bytes of a Binary on their way in (R4 binary.html): as they are, of any media type; a FHIR body that is a Binary is
// unwrapped, any other FHIR body is kept as content.
import { authorize } from '../access/authorize.ts';
import { confiningPatient, type Restriction } from '../access/restriction.ts';
import { creatorOf } from '../access/principal.ts';
import type { ContentClaims, ContentReceiver, ReceivedContent } from '../content/receive-content.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, printJson, type JsonObject } from '../fhir/json.ts';
import { xmlRoot, XmlSyntaxError } from '../fhir/xml-syntax.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { RESOURCE_TYPES, typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { FHIR_NAMESPACE } from '../fhir/xml-plan.ts';
import { judgeVersion } from '../resources/permitted-version.ts';
import { readNewest } from '../resources/read-version.ts';
import { validateResource } from '../validation/validate-resource.ts';
import { contentRules } from './content-rules.ts';
import { readDigestClaims } from './digest-headers.ts';
import type { InteractionContext } from './interaction.ts';
import { bodyFormat, invalidResource, parseBody } from './read-body.ts';

export interface BinaryParts {
  fhirBase: string;
  content: ContentReceiver;
  bodyBytesMax: number;
  inlineBytesMax: number;
  uploadBytesMax: number;
}

export interface ReceivedBinary {
  /** Set where the body was a Binary in FHIR form, with the id that it has. */
  isResource?: true;
  id?: string;
  contentType: string;
  securityContext: JsonObject | undefined;
  received: ReceivedContent;
}

const FHIR_BODY = /^application\/(fhir\+(json|xml)|(json|xml)\+fhir)\s*(;|$)/i;
const MEDIA_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*(;.*)?$/;

export function receiveBinary(parts: BinaryParts, context: InteractionContext): Promise<ReceivedBinary> {
  return FHIR_BODY.test(context.request.body.contentType ?? '') ? prepareFhir(parts, context) : prepareRaw(parts, context);
}

interface Reception {
  bytes: AsyncIterable<Buffer>;
  size: number | undefined;
  contentType: string;
  bytesMax: number;
  claims?: ContentClaims;
}

function receive(parts: BinaryParts, context: InteractionContext, reception: Reception): Promise<ReceivedContent> {
  return parts.content.receive({
    org: context.org,
    bytes: reception.bytes,
    ...(reception.size === undefined ? {} : { size: reception.size }),
    declaredType: reception.contentType,
    rules: contentRules(context, 'Binary'),
    creator: creatorOf(context.principal),
    bytesMax: reception.bytesMax,
    now: context.now,
    ...(reception.claims === undefined ? {} : { claims: reception.claims }),
  });
}

async function prepareRaw(parts: BinaryParts, context: InteractionContext): Promise<ReceivedBinary> {
  const { body } = context.request;
  const contentType = body.contentType;
  if (contentType === undefined || !MEDIA_TYPE.test(contentType)) throw fhirError('media-type', 'The bytes need a Content-Type');
  if (body.contentEncoding !== undefined) throw fhirError('media-type', 'The bytes must come without Content-Encoding');
  if (body.length !== undefined && body.length > parts.uploadBytesMax) throw fhirError('too-long', `The bytes may be ${parts.uploadBytesMax} at most`);
  const claims = readDigestClaims(context.request);
  const securityContext = contextHeader(context);
  const received = await receive(parts, context, {
    bytes: body.stream(parts.uploadBytesMax), size: body.length, contentType, bytesMax: parts.uploadBytesMax,
    ...(claims === undefined ? {} : { claims }),
  });
  return { contentType, securityContext, received };
}

function contextHeader(context: InteractionContext): JsonObject | undefined {
  const reference = context.request.header('x-security-context');
  return reference === undefined ? undefined : { reference };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function prepareFhir(parts: BinaryParts, context: InteractionContext): Promise<ReceivedBinary> {
  const { body } = context.request;
  const format = bodyFormat(body.contentType);
  const text = body.json === undefined ? await body.text(parts.bodyBytesMax) : printJson(body.json);
  const value = body.json ?? (format === 'xml' && !isXmlOf(text, 'Binary') ? undefined : parseBody(text, format));
  if (value !== undefined && (!isJsonObject(value) || typeof value['resourceType'] !== 'string')) throw fhirError('structure', 'The body has no resourceType', { expression: 'resourceType' });
  if (value === undefined || value['resourceType'] !== 'Binary') {
    const bytes = Buffer.from(text, 'utf8');
    const contentType = body.contentType as string;
    return { contentType, securityContext: contextHeader(context), received: await receive(parts, context, { bytes: once(bytes), size: bytes.length, contentType, bytesMax: parts.bodyBytesMax }) };
  }
  return unwrap(parts, context, value);
}

/** Whether the document is that resource; content may be of any version of FHIR, but has to be XML. */
function isXmlOf(text: string, type: string): boolean {
  try {
    const root = xmlRoot(text);
    return root.namespace === FHIR_NAMESPACE && root.name === type;
  } catch (error) {
    if (error instanceof XmlSyntaxError) throw fhirError('malformed-xml', error.message);
    throw error;
  }
}

async function unwrap(parts: BinaryParts, context: InteractionContext, resource: JsonObject): Promise<ReceivedBinary> {
  const issues = validateResource(resource, 'Binary');
  if (issues.length > 0) throw invalidResource(issues);
  const contentType = resource['contentType'] as string;
  if (!MEDIA_TYPE.test(contentType)) throw fhirError('code-invalid', 'contentType must be a media type such as application/pdf', { expression: 'Binary.contentType' });
  const bytes = Buffer.from(typeof resource['data'] === 'string' ? resource['data'] : '', 'base64');
  if (bytes.length > parts.inlineBytesMax) throw fhirError('too-long', `Inline data may have ${parts.inlineBytesMax} bytes; send the bytes as they are instead`, { expression: 'Binary.data' });
  const header = contextHeader(context);
  const element = isJsonObject(resource['securityContext']) ? resource['securityContext'] : undefined;
  if (header !== undefined && element !== undefined && header['reference'] !== element['reference']) {
    throw fhirError('invalid-parameter', 'X-Security-Context and Binary.securityContext name different resources', { expression: 'Binary.securityContext' });
  }
  const { id } = resource;
  return { isResource: true, ...(typeof id === 'string' ? { id } : {}), contentType, securityContext: element ?? header, received: await receive(parts, context, { bytes: once(bytes), size: bytes.length, contentType, bytesMax: parts.inlineBytesMax }) };
}

/** A context of this server must exist; one elsewhere, such as a Patient, is taken as it is. */
export async function checkContext(tx: Transaction, context: InteractionContext, securityContext: JsonObject | undefined, fhirBase: string): Promise<void> {
  const reference = securityContext?.['reference'];
  if (typeof reference !== 'string') return;
  const local = parseLocalReference(reference, fhirBase);
  if (local === undefined) throw fhirError('reference-target', 'The security context must be a reference of this server', { expression: 'Binary.securityContext' });
  if (!Object.hasOwn(RESOURCE_TYPES, local.type) || local.type === 'Patient') return;
  if (context.share?.created.has(`${local.type}/${local.id}`) === true) return;
  const owner = await readNewest(tx, context.org.id, typeNumber(local.type as ResourceType), local.id);
  const decision = authorize(context.principal, { interaction: 'read', type: local.type });
  // Whoever may only upload puts bytes in the context of what they may not read; a patient's token in that of nobody else.
  const restriction: Restriction = decision.permit ? decision.restriction : { kind: confiningPatient(context.restriction) === undefined ? 'none' : 'nothing' };
  if (owner === undefined || owner.deleted || await judgeVersion(tx, restriction, owner, fhirBase) !== 'permitted') throw fhirError('reference-target', 'The security context is not known here', { expression: 'Binary.securityContext' });
}
