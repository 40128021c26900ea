// create of Binary (R4 binary.html): the server assigns the id; a client's id is ignored.
import { creatorOf } from '../access/principal.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { publishBinary } from '../resources/publish-document.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { checkContext, receiveBinary, type BinaryParts, type ReceivedBinary } from './receive-binary.ts';
import { writeResponse } from './representation.ts';

type PreparedBinary = ReceivedBinary & { id: string };

export function createBinary(parts: BinaryParts): Interaction {
  return defineInteraction({
    code: 'create',
    kind: 'write',
    prepare: async (context) => {
      if (context.request.header('if-none-exist') !== undefined) throw fhirError('invalid-parameter', 'Binary has no search, so If-None-Exist cannot be met');
      return { ...await receiveBinary(parts, context), id: context.assignedId ?? newUuidV7(context.now) };
    },
    run: (tx, context, prepared) => runCreate(parts, tx, context, prepared),
    abandon: (context, prepared) => parts.content.discard(context.org.id, prepared.received),
    binary: (context, { id, received }) => ({
      contentType: received.declaredType,
      org: context.org.id, type: typeNumber('Binary'), id, version: 1, last_updated: new Date(context.now), deleted: false, method: 'POST', body: null,
      content: received.id, creator: creatorOf(context.principal), patient: null, size: received.size, sha256: received.sha256, sha1: received.sha1,
    }),
  });
}

async function runCreate(parts: BinaryParts, tx: Transaction, context: InteractionContext, prepared: PreparedBinary): Promise<Outcome> {
  await checkContext(tx, context, prepared.securityContext, parts.fhirBase);
  const { id } = prepared;
  const text = await publishBinary(tx, {
    org: context.org.id, id, contentType: prepared.contentType, creator: creatorOf(context.principal), now: context.now, event: context.eventId, received: prepared.received,
    ...(prepared.securityContext === undefined ? {} : { securityContext: prepared.securityContext }),
  });
  const target = `Binary/${id}/_history/1`;
  return {
    response: writeResponse(context.request, 201, parts.fhirBase, { reference: `Binary/${id}`, version: 1, lastUpdated: context.now, text }),
    entities: [{ reference: target, role: 'data' }],
    write: { activity: 'CREATE', targets: [target], sources: [], authors: [] },
    bytes: { contentType: prepared.contentType, size: prepared.received.size },
    version: { type: 'Binary', id, version: 1 },
  };
}
