// What was uploaded is answered with a signed URL of its bytes, for whoever may lend them: made in the transaction that makes
// the document, and named by its record.
import type { AccessGrant } from '../access/access-grant.ts';
import type { Transaction } from '../database/database.ts';
import { FhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import type { Interaction, InteractionContext, Outcome } from '../interactions/interaction.ts';
import type { GrantOperationParts } from '../operations/named-grant.ts';
import { issueGrant, signGrant, type SignedGrant } from '../operations/signed-url.ts';
import type { DocumentFields } from './document-fields.ts';
import { inFhirTerms, jsonAnswer } from './translated.ts';

interface LentFields extends DocumentFields {
  /** Null for callers who may lend nothing of it. */
  signed_url: string | null;
  expires_at: string | null;
}

const MINUTES = 60;

async function lent(parts: GrantOperationParts, tx: Transaction, context: InteractionContext, { id, url }: SignedGrant, outcome: Outcome): Promise<Outcome> {
  const document = JSON.parse(outcome.response.body ?? '{}') as DocumentFields;
  const expiresAt = context.now + Math.min(MINUTES, parts.signedUrlMinutesMax) * 60_000;
  const grant: AccessGrant = { id, type: 'DocumentReference', resourceId: document.id, method: 'GET', allowedIp: [], createdAt: context.now, expiresAt, used: 0 };
  const shown = (more: Pick<LentFields, 'signed_url' | 'expires_at'>): Outcome => ({ ...outcome, response: { ...outcome.response, body: JSON.stringify({ ...document, ...more }) }, keepsAnswer: true });
  // The right to lend is asked of the document as it is now stored.
  await tx.flush();
  try {
    await issueGrant(parts, tx, context, grant, url);
    return { ...shown({ signed_url: url, expires_at: printInstant(expiresAt) }), grant: id };
  } catch (error) {
    if (error instanceof FhirError) return shown({ signed_url: null, expires_at: null });
    throw error;
  }
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
