// The BALP profiles that events claim (IHE.BasicAudit 1.1.x), as rules of slices: what a validator would check there.
import { describe, expect, test } from '@jest/globals';
import type { AuditEvent, AuditEventEntity, Coding } from '@medplum/fhirtypes';
import { renderAuditEvent } from '../../src/audit/render-audit-event.ts';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { checkResource } from '../../src/validation/check-resource.ts';
import type { JsonObject } from '../../src/fhir/json.ts';
import { anyAccessEvent } from './arbitrary-event.ts';
import fc from 'fast-check';
import { sampleEvents } from './sample-events.ts';

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const PARTICIPANT = 'http://terminology.hl7.org/CodeSystem/provenance-participant-type';

interface Pattern {
  action: string;
  subtypes: string[];
  client: string;
  server: [system: string, code: string];
  users: string[];
}

const WRITERS = ['AUT', 'INF', 'CST'];
const PATTERNS: Record<string, Pattern> = {
  Read: { action: 'R', subtypes: ['read', 'vread'], client: '110152', server: [DCM, '110153'], users: ['IRCP'] },
  Query: { action: 'E', subtypes: ['search', 'search-type', 'search-system'], client: '110153', server: [DCM, '110152'], users: ['IRCP'] },
  Create: { action: 'C', subtypes: ['create'], client: '110153', server: [DCM, '110152'], users: WRITERS },
  Update: { action: 'U', subtypes: ['update', 'patch'], client: '110153', server: [DCM, '110152'], users: WRITERS },
  Delete: { action: 'D', subtypes: ['delete'], client: '110150', server: [PARTICIPANT, 'custodian'], users: WRITERS },
};

const BASE = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.';

function claimed(event: AuditEvent): { pattern: Pattern; name: string; patient: boolean } {
  const [, patient, name = ''] = /^(Patient)?(.*)$/.exec((event.meta?.profile?.[0] ?? '').slice(BASE.length)) ?? [];
  return { pattern: PATTERNS[name] as Pattern, name, patient: patient !== undefined };
}

const agentsOf = (event: AuditEvent, system: string, code: string): AuditEvent['agent'] =>
  event.agent.filter(({ type }) => type?.coding?.some((coding) => coding.system === system && coding.code === code));
const entitiesOf = (event: AuditEvent, system: string, code: string): AuditEventEntity[] =>
  (event.entity ?? []).filter(({ type }) => type?.system === system && type.code === code);
const ENTITY_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-entity-type';
const codes = (codings: Coding[] | undefined): (string | undefined)[] => (codings ?? []).map(({ code }) => code);

const all = Object.entries(sampleEvents()).map(([name, event]): [string, AuditEvent, AccessEvent] => [name, renderAuditEvent(event), event]);
const claiming = all.filter(([, rendered]) => rendered.meta?.profile !== undefined);

describe.each(claiming)('%s', (_, event) => {
  const { pattern, name, patient } = claimed(event);

  test('has the fixed type, subtype, action and outcome', () => {
    expect([event.type.code, event.action, event.outcome]).toEqual(['rest', pattern.action, '0']);
    expect(pattern.subtypes).toEqual(expect.arrayContaining(codes(event.subtype)));
  });

  test('has one client and one server, each with who and network', () => {
    for (const slice of [agentsOf(event, DCM, pattern.client), agentsOf(event, ...pattern.server)]) {
      expect(slice).toHaveLength(1);
      expect(slice[0]).toMatchObject({ who: expect.anything(), network: expect.anything() });
    }
  });

  test('has at most one user, without network', () => {
    const users = event.agent.filter(({ type }) => type?.coding?.some(({ code }) => pattern.users.includes(code ?? '')));
    expect(users.length).toBeLessThanOrEqual(1);
    for (const user of users) expect(user).toMatchObject({ requestor: true, who: expect.anything() });
    for (const user of users) expect(user.network).toBeUndefined();
  });

  test('has one System Object: the query, or the data in one of three roles', () => {
    const [object, ...more] = entitiesOf(event, ENTITY_TYPE, '2');
    expect(more).toEqual([]);
    if (name === 'Query') {
      expect(object).toMatchObject({ role: { code: '24' }, query: expect.any(String) });
      expect([object?.what, object?.lifecycle, object?.detail]).toEqual([undefined, undefined, undefined]);
    } else {
      expect(object?.what?.reference).toMatch(/\/_history\/\d+$/);
      expect(['3', '4', '20']).toContain(object?.role?.code);
    }
  });

  test('has one patient exactly when it is the patient variant, and the request id once', () => {
    const patients = entitiesOf(event, ENTITY_TYPE, '1');
    expect(patients).toHaveLength(patient ? 1 : 0);
    for (const { role, what } of patients) expect([role?.code, what?.reference]).toEqual(['1', 'Patient/p1']);
    const requests = entitiesOf(event, 'https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType', 'XrequestId');
    expect(requests.map(({ what }) => what?.identifier?.value)).toEqual(['req-42']);
  });
});

