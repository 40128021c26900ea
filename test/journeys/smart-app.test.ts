// A SMART app in a real browser: the public library fhirclient over Chromium, driven by keyboard.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { registerLaunch } from '../../src/embedded/launch-context.ts';
import { fhirclientScript, findChromium } from '../support/chromium.ts';
import { fhirClient } from '../support/fhir-client.ts';
import { discover, makeProof, register } from '../support/smart-app.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const executablePath = findChromium();
const whereChromiumIs = executablePath === undefined ? describe.skip : describe;
const SCREENSHOTS = process.env['TEST_SCREENSHOTS'];

const LAUNCH_PAGE = '<!DOCTYPE html><title>Launch</title><script src="fhirclient.js"></script><script src="launch.js"></script>';
const APP_PAGE = '<!DOCTYPE html><title>Growth chart</title><h1>Growth chart</h1><pre id="out"></pre><script src="fhirclient.js"></script><script src="app.js"></script>';
const APP_SCRIPT = `
FHIR.oauth2.ready().then(async (client) => {
  const found = await client.request('DocumentReference?patient=' + client.patient.id);
  const before = client.state.tokenResponse.access_token;
  await client.refresh();
  const again = await client.request('DocumentReference?_summary=count');
  const { patient, encounter, need_patient_banner: banner, scope } = client.state.tokenResponse;
  return {
    patient: client.patient.id, encounter: client.encounter.id, user: client.user.fhirUser, banner, scope,
    titles: (found.entry || []).map((entry) => entry.resource.description), total: again.total, refreshed: before !== client.state.tokenResponse.access_token, after: patient + ' ' + encounter,
    challenged: client.state.codeChallenge !== undefined,
  };
}).catch((error) => ({ error: String(error) })).then((result) => { document.getElementById('out').textContent = JSON.stringify(result, null, 2); document.body.dataset.done = 'yes'; });
`;

