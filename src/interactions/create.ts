// create (R4 http.html 3.1.0.8), with If-None-Exist (3.1.0.8.1): the server assigns the id; a client's id is ignored.
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { isSearchParameter } from '../search/search-parameters.ts';
import { findExisting, type ExistingMatch } from './conditional-match.ts';
import { defineInteraction, type FhirRequest, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { discardAll, prepareDocument, type DocumentParts, type PreparedDocument } from './prepare-document.ts';
import { writeResponse } from './representation.ts';
import { discardAfter, writeDocument } from './write-document.ts';
import { patientEntity } from './write-outcome.ts';

export function create(parts: DocumentParts): Interaction {
  return defineInteraction({
    code: 'create',
    kind: 'write',
    prepare: (context) => {
      refuseCriteria(context.request);
      return prepareDocument(parts, context);
    },
    run: (tx, context, prepared) => runCreate(parts, tx, context, prepared),
    abandon: (context, prepared) => discardAll(parts.content, context, prepared.moved.map((attachment) => attachment.received)),
  });
}

/** Some clients put the condition of a create into its URL. Passed over there, it would make the duplicate that it is to prevent. */
function refuseCriteria(request: FhirRequest): void {
  const criterion = request.query.find(([name]) => isSearchParameter(request.type, name));
  if (criterion !== undefined) throw fhirError('invalid-parameter', `The condition of a create (${criterion[0].slice(0, 60)}) travels in If-None-Exist, not in the URL`);
}

async function runCreate(parts: DocumentParts, tx: Transaction, context: InteractionContext, prepared: PreparedDocument): Promise<Outcome> {
  const { request } = context;
  const criteria = request.header('if-none-exist');
  if (criteria !== undefined) {
    const existing = await findExisting(tx, context, criteria, parts.fhirBase);
    if (existing !== undefined) return foundOutcome(parts, context, prepared, existing);
  }
  return writeDocument(parts, tx, context, { id: context.assignedId ?? newUuidV7(context.now), method: 'POST', prepared, previous: undefined });
}

/** The one match of If-None-Exist is the answer; what was received is not needed. */
function foundOutcome(parts: DocumentParts, context: InteractionContext, prepared: PreparedDocument, existing: ExistingMatch): Outcome {
  const { request } = context;
  const reference = `${request.type}/${existing.id}`;
  const outcome: Outcome = {
    response: writeResponse(request, 200, parts.fhirBase, { reference, ...existing }),
    entities: [...patientEntity(existing.patient), { reference: `${reference}/_history/${existing.version}`, role: 'data' }],
    version: { type: request.type, id: existing.id, version: existing.version },
  };
  discardAfter(parts, context, outcome, prepared.moved.map((attachment) => attachment.received));
  return outcome;
}