describe('what has no BALP profile', () => {
  test('claims none: failures, histories, bundles, operations, and a client of unknown address', () => {
    const without = all.filter(([, rendered]) => rendered.meta?.profile === undefined);
    const successes = without.filter(([, rendered]) => rendered.outcome === '0').map(([name]) => name);
    expect(successes).toEqual([
      'history-instance-success', 'history-type-success', 'history-system-success', 'batch-success', 'transaction-success',
      'operation-success', 'capabilities-success', 'read-unknown-address', 'operation-purge', 'operation-settings',
    ]);
    expect(claiming.every(([, , event]) => event.outcome === 0)).toBe(true);
  });
});

/** Our StructureDefinition of a pattern that is claimed. */
const shipped = (event: AuditEvent): string => {
  const { name, patient } = claimed(event);
  return `https://muniment.example/fhir/StructureDefinition/audit-${patient ? 'patient-' : ''}${name.toLowerCase()}`;
};

async function faults(event: AuditEvent): Promise<string[]> {
  const issues = await checkResource(JSON.parse(JSON.stringify(event)) as JsonObject, 'AuditEvent', [shipped(event)]);
  // Warnings: the profile of IHE itself is not here, ours stands for it; records have no narrative.
  return issues.filter(({ severity }) => severity === 'error').map(({ diagnostics }) => diagnostics);
}

describe('the StructureDefinitions of profiles/', () => {
  test.each(claiming)('are met by %s', async (_, event) => {
    expect(await faults(event)).toEqual([]);
  });

  test('are met by any event that claims a pattern', async () => {
    await fc.assert(fc.asyncProperty(anyAccessEvent, async (event) => {
      const rendered = renderAuditEvent(event);
      if (rendered.meta.profile !== undefined) expect(await faults(rendered)).toEqual([]);
    }), { numRuns: 300 });
  });

  test.each<[string, (event: AuditEvent) => unknown, RegExp]>([
    ['another action', (event) => { event.action = 'E'; }, /AuditEvent.action/],
    ['a failure', (event) => { event.outcome = '4'; }, /AuditEvent.outcome/],
    ['another subtype', (event) => { event.subtype = [{ code: 'delete' }]; }, /subtype/],
    ['no server', (event) => { event.agent = event.agent.filter(({ type }) => type?.coding?.[0]?.code !== '110153'); }, /agent/],
    ['two requestors', (event) => { for (const agent of event.agent) agent.requestor = true; }, /requestor/],
    ['data without its version', (event) => { for (const { what } of event.entity ?? []) if (what?.reference !== undefined) what.reference = what.reference.replace(/_history.*/, ''); }, /version|what/],
    ['no patient', (event) => { event.entity = event.entity?.filter(({ type }) => type?.code !== '1') as never; }, /entity/],
    ['a token', (event) => { event.outcomeDesc = 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA'; }, /token/],
  ])('refuse %s', async (_title, spoil, told) => {
    const event = structuredClone(all.find(([name]) => name === 'read-success')?.[1] as AuditEvent);
    spoil(event);
    expect((await faults(event)).join('; ')).toMatch(told);
  });
});
