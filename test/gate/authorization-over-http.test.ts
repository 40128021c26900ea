// The authorization matrix from outside: more than 2,000 requests, each answered as the oracle says it must be.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ORACLE_LETTERS, oracleVerdict, type OracleInteraction, type OracleResource, type OracleToken, type OracleVerdict } from '../access/authorization-oracle.ts';
import { CATEGORY_SYSTEM, CONTEXTS, ROLE_SETS, SCOPE_FORMS } from '../access/matrix-tokens.ts';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

interface Held {
  type: string;
  id: string;
  /** As it was sent, and as it is held, with the URLs of its Binaries. */
  body: Record<string, unknown>;
  linked: Record<string, unknown>;
  oracle: OracleResource;
}

let server: TestMuniment;
const held: Held[] = [];

const codedDocument = (patient: string, ...categories: string[]): Record<string, unknown> =>
  documentReference({ subject: { reference: `Patient/${patient}` }, category: categories.map((code) => ({ coding: [{ system: CATEGORY_SYSTEM, code }] })) });

const BODIES: { body: Record<string, unknown>; oracle: OracleResource }[] = [
  ...([['p1', 'lab'], ['p1', 'imaging'], ['p1', 'insurance'], ['p1', 'insurance', 'lab'], ['p2', 'lab']] as const).map(([patient, ...categories]) => ({
    body: codedDocument(patient, ...categories),
    oracle: { type: 'DocumentReference', subject: patient, patients: [patient], codes: { category: categories.map((code) => [CATEGORY_SYSTEM, code] as const), status: [['http://hl7.org/fhir/document-reference-status', 'current'] as const] } },
  })),
  { body: media({ subject: { reference: 'Patient/p1' } }), oracle: { type: 'Media', subject: 'p1', patients: ['p1'], codes: { status: [['http://hl7.org/fhir/event-status', 'completed']] } } },
  { body: { resourceType: 'List', status: 'current', mode: 'working', subject: { reference: 'Patient/p2' } }, oracle: { type: 'List', subject: 'p2', patients: ['p2'], codes: { status: [['http://hl7.org/fhir/list-status', 'current']] } } },
];

beforeAll(async () => {
  server = await startMuniment();
  const admin = fhirClient(server.fhirBase, await server.token());
  for (const { body, oracle } of BODIES) {
    const { status, json } = await admin.post(oracle.type, body);
    expect(status).toBe(201);
    held.push({ type: oracle.type, id: json.id, body: { ...body, id: json.id }, linked: json, oracle });
  }
});
afterAll(() => server.stop());

const STALE = { 'if-match': 'W/"99"' };
const PATCH = JSON.stringify([{ op: 'add', path: '/language', value: 'en' }]);
const shown = ({ json }: Answer): string[] => (json?.entry ?? []).map(({ resource }: { resource?: { id: string } }) => resource?.id);

/** Each way to one resource, in the shape that changes nothing even where it is permitted, but for create. */
const WAYS: Record<OracleInteraction, (client: FhirClient, held: Held) => Promise<Answer>> = {
  'read': (client, { type, id }) => client.get(`${type}/${id}`),
  'vread': (client, { type, id }) => client.get(`${type}/${id}/_history/1`),
  'history-instance': (client, { type, id }) => client.get(`${type}/${id}/_history`),
  'update': (client, { type, id, body }) => client.put(`${type}/${id}`, body, STALE),
  'patch': (client, { type, id }) => client.call(`${type}/${id}`, { method: 'PATCH', body: PATCH, headers: { ...STALE, 'content-type': 'application/json-patch+json' } }),
  'delete': (client, { type, id }) => client.delete(`${type}/${id}`, STALE),
  'search-type': (client, { type, id }) => client.get(`${type}?_id=${id}`),
  'history-type': (client, { type }) => client.get(`${type}/_history?_count=1000`),
  'create': (client, { type, oracle }) => client.post(type, BODIES.find((one) => one.oracle === oracle)?.body),
};

const PERMITTED: Record<OracleInteraction, number> = { 'read': 200, 'vread': 200, 'history-instance': 200, 'update': 412, 'patch': 412, 'delete': 412, 'search-type': 200, 'history-type': 200, 'create': 201 };

interface Expected { status: number; challenge?: boolean; found?: boolean }

function expected(interaction: OracleInteraction, verdict: OracleVerdict): Expected {
  if (verdict === 'scope' || verdict === 'role') return { status: 403, challenge: verdict === 'scope' };
  if (ORACLE_LETTERS[interaction] === 's') return { status: 200, found: verdict === 'permit' };
  if (verdict === 'permit') return { status: PERMITTED[interaction] };
  return { status: verdict === 'hidden' && interaction !== 'create' ? 404 : 403 };
}

/** Every form of scope, with roles and contexts that go round. */
const TOKENS: OracleToken[] = SCOPE_FORMS.map((scope, at) => {
  const context = CONTEXTS[(at * 3 + 1) % CONTEXTS.length] as (typeof CONTEXTS)[number];
  const roles = at % 2 === 0 ? ['admin'] : ROLE_SETS[(at * 5) % ROLE_SETS.length] as readonly string[];
  return { scope, roles, ...context };
});

describe('the authorization matrix over HTTP', () => {
  it('answers more than 2,000 requests as the oracle says, 403 with insufficient_scope where a wider scope would help', async () => {
    const differing: string[] = [];
    let requests = 0;
    for (const token of TOKENS) {
      const { scope, roles, patient, fhirUser } = token;
      const client = fhirClient(server.fhirBase, await server.token({ scope, roles: [...roles], user: fhirUser, ...(patient === undefined ? {} : { patient }) }));
      for (const one of held) {
        const asked = await Promise.all((Object.keys(WAYS) as OracleInteraction[]).map(async (interaction) => ({ interaction, answer: await WAYS[interaction](client, one) })));
        for (const { interaction, answer } of asked) {
          requests += 1;
          const verdict = oracleVerdict(token, interaction, one.type, one.oracle);
          const wanted = expected(interaction, verdict);
          const found = {
            status: answer.status,
            ...(wanted.challenge === undefined ? {} : { challenge: answer.headers.get('www-authenticate')?.includes('insufficient_scope') === true }),
            ...(wanted.found === undefined ? {} : { found: shown(answer).includes(one.id) }),
          };
          if (JSON.stringify(found) !== JSON.stringify(wanted)) differing.push(`${interaction} ${one.type} ${JSON.stringify(one.oracle)} by ${JSON.stringify(token)}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)} (${verdict})`);
        }
      }
    }
    expect(differing.slice(0, 20)).toEqual([]);
    expect(requests).toBeGreaterThan(2_000);
  });

  it('tells who may not have a document that it is hidden, before it tells the faults of what is sent', async () => {
    const [first] = held as [Held];
    const ofP2 = fhirClient(server.fhirBase, await server.token({ scope: 'patient/*.cruds', patient: 'p2' }));
    expect((await ofP2.put(`DocumentReference/${first.id}`, first.linked)).status).toBe(404);
    expect((await ofP2.put(`DocumentReference/${first.id}`, { ...first.body, status: 'wrong' })).status).toBe(404);
  });
});
