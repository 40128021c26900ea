import { describe, expect, test } from '@jest/globals';
import { indexAccess } from '../../src/audit/access-index.ts';
import { canonicalText } from '../../src/audit/access-event.ts';
import { renderProvenance } from '../../src/audit/render-provenance.ts';
import type { JsonObject } from '../../src/fhir/json.ts';
import { renderRecord } from '../../src/resources/read-record.ts';
import { validateResource } from '../../src/validation/validate-resource.ts';
import { sampleEvents } from './sample-events.ts';

const event = sampleEvents()['create-asserted'];
if (event === undefined) throw new Error('There is no such sample');
const { write, ...plain } = event;
const bare = { ...plain, write: { ...write, asserted: undefined } } as unknown as typeof event;

describe('a Provenance to which its client asserted something', () => {
  test('has all that the server knows, unchanged and first, and the rest marked as asserted', () => {
    const ours = renderProvenance(bare);
    const joined = renderProvenance(event);
    expect(joined.target).toEqual(ours.target);
    expect([joined.recorded, joined.occurredDateTime]).toEqual([ours.recorded, ours.occurredDateTime]);
    expect(joined.agent.slice(0, ours.agent.length)).toEqual(ours.agent);
    expect(joined.entity?.slice(0, ours.entity?.length)).toEqual(ours.entity);
    for (const added of [...joined.agent.slice(ours.agent.length), ...joined.entity?.slice(ours.entity?.length) ?? []]) {
      expect((added as JsonObject)['extension']).toContainEqual({ url: 'https://muniment.example/fhir/StructureDefinition/asserted', valueBoolean: true });
    }
  });

  test('is valid R4, keeps the digits of decimals, and says when the client says that it happened', () => {
    const text = renderRecord('Provenance', canonicalText(event));
    expect(validateResource(JSON.parse(text) as JsonObject, 'Provenance')).toEqual([]);
    expect(text).toContain('"valueDecimal":1.50');
    expect(text).toContain('"valuePeriod":{"start":"2026-03-01"}');
  });

  test('is found by the agents and entities that were asserted', () => {
    expect(indexAccess(event).entities).toEqual(expect.arrayContaining([
      { reference: 'Practitioner/scribe', role: 3 }, { reference: 'DocumentReference/draft', role: 4 },
    ]));
  });

  test('of a write that failed asserts nothing', () => {
    expect(JSON.stringify(renderProvenance({ ...event, outcome: 4, status: 422 }))).not.toContain('scribe');
  });
});
