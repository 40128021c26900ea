// Bytes of a device that has no token but a signed URL, of the length, type and SHA-256 that were agreed. At a Binary
// they are its next version; at a document they are a new Binary in the security context of that document.
import { grantEnded, type AccessGrant } from '../access/access-grant.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject } from '../fhir/json.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { createBinary } from '../interactions/create-binary.ts';
import { readDigestClaims } from '../interactions/digest-headers.ts';
import type { FhirRequest, InteractionContext, PreparedInteraction, RequestBody } from '../interactions/interaction.ts';
import { updateBinary } from '../interactions/update-binary.ts';
import { lending } from '../operations/lent-rights.ts';
import { takeUse } from '../resources/access-grants.ts';
import { readNewest } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';
import { asBinaryRequest, type FileParts } from './file-parts.ts';

const FHIR_BODY = /^application\/(fhir\+|(json|xml)\+fhir)/i;
const essence = (type: string): string => (type.split(';')[0] ?? '').trim().toLowerCase();

/** Takes the body of `request` as the grant has it, once the right to lend was asked. */
export type TakeUpload = (context: InteractionContext, grant: AccessGrant, request: FhirRequest) => Promise<PreparedInteraction>;

export function takeUpload(parts: FileParts): TakeUpload {
  const [update, create] = [updateBinary(parts), createBinary(parts)];
  return async (context, grant, sent) => {
    const isUpdate = grant.type === 'Binary';
    const request = agreedRequest(sent, grant, await contextOf(context, grant));
    const prepared = await (isUpdate ? update : create).prepare({ ...lending(context, isUpdate ? 'update' : 'create', 'Binary'), request });
    return {
      ...prepared,
      async run(tx) {
        if (!await takeUse(tx, context.org.id, grant.id, context.now)) throw grantEnded('is used up');
        const outcome = await prepared.run(tx);
        return isUpdate ? outcome : { ...outcome, code: 'create' };
      },
    };
  };
}

/** New bytes of a Binary stay in the context in which it is; those at a document are in that of the document. */
async function contextOf({ org, read }: InteractionContext, { type, resourceId }: AccessGrant): Promise<string | undefined> {
  if (type === 'DocumentReference') return `DocumentReference/${resourceId}`;
  const row = await read((tx) => readNewest(tx, org.id, typeNumber('Binary'), resourceId));
  const context = row?.body == null ? undefined : readResource(row.body)['securityContext'];
  return isJsonObject(context) && typeof context['reference'] === 'string' ? context['reference'] : undefined;
}

/** What the device sends, held to what was agreed. Whoever holds the URL has no say in whose the bytes are. */
export function agreedRequest(request: FhirRequest, grant: AccessGrant, securityContext: string | undefined): FhirRequest {
  if (request.header('x-provenance') !== undefined) throw fhirError('invalid-parameter', 'X-Provenance is for whoever shows a token');
  const contentType = request.body.contentType ?? grant.contentType;
  if (contentType !== undefined && FHIR_BODY.test(contentType)) throw fhirError('media-type', 'Bytes are put here as they are, FHIR resources are not');
  if (grant.contentType !== undefined && essence(contentType ?? '') !== essence(grant.contentType)) {
    throw fhirError('media-type', `The signed URL is for ${grant.contentType}`, { members: { allowedTypes: [grant.contentType] } });
  }
  const claimed = readDigestClaims(request)?.sha256;
  if (grant.sha256 !== undefined && claimed?.equals(grant.sha256) === false) throw fhirError('digest-mismatch', 'The digest header is not the SHA-256 that the signed URL is for');
  const digest = grant.sha256 ?? claimed;
  const headers = {
    'prefer': 'return=minimal', 'content-type': contentType, 'x-security-context': securityContext, 'content-digest': undefined,
    'repr-digest': digest === undefined ? undefined : `sha-256=:${digest.toString('base64')}:`,
  };
  return { ...asBinaryRequest(request, grant.type === 'Binary' ? grant.resourceId : '', headers), body: agreedBody(request.body, contentType, grant.size) };
}

/** Raises 422 for more or fewer bytes than agreed, before they are read where their length is told. */
function agreedBody(body: RequestBody, contentType: string | undefined, size: number | undefined): RequestBody {
  const wrong = (): Error => fhirError('claim-mismatch', `The signed URL is for ${size} bytes`);
  if (size !== undefined && body.length !== undefined && body.length !== size) throw wrong();
  return {
    ...body,
    contentType,
    async* stream(bytesMax) {
      let have = 0;
      for await (const piece of body.stream(bytesMax)) {
        have += piece.length;
        if (size !== undefined && have > size) throw wrong();
        yield piece;
      }
      if (size !== undefined && have !== size) throw wrong();
    },
  };
}
