// history-instance (R4 http.html 3.1.0.12): all versions of one resource, newest first, deletions without a resource.
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printJson } from '../fhir/json.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { markSubsetted } from '../fhir/summary.ts';
import { findBinaryOwners, requireReadable, type BinaryOwners, type BinaryReader } from '../resources/binary-access.ts';
import { requirePermitted } from '../resources/permitted-version.ts';
import { readNewest, readVersion } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';
import { answerHistory, type HistoryParts } from './history-bundle.ts';
import { defineInteraction, type Interaction, type InteractionContext } from './interaction.ts';
import { readerOf } from './prepare-document.ts';
import { patientEntity } from './write-outcome.ts';

export function historyInstance(parts: HistoryParts): Interaction {
  return defineInteraction({
    code: 'history-instance',
    kind: 'read',
    async run(tx, context) {
      const { request: { type, id }, org, restriction } = context;
      const newest = await readNewest(tx, org.id, typeNumber(type), id);
      if (newest === undefined) throw fhirError('not-found', `${type}/${id} is not known here`);
      if (type === 'Binary') requireReadable(await ownersOf(tx, context, newest, readerOf(context, parts.fhirBase)), `${type}/${id}`);
      if (type !== 'Binary') await requirePermitted(tx, restriction, newest, parts.fhirBase);
      const restrictions = new Map([[newest.type, type === 'Binary' ? { kind: 'none' as const } : restriction]]);
      const text = type === 'Binary' ? withoutBytes : undefined;
      const outcome = await answerHistory(tx, context, parts, { org: org.id, types: [typeNumber(type)], restrictions, id, path: `${type}/${id}/_history`, counted: true }, text);
      // A page without versions still tells that the resource is there.
      if (outcome.entities.length === 0) outcome.entities = [...patientEntity(newest.patient), { reference: `${type}/${id}/_history/${newest.version}`, role: 'data' }];
      return outcome;
    },
  });
}

/** The newest version says whose a Binary is; after a deletion the one before it. */
async function ownersOf(tx: Transaction, { org }: InteractionContext, newest: VersionRow, reader: BinaryReader): Promise<BinaryOwners> {
  const last = newest.body === null ? await readVersion(tx, org.id, newest.type, newest.id, newest.version - 1) : newest;
  return findBinaryOwners(tx, reader, last ?? newest);
}

/** What a version of a Binary is; its bytes are read by themselves, and the tag SUBSETTED says that they are left out. */
function withoutBytes({ body }: VersionRow): string | null {
  return body === null ? null : printJson(markSubsetted(readResource(body)));
}
