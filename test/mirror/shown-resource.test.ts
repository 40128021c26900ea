// What HAPI holds, as it is shown: our addresses, no placeholders, every digit.
import { describe, expect, it } from '@jest/globals';
import { parseJson, type JsonObject } from '../../src/fhir/json.ts';
import { showResource, type ShownResource } from '../../src/mirror/shown-resource.ts';

const OPTIONS = { addresses: ['http://hapi:8080/fhir', 'https://inside.test/fhir'], publicBase: 'https://muniment.test/fhir', form: undefined };

function show(text: string): ShownResource | undefined {
  return showResource(parseJson(text), OPTIONS);
}

const withMeta = (more: Record<string, unknown>): string => JSON.stringify({ id: '1', meta: { versionId: '3', lastUpdated: '2026-01-02T03:04:05.678+00:00' }, ...more });

describe('a resource of HAPI', () => {
  it('keeps the digits of its decimals and the order of its elements', () => {
    const text = '{"resourceType":"Location","id":"1","meta":{"versionId":"3"},"position":{"longitude":16.370,"latitude":48.2000000000000000001},"name":"Ward"}';
    expect(show(text)?.text).toBe(text);
  });

  it.each([
    ['a reference', 'http://hapi:8080/fhir/Organization/1', 'https://muniment.test/fhir/Organization/1'],
    ['the other scheme', 'https://hapi:8080/fhir/Organization/1', 'https://muniment.test/fhir/Organization/1'],
    ['the address that HAPI names itself', 'https://inside.test/fhir/Organization/1/_history/2', 'https://muniment.test/fhir/Organization/1/_history/2'],
    ['the base alone', 'http://hapi:8080/fhir', 'https://muniment.test/fhir'],
    ['text around it', '<a href="http://hapi:8080/fhir/Patient/1">see http://hapi:8080/fhir.</a>', '<a href="https://muniment.test/fhir/Patient/1">see https://muniment.test/fhir.</a>'],
    ['another server', 'http://hapi:80801/fhir/Organization/1', 'http://hapi:80801/fhir/Organization/1'],
    ['another path', 'http://hapi:8080/fhirs/Organization/1', 'http://hapi:8080/fhirs/Organization/1'],
    ['a relative reference', 'Organization/1', 'Organization/1'],
  ])('has our address in place of its own: %s', (_name, given, expected) => {
    const shown = show(withMeta({ resourceType: 'Patient', managingOrganization: { reference: given } }));
    expect((parseJson(shown?.text ?? '') as { managingOrganization: JsonObject }).managingOrganization['reference']).toBe(expected);
  });

  it.each([
    ['Patient', {}, 'Patient/1'],
    ['Encounter', { subject: { reference: 'Patient/p' } }, 'Patient/p'],
    ['Encounter', { subject: { reference: 'http://hapi:8080/fhir/Patient/p/_history/2' } }, 'Patient/p'],
    ['Encounter', { subject: { reference: 'Group/g' } }, undefined],
    ['RelatedPerson', { patient: { reference: 'Patient/p' } }, 'Patient/p'],
    ['Device', { patient: { reference: 'https://elsewhere.test/fhir/Patient/p' } }, undefined],
    ['Practitioner', {}, undefined],
  ])('is about its patient: %s %j', (resourceType, more, patient) => {
    expect(show(withMeta({ resourceType, ...more }))).toMatchObject({ type: resourceType, id: '1', version: '3', lastUpdated: Date.parse('2026-01-02T03:04:05.678Z'), patient });
  });

  it.each([
    ['a placeholder', withMeta({ resourceType: 'Patient', extension: [{ url: 'http://hapifhir.io/fhir/StructureDefinition/resource-placeholder', valueBoolean: true }] })],
    ['a placeholder with the identifier of its reference', withMeta({ resourceType: 'Patient', identifier: [{ value: 'a' }], extension: [{ url: 'http://hapifhir.io/fhir/StructureDefinition/resource-placeholder', valueBoolean: true }] })],
    ['a type that is not passed on', withMeta({ resourceType: 'Observation' })],
    ['what has no version', '{"resourceType":"Patient","id":"1"}'],
    ['what has no id', '{"resourceType":"Patient","meta":{"versionId":"1"}}'],
    ['an id that is none', '{"resourceType":"Patient","id":"../1","meta":{"versionId":"1"}}'],
    ['no resource', '[]'],
  ])('is not shown: %s', (_name, text) => {
    expect(show(text)).toBeUndefined();
  });

  it('is shown in part, and still known by its patient', () => {
    const shown = showResource(parseJson(withMeta({ resourceType: 'Encounter', status: 'planned', class: { code: 'AMB' }, subject: { reference: 'Patient/p' }, type: [{ text: 'visit' }] })), { ...OPTIONS, form: { kind: 'elements', names: new Set(['type']) } });
    expect(shown?.patient).toBe('Patient/p');
    expect(parseJson(shown?.text ?? '')).toMatchObject({ status: 'planned', type: [{ text: 'visit' }], meta: { tag: [{ code: 'SUBSETTED' }] } });
    expect(shown?.text).not.toContain('subject');
  });
});
