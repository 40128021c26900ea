// The demo as a newcomer runs it, in a process of its own, against a whole server.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

interface DemoRun {
  code: number;
  out: string;
  problems: string;
}

async function runDemo(variables: Record<string, string>): Promise<DemoRun> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/demo/demo.ts', '--small'], {
    env: { ...process.env, NODE_OPTIONS: '', MUNIMENT_TOKEN: '', MIRROR_BASE_URL: '', ...variables }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, problems, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number]>]);
  return { code, out, problems };
}

const HAPI = process.env['TEST_HAPI_URL'];
const withHapi = HAPI === undefined ? it.skip : it;
const TIMEOUT_MS = 180_000;

describe('the demo', () => {
  let server: TestMuniment;
  beforeAll(async () => { server = await startMuniment(); });
  afterAll(() => server.stop());

  it('checks every step, says so in its last line and ends with 0', async () => {
    const run = await runDemo({ MUNIMENT_BASE: server.fhirBase, DATA_DIR: server.dataDir });
    expect(run).toMatchObject({ code: 0, problems: '' });
    expect(run.out).toMatch(/mirror off/);
    expect(run.out).toMatch(/\n14 steps, \d{3} checks, all good, .+\n$/);
    expect(run.out).not.toContain('\u001b');
  }, TIMEOUT_MS);

  it('takes a token that is given', async () => {
    const token = await server.token({ user: 'Practitioner/somebody', client: 'another-client' });
    const run = await runDemo({ MUNIMENT_BASE: server.fhirBase, DATA_DIR: '/nowhere', MUNIMENT_TOKEN: token });
    expect(run).toMatchObject({ code: 0, problems: '' });
    expect(run.out).toContain('Practitioner/somebody');
  }, TIMEOUT_MS);

  it('ends with 2 and one line when the token is refused, or there is no key to sign one', async () => {
    const refused = await runDemo({ MUNIMENT_BASE: server.fhirBase, MUNIMENT_TOKEN: `${await server.token()}x` });
    expect(refused).toMatchObject({ code: 2, out: '', problems: expect.stringMatching(/^.+ refused the token \(401.+\n$/) });
    const unsigned = await runDemo({ MUNIMENT_BASE: server.fhirBase, DATA_DIR: '/nowhere' });
    expect(unsigned).toMatchObject({ code: 2, out: '', problems: expect.stringMatching(/^No development key in .+\n$/) });
  }, TIMEOUT_MS);
});

describe('the demo beside a mirror', () => {
  withHapi('waits for the copy of each write and compares it, and reads its patient through', async () => {
    const server = await startMuniment({ MIRROR_BASE_URL: HAPI ?? '' });
    try {
      const run = await runDemo({ MUNIMENT_BASE: server.fhirBase, DATA_DIR: server.dataDir, MIRROR_BASE_URL: HAPI ?? '' });
      expect(run).toMatchObject({ code: 0, problems: '' });
      expect(run.out.match(/^ +HAPI +.+, and its Provenance, after .+$/gm)?.length).toBeGreaterThan(10);
      expect(run.out).toMatch(/Patient: a placeholder is nobody +404 .*\n(.+\n)+ +GET +Patient +200 .+Dora Demo\n/);
      expect(run.out).toMatch(/found, their patient included once\n/);
      expect(run.out).toMatch(/\n15 steps, \d{3} checks, all good, .+\n$/);
    } finally { await server.stop(); }
  }, TIMEOUT_MS);
});

describe('the demo where something is wrong', () => {
  it('ends with 2 and one line when no server answers', async () => {
    const run = await runDemo({ MUNIMENT_BASE: `http://localhost:${await freePort()}/fhir` });
    expect(run).toMatchObject({ code: 2, out: '', problems: expect.stringMatching(/^No server answers at .+\n$/) });
  }, TIMEOUT_MS);

  it('ends with 1 and says where when the bytes of the video are not those that were kept', async () => {
    const server = await startMuniment();
    try {
      // One bit of a chunk's digest: to the server that is the same as one bit of the chunk.
      await server.sql(`create function spoil() returns trigger language plpgsql as $$ begin
        if new.state = 'live' and new.size > 10000000 then new.chunk_digests := set_bit(new.chunk_digests, 3 * 256, 1 - get_bit(new.chunk_digests, 3 * 256)); end if;
        return new; end $$`);
      await server.sql('create trigger spoil before update on content for each row execute function spoil()');
      const run = await runDemo({ MUNIMENT_BASE: server.fhirBase, DATA_DIR: server.dataDir });
      expect(run.code).toBe(1);
      expect(run.out).toMatch(/Read whole.*\n(.+\n)+\nFailed {3}GET Binary\/.+\n\d+ checks until then\n$/);
    } finally { await server.stop(); }
  }, TIMEOUT_MS);
});
