// What is rendered is valid R4, by the same rules that the resources of clients are held to.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { renderAuditEvent } from '../../src/audit/render-audit-event.ts';
import { renderProvenance } from '../../src/audit/render-provenance.ts';
import type { Issue } from '../../src/fhir/fhir-error.ts';
import type { JsonObject } from '../../src/fhir/json.ts';
import { validateResource } from '../../src/validation/validate-resource.ts';
import { anyAccessEvent } from './arbitrary-event.ts';
import { sampleEvents } from './sample-events.ts';

function issuesOf(event: AccessEvent): Issue[] {
  return [renderAuditEvent(event), renderProvenance(event)].flatMap((resource) => {
    const asRead = JSON.parse(JSON.stringify(resource)) as JsonObject;
    return validateResource(asRead, resource.resourceType);
  });
}

describe('rendered resources', () => {
  test.each(Object.entries(sampleEvents()))('of %s are valid', (_, event) => {
    expect(issuesOf(event)).toEqual([]);
  });

  test('of any access are valid', () => {
    fc.assert(fc.property(anyAccessEvent, (event) => expect(issuesOf(event)).toEqual([])), { numRuns: 300 });
  });
});
