// muniment mirror from the command line, over a server that mirrors to the real HAPI, whose base stands in TEST_HAPI_URL.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID, verify } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readVerifier } from '../../src/audit/checkpoint.ts';
import { runMirrorCommand } from '../../src/mirror-command.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: muniment mirror (TEST_HAPI_URL is not set)');

jest.setTimeout(60_000);

(HAPI === undefined ? describe.skip : describe)('muniment mirror', () => {
  const org = `c${randomBytes(6).toString('hex')}`;
  const theirs = `DocumentReference/${randomUUID()}`;
  let server: TestMuniment;

  const document = (reference: string): object => ({ resourceType: 'DocumentReference', id: reference.split('/')[1], status: 'current', content: [{ attachment: { contentType: 'text/plain', url: 'http://files.test/a' } }] });

  async function put(base: string, reference: string, body: object, headers: Record<string, string> = {}): Promise<number> {
    const response = await fetch(`${base}/${reference}`, { method: 'PUT', headers: { 'content-type': 'application/fhir+json', ...headers }, body: JSON.stringify(body) });
    await response.text();
    return response.status;
  }

  async function run(...flags: string[]): Promise<{ code: number; said: string }> {
    let said = '';
    const keep = (text: unknown): boolean => { said += String(text); return true; };
    const spies = [jest.spyOn(process.stdout, 'write').mockImplementation(keep), jest.spyOn(process.stderr, 'write').mockImplementation(() => true)];
    try {
      const code = await runMirrorCommand(flags, { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl, MIRROR_BASE_URL: HAPI ?? '', BASE_URL: server.fhirBase.replace(/\/fhir$/, ''), OPERATOR_ORG: org });
      return { code, said };
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  }

  const json = async (...flags: string[]): Promise<{ code: number; value: never }> => {
    const { code, said } = await run(...flags, '--json');
    return { code, value: JSON.parse(said) as never };
  };

  beforeAll(async () => {
    server = await startMuniment({ MIRROR_BASE_URL: HAPI ?? '', OPERATOR_ORG: org });
    const headers = { authorization: `Bearer ${await server.token({ org })}` };
    // Under this id another organisation has a document at HAPI.
    expect(await put(HAPI ?? '', theirs, { ...document(theirs), meta: { source: `urn:muniment:elsewhere/${theirs}/_history/1` } })).toBe(201);
    for (const reference of [theirs, `DocumentReference/${randomUUID()}`]) expect(await put(server.fhirBase, reference, document(reference), headers)).toBe(201);
    for (let waited = 0; waited < 20_000 && !(await run('status')).said.includes('"parked": 1'); waited += 200) await sleep(200);
  });
  afterAll(() => server.stop());

  it('says what is parked and why, with exit code 1, in status, list and show', async () => {
    expect(await json('status')).toMatchObject({ code: 1, value: { parked: 1, drift: 0, paused: [], lanes: [{ lane: 'clinical' }, { lane: 'derived' }], lastReconcile: null } });
    expect(await json('list')).toMatchObject({ code: 1, value: [{ org, reference: `${theirs}/_history/1`, reason: `HAPI holds ${theirs} from elsewhere: urn:muniment:elsewhere/${theirs}/_history/1` }] });
    expect(await json('show', theirs)).toMatchObject({ code: 0, value: { state: 'parked', pendingVersions: [1] } });
  });

  it('records what a person decides before it is done, with the reason', async () => {
    const decisions = async (): Promise<string[]> => (await server.sql<{ url: string; entity: string }>(`select e.body::json #>> '{request,url}' as url, e.body::json #>> '{entities,0,reference}' as entity from access_event e where e.body like '%$mirror-%' order by e.id`)).map(({ url, entity }) => `${url} ${entity}`);
    expect(await json('replay', theirs)).toEqual({ code: 0, value: { replayed: 1 } });
    for (let waited = 0; waited < 10_000 && (await run('list')).code === 0; waited += 100) await sleep(100);
    expect(await json('skip', theirs, '--reason', 'the other house keeps it')).toEqual({ code: 0, value: { skipped: `${theirs}/_history/1` } });
    expect(await decisions()).toEqual([`$mirror-replay ${theirs}/_history/1`, `$mirror-skip?reason=the+other+house+keeps+it ${theirs}/_history/1`]);
    expect(await run('skip', theirs, '--reason', 'again')).toMatchObject({ code: 1, said: 'Nothing of it is parked\n' });
    expect(await decisions()).toHaveLength(2);
  });

  it('compares, tells the difference that was given up, and never writes over another organisation', async () => {
    const first = await json('reconcile', '--ours', '--repair') as { code: number; value: { verdict: string; drift: object[]; signature: string } };
    expect(first).toMatchObject({ code: 1, value: { verdict: 'drift', drift: [{ reference: theirs, kind: 'different' }], signature: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/) } });
    const held = await (await fetch(`${HAPI}/${theirs}`, { headers: { 'cache-control': 'no-cache' } })).json() as { meta: { source: string } };
    expect(held.meta.source).toBe(`urn:muniment:elsewhere/${theirs}/_history/1`);
    expect(await json('status')).toMatchObject({ code: 1, value: { drift: 1, lastReconcile: { org, differences: 1 } } });
    expect((await run('reconcile', '--ours')).said).toMatch(new RegExp(`^# Comparison of the mirror of ${org}[\\s\\S]*\\| ${theirs} \\| different \\|`));
  });

  it('writes the report for people as well, and signs it with the key of the log', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'muniment-report-'));
    try {
      const file = join(folder, 'report.html');
      const { value } = await json('reconcile', '--ours', '--html', file) as { value: { signature: string } };
      const [log] = await server.sql<{ verifier: string }>('select verifier from log_key order by ordinal desc limit 1');
      const verifier = readVerifier(log?.verifier ?? '');
      const [header, payload, signature] = value.signature.split('.') as [string, string, string];
      expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({ alg: 'EdDSA', verifier: log?.verifier });
      expect(verify(null, Buffer.from(`${header}.${payload}`), verifier!.publicKey, Buffer.from(signature, 'base64url'))).toBe(true);
      expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ verdict: 'drift', org });
      const page = await readFile(file, 'utf8');
      for (const part of [`<th scope="row">${theirs}</th>`, '<strong>drift</strong>', value.signature, log!.verifier]) expect(page).toContain(part);
      expect(page).not.toContain('<script');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('fills what is lacking, and leaves the rest alone', async () => {
    expect(await json('backfill')).toMatchObject({ code: 0, value: { total: 4, sent: expect.any(Number), refused: [] } });
  });

  it('is used wrongly with exit code 2', async () => {
    for (const flags of [[], ['compare'], ['show'], ['show', 'no reference'], ['skip', theirs], ['reconcile', '--rate', 'fast'], ['reconcile', '--everything']]) expect((await run(...flags)).code).toBe(2);
    expect(await run('--help')).toMatchObject({ code: 0, said: expect.stringContaining('reconcile [--repair]') });
  });
});
