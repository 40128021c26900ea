// read (R4 http.html 3.1.0.2): the newest version; 410 once deleted; 304 when the client has it already (3.1.0.5).
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import { requirePermitted } from '../resources/permitted-version.ts';
import { readNewest, readVersion } from '../resources/read-version.ts';
import { notModified } from './conditional-read.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { summaryFormOf, representation, versionHeaders } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

export function read(newest: NewestLoader, fhirBase: string): Interaction {
  return defineInteraction({
    code: 'read',
    kind: 'read',
    prepare: async ({ request, org, share }) => (share === undefined ? newest.load(org.id, typeNumber(request.type), request.id) : undefined),
    async run(tx, { request, org, share, restriction }, loaded) {
      const row = share === undefined ? loaded : await readNewest(tx, org.id, typeNumber(request.type), request.id);
      const reference = `${request.type}/${request.id}`;
      if (row === undefined) throw fhirError('not-found', `${reference} is not known here`);
      await requirePermitted(tx, restriction, row, fhirBase);
      if (row.body === null) throw fhirError('deleted', `${reference} was deleted`);
      const form = summaryFormOf(request);
      const { version } = row;
      const lastUpdated = row.last_updated.getTime();
      const previousUpdated = async (): Promise<number | undefined> => (await readVersion(tx, org.id, row.type, row.id, version - 1))?.last_updated.getTime();
      const response = await notModified(request, { version, lastUpdated, previousUpdated })
        ? { status: 304, headers: versionHeaders(version, lastUpdated) }
        : representation(200, { reference, version, lastUpdated, text: row.body }, form);
      return { response, entities: [...patientEntity(row.patient), { reference: `${reference}/_history/${row.version}`, role: 'data' }] };
    },
  });
}
