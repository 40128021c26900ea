// What was uploaded is answered with a signed URL of its bytes, for whoever may lend them: made in the transaction that makes
// the document, and named by its record.
import { ownerOf, printOwner } from '../access/grant-owner.ts';
import type { Transaction } from '../database/database.ts';
import { FhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import type { Interaction, InteractionContext, Outcome } from '../interactions/interaction.ts';
import { lending } from '../operations/lent-rights.ts';
import type { GrantOperationParts } from '../operations/named-grant.ts';
import { signGrant, type SignedGrant } from '../operations/signed-url.ts';
import { insertPlainGrant } from '../resources/access-grants.ts';
import type { DocumentFields } from './document-fields.ts';
import { inFhirTerms, jsonAnswer } from './translated.ts';

interface LentFields extends DocumentFields {
  /** Null for callers who may lend nothing of it. */
  signed_url: string | null;
  expires_at: string | null;
}

const MINUTES = 60;

/** Of what was just made by them; whether that is within the limits of their scopes is asked when the URL is used. */
function mayLend(context: InteractionContext): boolean {
  try {
    for (const type of ['DocumentReference', 'Binary'] as const) lending(context, 'read', type);
    return true;
  } catch (error) {
    if (error instanceof FhirError) return false;
    throw error;
  }
}

/** The end of the grant, which is made with the commit; undefined for callers who may lend nothing. */
export function lend(parts: Pick<GrantOperationParts, 'signedUrlMinutesMax'>, tx: Transaction, context: InteractionContext, { id }: SignedGrant, type: 'DocumentReference' | 'Binary', resourceId: string): number | undefined {
  if (!mayLend(context)) return undefined;
  const { org, principal, now } = context;
  const expiresAt = now + Math.min(MINUTES, parts.signedUrlMinutesMax) * 60_000;
  insertPlainGrant(tx, { org: org.id, owner: ownerOf(principal), principal: printOwner(principal) }, { id, type, resourceId, createdAt: now, expiresAt });
  return expiresAt;
}

function lent(parts: GrantOperationParts, tx: Transaction, context: InteractionContext, signed: SignedGrant, outcome: Outcome): Outcome {
  const document = JSON.parse(outcome.response.body ?? '{}') as DocumentFields;
  const shown = (more: Pick<LentFields, 'signed_url' | 'expires_at'>): Outcome => ({ ...outcome, response: { ...outcome.response, body: JSON.stringify({ ...document, ...more }) }, keepsAnswer: true });
  const expiresAt = lend(parts, tx, context, signed, 'DocumentReference', document.id);
  return expiresAt === undefined ? shown({ signed_url: null, expires_at: null }) : { ...shown({ signed_url: signed.url, expires_at: printInstant(expiresAt) }), grant: signed.id };
}

/** A repetition answers what the first one did, the URL included, and names the document as seen. */
function repeated(outcome: Outcome, documentsUrl: string): Outcome {
  const fields = JSON.parse(outcome.response.body ?? '{}') as LentFields;
  return {
    ...outcome, response: jsonAnswer(outcome.response, outcome.response.status, fields, { ETag: 'W/"1"', Location: `${documentsUrl}/${fields.id}` }),
    entities: [{ reference: `DocumentReference/${fields.id}/_history/1`, role: 'data' }],
  };
}

/** `upload` answers the fields of the document that it made. */
export function withSignedUrl(parts: GrantOperationParts, documentsUrl: string, upload: Interaction): Interaction {
  return {
    code: upload.code,
    kind: upload.kind,
    async prepare(context) {
      const signed = await signGrant(parts, context);
      const prepared = await upload.prepare(context);
      return { ...prepared, run: async (tx) => lent(parts, tx, context, signed, await prepared.run(tx)) };
    },
    replay: async (context, replay) => repeated(await replay(inFhirTerms(context, {})), documentsUrl),
  };
}
