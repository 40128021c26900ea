// read (R4 http.html 3.1.0.2): the newest version; 410 once deleted; 304 when the client has it already (3.1.0.5).
import { matchesVersion } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { representation, versionHeaders } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

export function read(newest: NewestLoader): Interaction {
  return defineInteraction({
    code: 'read',
    kind: 'read',
    prepare: ({ request, org }) => newest.load(org.id, typeNumber(request.type), request.id),
    async run(_tx, { request }, row) {
      const reference = `${request.type}/${request.id}`;
      if (row === undefined) throw fhirError('not-found', `${reference} is not known here`);
      if (row.body === null) throw fhirError('deleted', `${reference} was deleted`);
      const lastUpdated = row.last_updated.getTime();
      const known = request.header('if-none-match');
      const response = known !== undefined && matchesVersion(known, row.version)
        ? { status: 304, headers: versionHeaders(row.version, lastUpdated) }
        : representation(200, { reference, version: row.version, lastUpdated, text: row.body });
      return { response, entities: [...patientEntity(row.patient), { reference: `${reference}/_history/${row.version}`, role: 'data' }] };
    },
  });
}