whereChromiumIs('fhirclient in Chromium', () => {
  let muniment: TestMuniment;
  let browser: Browser;
  let server: Server;
  let origin: string;
  let clientId: string;
  const scope = 'launch launch/patient launch/encounter openid fhirUser offline_access patient/DocumentReference.rs';

  beforeAll(async () => {
    muniment = await startMuniment();
    const script = fhirclientScript();
    server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://app');
      // With a launch the library reads iss from the address; alone the app names it itself.
      const wish = { clientId, redirectUri: `${origin}/index.html`, pkceMode: 'required', ...(pathname === '/alone.js' ? { iss: muniment.fhirBase, scope: scope.replace(/^launch /, '') } : { scope }) };
      const authorize = `FHIR.oauth2.authorize(${JSON.stringify(wish)}).catch((error) => { document.body.textContent = String(error); });`;
      const files: Record<string, [type: string, text: string]> = {
        '/launch.html': ['text/html', LAUNCH_PAGE.replace('launch.js', searchParams.has('launch') ? 'launch.js' : 'alone.js')],
        '/launch.js': ['text/javascript', authorize], '/alone.js': ['text/javascript', authorize],
        '/index.html': ['text/html', APP_PAGE], '/app.js': ['text/javascript', APP_SCRIPT], '/fhirclient.js': ['text/javascript', script],
      };
      const [type, text] = files[pathname] ?? ['text/plain', ''];
      response.writeHead(files[pathname] === undefined ? 404 : 200, { 'Content-Type': type }).end(text);
    });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    const registered = await register(await discover(muniment.fhirBase), { redirect_uris: [`${origin}/index.html`], grant_types: ['authorization_code', 'refresh_token'] });
    clientId = registered['client_id'] ?? '';
    const writer = fhirClient(muniment.fhirBase, await muniment.token());
    for (const patient of ['demo-anna', 'demo-omar']) {
      const { status } = await writer.post('DocumentReference', { resourceType: 'DocumentReference', status: 'current', description: `Letter about ${patient}`, subject: { reference: `Patient/${patient}` }, content: [{ attachment: { contentType: 'text/plain', data: 'aGk=' } }] });
      expect(status).toBe(201);
    }
    browser = await chromium.launch({ ...(executablePath === undefined ? {} : { executablePath }), args: ['--no-sandbox'] });
  }, 300_000);

  afterAll(async () => {
    await browser.close();
    server.close();
    server.closeAllConnections();
    await muniment.stop();
  });

  async function picture(page: Page, name: string): Promise<void> {
    if (SCREENSHOTS === undefined) return;
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  }

  /** A page of the browser, and what it asked for outside this machine or was forbidden by a policy. */
  async function openPage(): Promise<{ context: BrowserContext; page: Page; complaints: string[] }> {
    const context = await browser.newContext();
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('request', (request) => { if (!/^http:\/\/localhost:/.test(request.url())) complaints.push(request.url()); });
    page.on('console', (message) => { if (/Content Security Policy/i.test(message.text())) complaints.push(message.text()); });
    return { context, page, complaints };
  }

  async function resultOf(page: Page): Promise<Record<string, unknown>> {
    await page.waitForSelector('body[data-done=yes]', { timeout: 30_000 });
    return JSON.parse(await page.textContent('#out') ?? '') as Record<string, unknown>;
  }

  it('is launched alone: login, choice of a patient and consent by keyboard, then it reads and refreshes', async () => {
    const { context, page, complaints } = await openPage();
    await page.goto(`${origin}/launch.html`);
    await page.waitForSelector('input[name=password]');
    await picture(page, 'standalone-1-login');
    // The first field has the focus.
    await page.keyboard.type('practitioner');
    await page.keyboard.press('Tab');
    await page.keyboard.type('demo');
    await page.keyboard.press('Enter');
    await page.waitForSelector('button[name=patient]');
    await picture(page, 'standalone-2-patient');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForSelector('button[value=allow]');
    await picture(page, 'standalone-3-consent');
    expect(await page.textContent('main')).toContain('Read and search DocumentReference resources of Omar Haddad');
    await page.keyboard.press('Enter');
    const result = await resultOf(page);
    await picture(page, 'standalone-4-app');
    expect(result).toMatchObject({
      patient: 'demo-omar', encounter: 'demo-omar-visit', banner: true, titles: ['Letter about demo-omar'], total: 1, refreshed: true, after: 'demo-omar demo-omar-visit', challenged: true,
      user: 'Practitioner/demo-practitioner',
    });
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('is launched from the record: nothing is asked but consent', async () => {
    const { context, page, complaints } = await openPage();
    const launch = await registerLaunch(muniment.dataDir, { org: 'demo', patient: 'demo-anna', encounter: 'e-12', user: 'Practitioner/demo-nurse' });
    await page.goto(`${origin}/launch.html?${new URLSearchParams({ iss: muniment.fhirBase, launch }).toString()}`);
    await page.waitForSelector('button[value=allow]');
    await picture(page, 'ehr-1-consent');
    await page.keyboard.press('Enter');
    const result = await resultOf(page);
    await picture(page, 'ehr-2-app');
    expect(result).toMatchObject({ patient: 'demo-anna', encounter: 'e-12', titles: ['Letter about demo-anna'], total: 1, refreshed: true, after: 'demo-anna e-12', user: 'Practitioner/demo-nurse' });
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('is given its code as a form where it asks for that: the browser lets the page send it', async () => {
    const { context, page, complaints } = await openPage();
    const { challenge } = makeProof();
    const wish = { response_type: 'code', response_mode: 'form_post', client_id: clientId, redirect_uri: `${origin}/index.html`, scope: 'user/*.rs', state: 'of-the-form', aud: muniment.fhirBase, code_challenge: challenge, code_challenge_method: 'S256' };
    await page.goto(`${(await discover(muniment.fhirBase)).authorization_endpoint}?${new URLSearchParams(wish).toString()}`);
    await page.waitForSelector('input[name=password]');
    await page.keyboard.type('demo');
    await page.keyboard.press('Tab');
    await page.keyboard.type('demo');
    await page.keyboard.press('Enter');
    await page.waitForSelector('button[value=allow]');
    const sent = page.waitForRequest((request) => request.method() === 'POST' && request.url() === `${origin}/index.html`, { timeout: 30_000 });
    await page.keyboard.press('Enter');
    expect((await sent).postData()).toMatch(/^code=[^&]+&state=of-the-form&iss=/);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('is told when a person refuses', async () => {
    const { context, page } = await openPage();
    const launch = await registerLaunch(muniment.dataDir, { org: 'demo', patient: 'demo-anna', user: 'Practitioner/demo' });
    await page.goto(`${origin}/launch.html?${new URLSearchParams({ iss: muniment.fhirBase, launch }).toString()}`);
    await page.waitForSelector('button[value=deny]');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect((await resultOf(page))['error']).toContain('The person refused');
    await context.close();
  });
});
