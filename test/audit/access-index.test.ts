import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { indexAccess } from '../../src/audit/access-index.ts';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { renderAuditEvent } from '../../src/audit/render-audit-event.ts';
import { renderProvenance } from '../../src/audit/render-provenance.ts';
import { anyAccessEvent } from './arbitrary-event.ts';
import { accessEvent } from './sample-events.ts';

const of = (event: AccessEvent, ...roles: number[]): string[] => indexAccess(event).entities.filter(({ role }) => roles.includes(role)).map(({ reference }) => reference);
const touched = (event: AccessEvent): string[] => of(event, 1, 2);
const keyOf = (reference: string): string => (reference.split('/_history/')[0] ?? '').replace(/^https?:/, '');

describe('the index of an access', () => {
  test('holds the agent as user, subject and client', () => {
    expect(indexAccess(accessEvent('read'))).toEqual({ agentUser: 'Practitioner/17', agentSubject: 'a1b2', agentClient: 'ward-app', entities: [] });
    expect(indexAccess(accessEvent('read', { agent: {} }))).toEqual({ entities: [] });
  });

  test('holds each patient and each resource once, without version', () => {
    const entities = ['Media/1/_history/1', 'Media/1/_history/2', 'Media/1/_history/1'].map((reference) => ({ reference, role: 'data' as const }));
    const patients = ['Patient/1', 'Patient/1'].map((reference) => ({ reference, role: 'patient' as const }));
    const write = { activity: 'CREATE' as const, targets: ['Binary/2/_history/1'], sources: [], authors: [] };
    expect(indexAccess(accessEvent('create', { entities: [...entities, ...patients], write })).entities).toEqual([
      { reference: 'Patient/1', role: 1 }, { reference: 'Media/1', role: 2 }, { reference: 'Binary/2', role: 2 },
    ]);
  });

  test('finds nothing that the AuditEvent does not show, and all that it shows', () => {
    fc.assert(fc.property(anyAccessEvent, (event) => {
      const shown = (renderAuditEvent(event).entity ?? []).flatMap(({ what }) => (what !== undefined && 'reference' in what ? [what.reference] : []));
      const references = new Set(shown.filter((reference) => reference !== '#outcome').map((reference) => reference.split('/_history/')[0]));
      expect(new Set(touched(event))).toEqual(references);
    }));
  });

  test('finds by the agents and entities of the Provenance of a write, all that it shows and no more', () => {
    fc.assert(fc.property(anyAccessEvent, (event) => {
      const { agent, entity = [] } = renderProvenance(event);
      const user = indexAccess(event).agentUser;
      const agents = agent.flatMap(({ who }) => (who.reference === undefined || keyOf(who.reference) === user ? [] : [keyOf(who.reference)]));
      expect(new Set(of(event, 3).filter((reference) => reference !== user))).toEqual(new Set(agents));
      expect(new Set(of(event, 4))).toEqual(new Set(entity.map(({ what }) => keyOf(what.reference))));
    }));
  });

  test('holds a subject and a client as they are shown', () => {
    expect(indexAccess(accessEvent('read', { agent: { subject: 'a\u0000b', client: ' \u00a0' } }))).toEqual({ agentSubject: 'a\ufffdb', entities: [] });
  });
});
