// read of StructureDefinition, SearchParameter, CodeSystem, ValueSet and OperationDefinition: what this server defines.
import { fhirError } from '../fhir/fhir-error.ts';
import { printJson } from '../fhir/json.ts';
import { findConformance } from '../resources/conformance-resources.ts';
import type { ConformanceType } from '../search/conformance-parameters.ts';
import { notModified } from './conditional-read.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { representation, summaryFormOf, versionHeaders } from './representation.ts';

export function readConformance(type: ConformanceType): Interaction {
  return defineInteraction({
    code: 'read',
    kind: 'read',
    async run(_tx, { request }) {
      const reference = `${type}/${request.id}`;
      const found = findConformance(type, request.id);
      if (found === undefined) throw fhirError('not-found', `${reference} is not known here`);
      const { lastUpdated, resource, version } = found;
      const form = summaryFormOf(request);
      const response = await notModified(request, { version, lastUpdated, previousUpdated: () => Promise.resolve(undefined) })
        ? { status: 304, headers: versionHeaders(version, lastUpdated) }
        : representation(200, { reference, version, lastUpdated, text: printJson(resource) }, form);
      return { response, entities: [{ reference: `${reference}/_history/${version}`, role: 'data' }] };
    },
  });
}
