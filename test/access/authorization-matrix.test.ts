// Interaction × scope form × role × launch context × resource, each decided twice: by the server's own rooms, and by an
// oracle written from SMART's text alone.
import { describe, expect, it } from '@jest/globals';
import { authorize } from '../../src/access/authorize.ts';
import { principalOf } from '../../src/access/claims.ts';
import type { JsonObject } from '../../src/fhir/json.ts';
import { judgeResource } from '../../src/search/judge-resource.ts';
import { ORACLE_LETTERS, oracleVerdict, type OracleInteraction, type OracleResource, type OracleToken, type OracleVerdict } from './authorization-oracle.ts';
import { CATEGORY_SYSTEM, CONTEXTS, ROLE_SETS, SCOPE_FORMS } from './matrix-tokens.ts';

const BASE = 'https://muniment.example/fhir';
const INTERACTIONS = Object.keys(ORACLE_LETTERS) as OracleInteraction[];

interface Sample { resource: JsonObject; oracle: OracleResource }

function document(patient: string | undefined, categories: string[], { author, status = 'current' }: { author?: string; status?: string } = {}): Sample {
  const coded = categories.map((code) => [CATEGORY_SYSTEM, code] as const);
  return {
    resource: {
      resourceType: 'DocumentReference', id: 'd', status, category: coded.map(([system, code]) => ({ coding: [{ system, code }] })), content: [{ attachment: { title: 't' } }],
      ...(patient === undefined ? {} : { subject: { reference: `Patient/${patient}` } }), ...(author === undefined ? {} : { author: [{ reference: author }] }),
    },
    oracle: {
      type: 'DocumentReference', subject: patient, codes: { category: coded, status: [['http://hl7.org/fhir/document-reference-status', status]] },
      patients: [...(patient === undefined ? [] : [patient]), ...(author?.startsWith('Patient/') === true ? [author.slice(8)] : [])],
    },
  };
}

const SAMPLES: Sample[] = [
  document('p1', ['lab']), document('p2', ['lab']), document('p1', ['imaging']), document('p1', ['insurance']), document('p1', ['insurance', 'lab']), document('p2', [], { status: 'superseded' }),
  document(undefined, ['lab']), document('p2', ['lab'], { author: 'Patient/p1' }),
  {
    resource: { resourceType: 'Media', id: 'm', status: 'completed', subject: { reference: 'Patient/p1' }, content: { title: 't' } },
    oracle: { type: 'Media', subject: 'p1', patients: ['p1'], codes: { status: [['http://hl7.org/fhir/event-status', 'completed']] } },
  },
  {
    resource: { resourceType: 'List', id: 'l', status: 'current', mode: 'working', subject: { reference: 'Patient/p2' } },
    oracle: { type: 'List', subject: 'p2', patients: ['p2'], codes: { status: [['http://hl7.org/fhir/list-status', 'current']] } },
  },
];

function decided(token: OracleToken, interaction: OracleInteraction, type: string, sample?: Sample): OracleVerdict {
  const principal = principalOf({ iss: 'https://issuer.example', sub: 'ann', exp: 0, org: 'demo', scope: token.scope, role: [...token.roles], fhirUser: token.fhirUser, ...(token.patient === undefined ? {} : { patient: token.patient }) }, {});
  const decision = authorize(principal, { interaction, type });
  if (!decision.permit) return decision.code === 'insufficient_scope' ? 'scope' : 'role';
  if (sample === undefined) return 'permit';
  const verdict = judgeResource(decision.restriction, type, sample.resource, BASE);
  return verdict === 'permitted' ? 'permit' : verdict === 'hidden' ? 'hidden' : 'outside';
}

const TOKENS: OracleToken[] = SCOPE_FORMS.flatMap((scope) => ROLE_SETS.flatMap((roles) => CONTEXTS.map((context) => ({ scope, roles, ...context }))));

describe('the authorization matrix', () => {
  const counts: Record<OracleVerdict, number> = { permit: 0, scope: 0, role: 0, hidden: 0, outside: 0 };
  const differing: string[] = [];

  function compare(token: OracleToken, interaction: OracleInteraction, type: string, sample?: Sample): void {
    const expected = oracleVerdict(token, interaction, type, sample?.oracle);
    const found = decided(token, interaction, type, sample);
    counts[expected] += 1;
    if (found !== expected) differing.push(`${interaction} ${type} ${JSON.stringify(token)} ${JSON.stringify(sample?.oracle ?? null)}: ${found}, not ${expected}`);
  }

  it.each(INTERACTIONS)('%s is decided as the oracle decides, for every token and resource', (interaction) => {
    differing.length = 0;
    for (const token of TOKENS) {
      for (const type of ['AuditEvent', 'Provenance']) if (['r', 's'].includes(ORACLE_LETTERS[interaction])) compare(token, interaction, type);
      for (const sample of SAMPLES) compare(token, interaction, sample.oracle.type, sample);
    }
    expect(differing.slice(0, 20)).toEqual([]);
  });

  it('has decided more than 20,000 times, and each reason for a refusal occurred', () => {
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(20_000);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(500);
  });
});
