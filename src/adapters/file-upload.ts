// PUT to a signed URL: the bytes are taken here, or the device is sent on to the store where the grant and the organisation say so.
import { defineInteraction, type Interaction, type PreparedInteraction } from '../interactions/interaction.ts';
import { requireLendable } from '../operations/lent-rights.ts';
import { agreedRequest, type TakeUpload } from './agreed-upload.ts';
import { sendToStore } from './direct-upload.ts';
import { grantInUse, type FileParts } from './file-parts.ts';

export function uploadFile(parts: FileParts, take: TakeUpload): Interaction {
  return defineInteraction<PreparedInteraction>({
    code: 'update',
    kind: 'write',
    async prepare(context) {
      const grant = grantInUse(context);
      const entities = await context.read((tx) => requireLendable(tx, context, grant, parts.fhirBase));
      const { direct } = parts.store;
      if (grant.direct !== true || context.org.directUrls !== true || direct === undefined) return take(context, grant, context.request);
      return sendToStore({ ...parts, direct }, context, grant, agreedRequest(context.request, grant, undefined).body, entities);
    },
    run: (tx, _context, prepared) => prepared.run(tx),
    abandon: (_context, prepared) => prepared.abandon(),
  });
}

