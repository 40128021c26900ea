// What an access left for the record: its AuditEvent, found by the request's id, and its Provenance, found by its target.
import type { AuditEvent, Bundle, Provenance } from '@medplum/fhirtypes';
import type { Checks } from './checks.ts';
import { jsonOf, type Answer } from './exchange.ts';
import type { Muniment } from './open-muniment.ts';
import { unversioned } from './paper.ts';

export type Interaction = 'create' | 'read' | 'vread' | 'search-type' | 'update' | 'delete' | 'history-instance';

export interface ExpectedRecord {
  interaction: Interaction;
  status: number;
  /** Versions that the access touched; a refusal touches none. */
  touched: readonly string[];
  /** A write names what it did; all else is a use. */
  activity: 'CREATE' | 'UPDATE' | 'DELETE' | 'READ' | 'ACCESS';
}

export interface FoundRecord {
  audit: AuditEvent;
  provenance: Provenance;
}

const ACTIONS: Record<Interaction, string> = {
  'create': 'C', 'read': 'R', 'vread': 'R', 'history-instance': 'R', 'search-type': 'E', 'update': 'U', 'delete': 'D',
};

async function find<Resource extends AuditEvent | Provenance>(muniment: Muniment, checks: Checks, path: string): Promise<Resource[]> {
  const answer = await muniment.ask({ method: 'GET', path });
  checks.equal(`GET ${path}: status`, answer.status, 200);
  return jsonOf<Bundle<Resource>>(answer)?.entry?.flatMap(({ resource }) => (resource === undefined ? [] : [resource])) ?? [];
}

function referencesOf(parts: readonly { reference?: string }[]): string[] {
  return parts.flatMap(({ reference }) => (reference === undefined ? [] : [reference]));
}

/** Everything that the record holds of `reference`, the newest first. */
export function findAccesses(muniment: Muniment, checks: Checks, reference: string): Promise<AuditEvent[]> {
  return find<AuditEvent>(muniment, checks, `AuditEvent?entity=${reference}&_count=200`);
}

/** Fetches both views of the access and checks who, what and how it ended. */
export async function checkRecord(muniment: Muniment, checks: Checks, answer: Answer, expected: ExpectedRecord): Promise<FoundRecord> {
  const audits = await find<AuditEvent>(muniment, checks, `AuditEvent?request-id=${answer.requestId}`);
  checks.equal(`AuditEvents of request ${answer.requestId}`, audits.length, 1);
  const audit = audits[0] as AuditEvent;
  checkAudit(muniment, checks, audit, answer.requestId, expected);
  const target = expected.touched[0] === undefined ? `AuditEvent/${audit.id}` : unversioned(expected.touched[0]);
  const provenances = await find<Provenance>(muniment, checks, `Provenance?target=${target}&_count=200`);
  checks.includes(`Provenance of ${target}`, provenances.map(({ id }) => id), [audit.id]);
  const provenance = provenances.find(({ id }) => id === audit.id) as Provenance;
  checkProvenance(muniment, checks, provenance, expected.touched.length === 0 ? [target] : expected.touched, expected);
  return { audit, provenance };
}

function checkAudit({ identity }: Muniment, checks: Checks, audit: AuditEvent, requestId: string, expected: ExpectedRecord): void {
  const name = `AuditEvent/${audit.id}`;
  const entities = audit.entity ?? [];
  checks.equal(`${name}: subtype`, audit.subtype?.map(({ code }) => code), [expected.interaction]);
  checks.equal(`${name}: action`, audit.action, ACTIONS[expected.interaction]);
  checks.equal(`${name}: outcome`, audit.outcome, expected.status < 400 ? '0' : expected.status < 500 ? '4' : '8');
  checks.includes(`${name}: entities`, referencesOf(entities.flatMap(({ what }) => (what === undefined ? [] : [what]))), expected.touched);
  checks.includes(`${name}: request's id`, entities.map(({ what }) => what?.identifier?.value), [requestId]);
  const requestors = audit.agent.filter(({ requestor }) => requestor);
  checks.equal(`${name}: requestor`, requestors.map(({ who }) => who?.reference ?? who?.identifier?.value), [identity.user]);
  checks.includes(`${name}: client`, audit.agent.map(({ who }) => who?.identifier?.value), [identity.client]);
}

function checkProvenance({ identity }: Muniment, checks: Checks, provenance: Provenance, targets: readonly string[], expected: ExpectedRecord): void {
  const name = `Provenance/${provenance.id}`;
  checks.includes(`${name}: targets`, referencesOf(provenance.target), targets);
  checks.includes(`${name}: activity`, provenance.activity?.coding?.map(({ code }) => code?.toUpperCase()) ?? [], [expected.activity]);
  checks.includes(`${name}: agents`, provenance.agent.map(({ who }) => who.reference ?? who.identifier?.value), [identity.user]);
}
