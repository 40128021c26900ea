import { describe, expect, test } from '@jest/globals';
import type { AuditEvent, Provenance } from '@medplum/fhirtypes';
import fc from 'fast-check';
import { canonicalText } from '../../src/audit/access-event.ts';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { renderAuditEvent } from '../../src/audit/render-audit-event.ts';
import { renderProvenance } from '../../src/audit/render-provenance.ts';
import { PLANTED_TOKEN, anyAccessEvent } from './arbitrary-event.ts';
import { accessEvent, sampleEvents } from './sample-events.ts';

/** The annotations are the test: the compiler compares our resources with R4's types as another project wrote them. */
function rendered(event: AccessEvent): { auditEvent: AuditEvent; provenance: Provenance } {
  const auditEvent: AuditEvent = renderAuditEvent(event);
  const provenance: Provenance = renderProvenance(event);
  return { auditEvent, provenance };
}

function decodedQuery(auditEvent: AuditEvent): string {
  const query = auditEvent.entity?.find((entity) => entity.query !== undefined)?.query ?? '';
  return Buffer.from(query, 'base64').toString('utf8');
}

/** Every string of a JSON value, keys left out. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
}

function emptyMembers(value: unknown): unknown[] {
  if (value === undefined || value === null || value === '') return [value];
  if (typeof value !== 'object') return [];
  const members = Object.values(value);
  return members.length === 0 ? [value] : members.flatMap(emptyMembers);
}

const forAny = (check: (event: AccessEvent) => void): void => fc.assert(fc.property(anyAccessEvent, check), { numRuns: 300 });

describe('any access', () => {
  test('has exactly one requestor, and says of each agent whether it is one', () => {
    forAny((event) => {
      const { agent } = rendered(event).auditEvent;
      expect(agent.every(({ requestor }) => typeof requestor === 'boolean')).toBe(true);
      expect(agent.filter(({ requestor }) => requestor)).toHaveLength(1);
    });
  });

  test('shows no credential, neither in clear text nor in the query', () => {
    const parts = PLANTED_TOKEN.split('.');
    forAny((event) => {
      const { auditEvent, provenance } = rendered(event);
      const shown = [...texts(auditEvent), ...texts(provenance), decodedQuery(auditEvent)].join('\n');
      for (const part of parts) expect(shown).not.toContain(part);
      expect(shown).not.toMatch(/bearer\s|authorization:/i);
    });
  });

  test('renders the same twice, and from its canonical text', () => {
    forAny((event) => {
      const again = JSON.parse(canonicalText(event)) as AccessEvent;
      expect(JSON.stringify(rendered(again))).toBe(JSON.stringify(rendered(event)));
      expect(canonicalText(again)).toBe(canonicalText(event));
    });
  });

  test('leaves no element empty, and each string is one of R4', () => {
    forAny((event) => {
      const { auditEvent, provenance } = rendered(event);
      expect(emptyMembers([auditEvent, provenance])).toEqual([]);
      for (const text of texts([auditEvent, provenance])) expect(text).toMatch(/^[ \r\n\t\S]+$/);
    });
  });

  test('has a target, and every agent of its Provenance is somebody', () => {
    forAny((event) => {
      const { provenance } = rendered(event);
      expect(provenance.target.every(({ reference }) => reference !== undefined)).toBe(true);
      for (const { who } of provenance.agent) expect(who.reference ?? who.identifier?.value ?? who.display).toBeDefined();
    });
  });

  test('contains its outcome exactly when it failed, and refers to it', () => {
    forAny((event) => {
      const { auditEvent } = rendered(event);
      const references = auditEvent.entity?.filter((entity) => entity.what?.reference === '#outcome') ?? [];
      expect([auditEvent.contained?.length ?? 0, references.length]).toEqual(event.outcome === 0 ? [0, 0] : [1, 1]);
    });
  });
});

describe('AuditEvent', () => {
  test('gives the request as BALP does: line, chosen headers and, after an empty line, the form', () => {
    const event = accessEvent('search-type', { request: { method: 'POST', url: 'Media/_search', accept: '*/*', form: 'patient=1' } });
    expect(decodedQuery(rendered(event).auditEvent)).toBe('POST Media/_search\nAccept: */*\nX-Request-Id: req-42\n\npatient=1');
  });

  test('says how many equal refusals a counted row stands for', () => {
    const { auditEvent } = rendered(sampleEvents()['read-refusal-flood'] as AccessEvent);
    expect(auditEvent.outcomeDesc).toBe('Too many refused requests (37 equal refusals)');
    expect(auditEvent.entity?.at(-1)?.detail).toEqual([{ type: 'count', valueString: '37' }]);
  });

  test('names the client by client_id and the user by fhirUser beside issuer and subject', () => {
    const { agent } = rendered(accessEvent('read')).auditEvent;
    expect(agent[0]?.who?.identifier).toEqual({ value: 'ward-app' });
    expect(agent[2]?.who).toMatchObject({ reference: 'Practitioner/17', identifier: { system: 'https://login.example.org', value: 'a1b2' } });
  });

  test('knows a user of a type that R4 admits no reference to by subject alone', () => {
    const { agent } = rendered(accessEvent('read', { agent: { user: 'Person/3', subject: 's' } })).auditEvent;
    expect(agent.at(-1)?.who).toEqual({ identifier: { value: 's' } });
  });

  test('makes the address the requestor when nobody is known', () => {
    const { agent } = rendered(sampleEvents()['read-without-token'] as AccessEvent).auditEvent;
    expect(agent.filter(({ requestor }) => requestor)).toMatchObject([{ who: { display: '198.51.100.7' }, network: { address: '198.51.100.7', type: '2' } }]);
  });
});

describe('Provenance', () => {
  test('of a write has author, custodian, transmitter in both code systems, and assembler', () => {
    const { agent } = rendered(sampleEvents()['create-success'] as AccessEvent).provenance;
    const codes = agent.map(({ type }) => type?.coding?.map(({ code }) => code));
    expect(codes).toEqual([['author'], ['author'], ['custodian'], ['transmitter', 'transmitter'], ['assembler']]);
  });

  test('says for each practitioner and device on whose behalf (US Core provenance-1)', () => {
    for (const event of Object.values(sampleEvents())) {
      const acting = rendered(event).provenance.agent.filter(({ who }) => who.type === 'Device' || who.reference?.startsWith('Practitioner/'));
      for (const { onBehalfOf } of acting) expect(onBehalfOf?.display).toBe('riverside');
    }
  });

  test('of an update keeps the custodian that the document names, and the version before as revision', () => {
    const { agent, entity } = rendered(sampleEvents()['update-success'] as AccessEvent).provenance;
    expect(agent.find(({ type }) => type?.coding?.[0]?.code === 'custodian')?.who).toEqual({ reference: 'Organization/riverside' });
    expect(entity).toEqual([{ role: 'revision', what: { reference: 'DocumentReference/d1/_history/2' } }]);
  });

  test('of a failed write claims no write', () => {
    const write = { activity: 'CREATE' as const, targets: ['Media/1/_history/1'], sources: [], authors: [] };
    const { provenance } = rendered(accessEvent('create', { outcome: 8, status: 503, write }));
    expect(provenance.activity?.coding?.map(({ code }) => code)).toEqual(['access']);
  });
});
