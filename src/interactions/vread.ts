// vread (R4 http.html 3.1.0.3): one version; 410 for the version that a deletion made, 404 for one that never was.
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { requirePermittedHistory, unknown } from '../resources/permitted-version.ts';
import { readVersion } from '../resources/read-version.ts';
import { notModified } from './conditional-read.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { summaryFormOf, representation, versionHeaders } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

export function vread(fhirBase: string): Interaction {
  return defineInteraction({
    code: 'vread',
    kind: 'read',
    async run(tx, { request, org, restriction }) {
      const reference = `${request.type}/${request.id}/_history/${request.version}`;
      const version = /^[1-9]\d{0,8}$/.test(request.version) ? Number(request.version) : 0;
      const row = await readVersion(tx, org.id, typeNumber(request.type), request.id, version);
      // Told like one that is hidden.
      if (row === undefined) throw unknown(`${request.type}/${request.id}`);
      await requirePermittedHistory(tx, restriction, row, fhirBase);
      if (row.body === null) throw fhirError('deleted', `${reference} is a deletion`);
      const form = summaryFormOf(request);
      const lastUpdated = row.last_updated.getTime();
      // The URL names the version: another one made in the same second has another URL.
      const response = await notModified(request, { version: row.version, lastUpdated, previousUpdated: async () => undefined })
        ? { status: 304, headers: versionHeaders(row.version, lastUpdated) }
        : representation(200, { reference: `${request.type}/${request.id}`, version: row.version, lastUpdated, text: row.body }, form);
      return { response, entities: [...patientEntity(row.patient), { reference, role: 'data' }] };
    },
  });
}
