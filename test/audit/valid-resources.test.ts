// What is rendered is valid R4 by the same rules that clients' resources are held to.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { renderAuditEvent } from '../../src/audit/render-audit-event.ts';
import { renderProvenance } from '../../src/audit/render-provenance.ts';
import type { Issue } from '../../src/fhir/fhir-error.ts';
import { parseJson } from '../../src/fhir/json.ts';
import { validateResource } from '../../src/validation/validate-resource.ts';
import { anyAccessEvent } from './arbitrary-event.ts';
import { sampleEvents } from './sample-events.ts';
