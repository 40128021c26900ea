import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { openBrowser, register, discover, signIn } from '../support/smart-app.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const APP = 'http://localhost:9/app/launch.html?theme=dark';

function launch(dataDir: string, flags: readonly string[], more: Record<string, string> = {}): { code: number | null; out: string; problem: string } {
  const { NODE_OPTIONS: _options, PORT: _port, BASE_URL: _base, ...outer } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', join(ROOT, 'src', 'main.ts'), 'launch', ...flags], { cwd: ROOT, encoding: 'utf8', env: { ...outer, DATA_DIR: dataDir, ...more } });
  return { code: status, out: stdout, problem: stderr };
}

describe('muniment launch', () => {
  let dataDir: string;
  beforeAll(async () => { dataDir = await mkdtemp(join(tmpdir(), 'muniment-launch-')); });
  afterAll(async () => { await rm(dataDir, { recursive: true, force: true }); });

  it('prints the address that opens the app, or the value alone', () => {
    const { code, out } = launch(dataDir, ['--app', APP, '--patient', 'p1']);
    expect(code).toBe(0);
    expect(out).toMatch(/^http:\/\/localhost:9\/app\/launch\.html\?theme=dark&iss=http%3A%2F%2Flocalhost%3A3000%2Ffhir&launch=[\w-]{32}\n$/);
    expect(launch(dataDir, ['--patient', 'p1', '--value'], { PORT: '3456' }).out).toMatch(/^[\w-]{32}\n$/);
    expect(JSON.parse(launch(dataDir, ['--app', APP, '--patient', 'p1', '--json'], { PORT: '3456' }).out)).toMatchObject({ iss: 'http://localhost:3456/fhir' });
  });

  it('ends with 2 when used wrongly and in production', () => {
    for (const flags of [[], ['--app', APP], ['--app', 'javascript:alert(1)', '--patient', 'p1'], ['--app', APP, '--patient', '../x'], ['--app', APP, '--patient', 'p1', '--user', 'demo'], ['--what']]) {
      const { code, problem } = launch(dataDir, flags);
      expect({ flags, code, unexpected: code === 2 ? '' : problem }).toEqual({ flags, code: 2, unexpected: '' });
    }
    const { code, out, problem } = launch(dataDir, ['--app', APP, '--patient', 'p1'], { NODE_ENV: 'production' });
    expect([code, out]).toEqual([2, '']);
    expect(problem).toContain('production');
  });
});

describe('an app that is launched from the record', () => {
  let muniment: TestMuniment;
  beforeAll(async () => { muniment = await startMuniment(); }, 120_000);
  afterAll(async () => { await muniment.stop(); });

  const valueOf = (...flags: string[]): string => launch(muniment.dataDir, [...flags, '--value']).out.trim();
  const journey = async (value: string, more: object = {}): ReturnType<typeof signIn> => {
    const { client_id: clientId = '' } = await register(await discover(muniment.fhirBase));
    return signIn({ fhirBase: muniment.fhirBase, clientId, scope: 'launch openid fhirUser patient/*.rs', more: { launch: value }, ...more });
  };

  it('gets the patient and the encounter that are open, without asking for them', async () => {
    const { out } = launch(muniment.dataDir, ['--app', APP, '--patient', 'p7', '--encounter', 'e7']);
    const address = new URL(out.trim());
    expect(address.searchParams.get('iss')).toBe(muniment.fhirBase);
    const browser = openBrowser();
    const { body } = await journey(address.searchParams.get('launch') ?? '', { browser, answers: { username: 'nurse' } });
    expect(body).toMatchObject({ patient: 'p7', encounter: 'e7', need_patient_banner: true, scope: 'launch openid fhirUser patient/*.rs' });
    expect(decodeJwt(body.access_token)).toMatchObject({ patient: 'p7', encounter: 'e7', fhirUser: 'Practitioner/demo-nurse' });
    expect(browser.pages.map((page) => /<h1>([^<]*)/.exec(page)?.[1])).toEqual(['Sign in', 'Allow Growth chart?']);
  });

  it('takes over who works at the record: a demo person, or somebody else as a practitioner', async () => {
    const browser = openBrowser();
    const nurse = await journey(valueOf('--patient', 'p1', '--user', 'Practitioner/demo-nurse'), { browser });
    expect(decodeJwt(nurse.body.access_token)).toMatchObject({ sub: 'nurse', role: ['nurse'] });
    const other = await journey(valueOf('--patient', 'p1', '--user', 'Practitioner/77', '--org', 'harbour'), { browser });
    expect(decodeJwt(other.body.access_token)).toMatchObject({ fhirUser: 'Practitioner/77', role: ['practitioner'], org: 'harbour' });
    expect(decodeJwt(other.body.id_token)).toMatchObject({ fhirUser: `${muniment.fhirBase}/Practitioner/77` });
    expect(browser.pages.map((page) => /<h1>([^<]*)/.exec(page)?.[1])).toEqual(['Allow Growth chart?', 'Allow Growth chart?']);
  });

  it('lets nobody of another organisation in', async () => {
    await expect(journey(valueOf('--patient', 'p1'), { answers: { username: 'harbour-nurse' } })).rejects.toThrow('another organisation');
  });

  it('gets no patient when it does not ask for the launch', async () => {
    const { body } = await journey(valueOf('--patient', 'p1'), { scope: 'user/*.rs' });
    expect(body.patient).toBeUndefined();
    expect(decodeJwt(body.access_token)['patient']).toBeUndefined();
  });
});
