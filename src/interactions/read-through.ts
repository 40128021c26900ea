// read and vread (R4 http.html 3.1.0.2, 3.1.0.3) of what is passed on. HAPI is asked in `prepare`: no transaction is open.
import { parseTags } from '../fhir/etag.ts';
import { patientAlone } from '../access/restriction.ts';
import { FhirError, fhirError } from '../fhir/fhir-error.ts';
import { notModified } from './conditional-read.ts';
import { defineInteraction, type FhirRequest, type Interaction } from './interaction.ts';
import type { OutsideReading, OutsideResource } from './outside-resources.ts';
import { FHIR_JSON_TYPE } from './representation.ts';

export function readThrough(outside: OutsideReading, code: 'read' | 'vread'): Interaction {
  return defineInteraction({
    code,
    kind: 'read',
    async prepare({ request, org, principal, restriction }): Promise<OutsideResource> {
      const { type, id, version } = request;
      const patient = patientAlone(restriction);
      const unknown = (): Error => fhirError('not-found', `${type}/${id} is not known here`);
      // A right that the mirror cannot be asked to narrow shows nothing. Neither does it tell whether there is another patient's.
      if ((restriction.kind !== 'none' && patient === undefined) || (type === 'Patient' && patient !== undefined && id !== patient)) throw unknown();
      const shown = await outside.read({ org, principal }, { type, id, ...(code === 'vread' ? { version } : {}) }, request.query).catch((error: unknown) => {
        // That something was deleted is told of what can be seen to be the patient's own.
        throw patient !== undefined && type !== 'Patient' && error instanceof FhirError && error.status === 410 ? unknown() : error;
      });
      if (patient !== undefined && shown.patient !== `Patient/${patient}`) throw unknown();
      return shown;
    },
    async run(_tx, { request }, shown) {
      const { type, id, version, lastUpdated, patient, text } = shown;
      const headers = { 'ETag': `W/"${version}"`, ...(lastUpdated === undefined ? {} : { 'Last-Modified': new Date(lastUpdated).toUTCString() }) };
      const known = await isKnown(request, shown);
      return {
        response: known ? { status: 304, headers } : { status: 200, headers: { ...headers, 'Content-Type': FHIR_JSON_TYPE }, body: text },
        entities: [...(patient === undefined ? [] : [{ reference: patient, role: 'patient' as const }]), { reference: `${type}/${id}/_history/${version}`, role: 'data' as const }],
      };
    },
  });
}

/** When the version before was made is not asked of HAPI: of two in one second the date says nothing. */
function isKnown(request: FhirRequest, { version, lastUpdated }: OutsideResource): Promise<boolean> {
  const conditions = { version: 0, lastUpdated: lastUpdated ?? Infinity, previousUpdated: () => Promise.resolve(lastUpdated) };
  return notModified(request, conditions, (header) => parseTags(header).some((tag) => tag === '*' || tag === version));
}
