// `muniment policy explain` against a real database: what it prints, and its exit codes.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { runPolicyCommand } from '../../src/policy-command.ts';
import { documentReference, fhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;

beforeAll(async () => {
  server = await startMuniment();
  const nurse = fhirClient(server.fhirBase, await server.token({ roles: ['nurse'], user: 'Practitioner/nora' }));
  expect((await nurse.post('DocumentReference', documentReference())).status).toBe(201);
  await server.sql(`with org as (insert into organisation (name) values ('north') returning id), version as (insert into policy_version (org, version, changed_at, changed_by, reason) select id, 1, now(), 'test', 'test' from org returning org)
    insert into policy_rule (org, version, role, category, action, effect) select org, 1, 'nurse', c.category, 'read', c.effect from version, (values ('*', 'permit'), ('photo', 'deny')) as c (category, effect)`);
});
afterAll(() => server.stop());

async function told(...flags: string[]): Promise<{ code: number; out: string; error: string }> {
  const written = { out: '', error: '' };
  const out = jest.spyOn(process.stdout, 'write').mockImplementation((text) => { written.out += String(text); return true; });
  const error = jest.spyOn(process.stderr, 'write').mockImplementation((text) => { written.error += String(text); return true; });
  try {
    const code = await runPolicyCommand(flags, { DATABASE_URL: server.ownerUrl, DATA_DIR: server.dataDir });
    return { code, ...written };
  } finally {
    out.mockRestore();
    error.mockRestore();
  }
}

describe('policy explain', () => {
  it('says yes with 0, no with 1, and names the rule that decides in the organisation that is asked for', async () => {
    expect(await told('explain', '--as', 'nurse', '--can', 'read', '--category', 'photo')).toMatchObject({ code: 0, out: expect.stringContaining('read by nurse at demo: permitted\n  nurse is permitted read on documents of every category\n  policy: as shipped') });
    expect(await told('explain', '--as', 'nurse', '--can', 'read', '--category', 'photo', '--org', 'north')).toMatchObject({ code: 1, out: expect.stringContaining('at north: not permitted\n  nurse is denied read on documents of photo; a deny wins over every permit\n  policy: version 1') });
    expect(await told('explain', '--as', 'nurse', '--can', 'read', '--org', 'north')).toMatchObject({ code: 0, out: expect.stringMatching(/permitted in part[^]*no {3}photo/) });
  });

  it('knows the roles with which a user came last', async () => {
    const { code, out } = await told('explain', '--as', 'Practitioner/nora', '--can', 'delete', '--json');
    expect([code, JSON.parse(out)]).toEqual([1, expect.objectContaining({ permitted: 'no', organisation: 'demo', user: 'Practitioner/nora', roles: ['nurse'], rolesSeen: expect.stringMatching(/^\d{4}-/), policyVersion: 0 })]);
    expect(await told('explain', '--as', 'Practitioner/nobody', '--can', 'read')).toMatchObject({ code: 2, error: expect.stringContaining('no access of Practitioner/nobody') });
  });

  it('holds scopes against it as well', async () => {
    expect(await told('explain', '--as', 'nurse', '--can', 'write', '--scope', 'user/*.rs')).toMatchObject({ code: 1, out: expect.stringContaining('No scope grants c on DocumentReference') });
  });

  it.each([
    ['without a verb', ['--as', 'nurse', '--can', 'read']], ['without who', ['explain', '--can', 'read']], ['with an action that is none', ['explain', '--as', 'nurse', '--can', 'fly']],
    ['with a category that is none', ['explain', '--as', 'nurse', '--can', 'read', '--category', 'x']], ['with an unknown flag', ['explain', '--as', 'nurse', '--can', 'read', '--loud']],
    ['of an organisation that is not there', ['explain', '--as', 'nurse', '--can', 'read', '--org', 'nowhere']],
  ])('%s is used wrongly: 2, and nothing on standard output', async (_title, flags) => {
    expect(await told(...flags)).toMatchObject({ code: 2, out: '' });
  });
});
