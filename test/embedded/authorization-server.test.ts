import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fhirClient } from '../support/fhir-client.ts';
import { authorizationUrl, discover, makeProof, openBrowser, postForm, REDIRECT, register, signIn, walkThrough, type SmartConfiguration } from '../support/smart-app.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let muniment: TestMuniment;
let base: string;
let smart: SmartConfiguration;

beforeAll(async () => {
  muniment = await startMuniment();
  base = muniment.fhirBase;
  smart = await discover(base);
}, 120_000);
afterAll(async () => { await muniment.stop(); });

const authorize = (more: Record<string, string>): Promise<Response> => openBrowser().request(authorizationUrl(smart, { aud: base, code_challenge: makeProof().challenge, code_challenge_method: 'S256', ...more }));

/** Where an error of the authorization endpoint goes: to the app, or onto a page. */
async function errorOf(response: Response): Promise<string> {
  const location = response.headers.get('location');
  return location?.startsWith(REDIRECT) === true ? new URL(location.replace('#', '?')).searchParams.get('error') ?? '' : /(\w+): /.exec(/role="alert">([^<]*)/.exec(await response.text())?.[1] ?? '')?.[1] ?? '';
}

describe('discovery', () => {
  it('names endpoints that are there, S256 alone, and what SMART calls it', async () => {
    expect(smart.code_challenge_methods_supported).toEqual(['S256']);
    expect(smart.capabilities).toEqual(expect.arrayContaining(['launch-ehr', 'launch-standalone', 'client-public', 'client-confidential-symmetric', 'client-confidential-asymmetric', 'sso-openid-connect', 'permission-v1', 'permission-v2', 'permission-offline', 'permission-patient', 'permission-user']));
    const found = (await (await fetch(`${smart.issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;
    // What both documents say is one thing; the scopes of resources are SMART's alone.
    const both = Object.keys(smart).filter((name) => Object.hasOwn(found, name) && name !== 'scopes_supported') as (keyof SmartConfiguration)[];
    expect(both).toEqual(expect.arrayContaining(['issuer', 'jwks_uri', 'authorization_endpoint', 'token_endpoint', 'registration_endpoint', 'introspection_endpoint', 'revocation_endpoint', 'dpop_signing_alg_values_supported', 'response_modes_supported', 'grant_types_supported']));
    for (const name of both) expect({ name, value: found[name] }).toEqual({ name, value: smart[name] });
    expect((await (await fetch(smart.jwks_uri)).json() as { keys: object[] }).keys).toEqual([expect.objectContaining({ alg: 'RS256', kty: 'RSA' })]);
  });

  it('is repeated in the CapabilityStatement, for clients that read nothing else', async () => {
    const statement = (await fhirClient(base, '').call('metadata', { token: null })).json as { rest: { security: { extension: { extension: { url: string; valueUri: string }[] }[] } }[] };
    expect(statement.rest[0]?.security.extension[0]?.extension).toEqual(expect.arrayContaining([{ url: 'authorize', valueUri: smart.authorization_endpoint }, { url: 'token', valueUri: smart.token_endpoint }]));
  });

  it('lets apps of every origin in, without credentials', async () => {
    const preflight = await fetch(smart.token_endpoint, { method: 'OPTIONS', headers: { 'origin': 'http://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type, dpop' } });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/Content-Type.*DPoP/);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    for (const url of [smart.registration_endpoint, smart.token_endpoint]) {
      const answer = await fetch(url, { method: 'POST', headers: { 'origin': 'http://app.example', 'content-type': 'application/json' }, body: '{}' });
      expect({ url, allowed: answer.headers.get('access-control-allow-origin'), credentials: answer.headers.get('access-control-allow-credentials') }).toEqual({ url, allowed: '*', credentials: null });
    }
  });
});

describe('standalone launch of a public app', () => {
  it('signs in, chooses a patient, consents, and reads with the token that it gets', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const browser = openBrowser();
    const { status, body } = await signIn({ fhirBase: base, clientId, browser, scope: 'launch/patient openid fhirUser offline_access patient/*.rs patient/DocumentReference.cu' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: 'Bearer', patient: 'demo-anna', need_patient_banner: true, scope: 'launch/patient openid fhirUser offline_access patient/*.rs patient/DocumentReference.cu' });
    expect(browser.pages.map((page) => /<h1>([^<]*)/.exec(page)?.[1])).toEqual(['Sign in', 'Choose a patient', 'Allow Growth chart?']);
    const claims = decodeJwt(body.access_token);
    expect(claims).toMatchObject({ iss: smart.issuer, aud: base, sub: 'demo', client_id: clientId, org: 'demo', fhirUser: 'Practitioner/demo', role: ['admin'], patient: 'demo-anna', scope: body.scope, jti: expect.any(String) });
    expect(decodeProtectedHeader(body.access_token)).toMatchObject({ alg: 'RS256', typ: 'at+jwt' });
    expect(decodeJwt(body.id_token)).toMatchObject({ iss: smart.issuer, aud: clientId, fhirUser: `${base}/Practitioner/demo` });

    const app = fhirClient(base, body.access_token);
    expect((await app.get('DocumentReference')).status).toBe(200);
    const document = { resourceType: 'DocumentReference', status: 'current', subject: { reference: 'Patient/demo-anna' }, content: [{ attachment: { contentType: 'text/plain', data: 'aGVsbG8=' } }] };
    expect((await app.post('DocumentReference', document)).status).toBe(201);
    expect((await app.post('DocumentReference', { ...document, subject: { reference: 'Patient/demo-omar' } })).status).toBe(403);
  });

  it('names each right in words, and what a person leaves out is not given', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const browser = openBrowser();
    const query = 'patient/DocumentReference.rs?category=http://loinc.org|11488-4';
    const { body } = await signIn({ fhirBase: base, clientId, browser, scope: `launch/patient ${query} patient/Media.read`, answers: { leaveOut: ['patient/Media.read'] } });
    const page = browser.pages.at(-1) ?? '';
    expect(page).toContain('Read and search DocumentReference resources of Anna Berg, only where category is http://loinc.org|11488-4');
    expect(page).toContain('Read and search Media resources of Anna Berg');
    expect(body.scope).toBe(`launch/patient ${query}`);
    expect((await fhirClient(base, body.access_token).get('Media')).status).toBe(403);
  });

  it('takes a patient and an encounter that are typed, and one code once', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const { verifier, challenge } = makeProof();
    const found = await walkThrough(openBrowser(), authorizationUrl(smart, { client_id: clientId, scope: 'launch/patient launch/encounter patient/*.read', aud: base, code_challenge: challenge, code_challenge_method: 'S256' }), { patient: 'P.17', encounter: 'e-3' });
    expect(found.get('state')).toBe('st');
    expect(found.get('iss')).toBe(smart.issuer);
    const fields = { grant_type: 'authorization_code', client_id: clientId, redirect_uri: REDIRECT, code: found.get('code') ?? '', code_verifier: verifier };
    expect((await postForm(smart.token_endpoint, { ...fields, code_verifier: makeProof().verifier })).body.error).toBe('invalid_grant');
    const { body } = await postForm(smart.token_endpoint, fields);
    expect(body).toMatchObject({ patient: 'P.17', encounter: 'e-3' });
    expect((await postForm(smart.token_endpoint, fields)).body.error).toBe('invalid_grant');
    // The code was used twice: whoever has the token may be a thief.
    expect((await fhirClient(base, body.access_token).get('DocumentReference')).status).toBe(401);
  });

  it('gives no system scope, and nothing that is not well formed', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const { body } = await signIn({ fhirBase: base, clientId, scope: 'user/DocumentReference.rs system/*.cruds user/DocumentReference.sr user/documentreference.r fhir_complete' });
    expect(body.scope).toBe('user/DocumentReference.rs');
    expect(body.patient).toBeUndefined();
  });

  it('asks again for every launch: another patient is another grant', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const browser = openBrowser();
    const first = await signIn({ fhirBase: base, clientId, browser, scope: 'launch/patient patient/*.rs', answers: { patient: 'first' } });
    const second = await signIn({ fhirBase: base, clientId, browser, scope: 'launch/patient patient/*.rs', answers: { patient: 'second' } });
    expect([first.body.patient, second.body.patient]).toEqual(['first', 'second']);
    expect(browser.pages.map((page) => /<h1>([^<]*)/.exec(page)?.[1])).toEqual(['Sign in', 'Choose a patient', 'Allow Growth chart?', 'Choose a patient', 'Allow Growth chart?']);
  });
});

describe('people', () => {
  it('have the roles and the organisation that the login page says', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const browser = openBrowser();
    const { body } = await signIn({ fhirBase: base, clientId, browser, scope: 'user/*.cruds', answers: { username: 'harbour-billing' } });
    expect(decodeJwt(body.access_token)).toMatchObject({ org: 'harbour', role: ['billing'], fhirUser: 'Practitioner/harbour-billing' });
    for (const role of ['admin', 'practitioner', 'nurse', 'billing', 'read-only', 'integration', 'auditor', 'integrity']) expect(browser.pages[0]?.split(`<td>${role}</td>`)).toHaveLength(3);
    expect((await fhirClient(base, body.access_token).post('DocumentReference', { resourceType: 'DocumentReference', status: 'current', content: [{ attachment: { data: 'aGk=' } }] })).status).toBe(403);
  });

  it('who are patients choose nobody but themselves', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const asOther = signIn({ fhirBase: base, clientId, scope: 'patient/*.rs', answers: { username: 'demo-anna', patient: 'demo-omar' } });
    await expect(asOther).rejects.toThrow('You can choose nobody but yourself');
    const { body } = await signIn({ fhirBase: base, clientId, scope: 'patient/*.rs', answers: { username: 'demo-anna' } });
    expect(decodeJwt(body.access_token)).toMatchObject({ fhirUser: 'Patient/demo-anna', patient: 'demo-anna', role: [] });
    expect((await fhirClient(base, body.access_token).get('DocumentReference')).status).toBe(200);
  });

  it('get nowhere with a wrong password, and may refuse', async () => {
    const { client_id: clientId = '' } = await register(smart);
    await expect(signIn({ fhirBase: base, clientId, scope: 'user/*.rs', answers: { password: 'guess' } })).rejects.toThrow('User name or password is wrong');
    await expect(signIn({ fhirBase: base, clientId, scope: 'user/*.rs', answers: { decision: 'deny' } })).rejects.toThrow('access_denied');
  });
});

describe('the authorization endpoint refuses', () => {
  it('what SMART forbids', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const scope = 'launch/patient patient/*.rs';
    expect(await errorOf(await authorize({ client_id: clientId, scope, code_challenge: '', code_challenge_method: '' }))).toBe('invalid_request');
    expect(await errorOf(await authorize({ client_id: clientId, scope, code_challenge_method: 'plain' }))).toBe('invalid_request');
    expect(await errorOf(await authorize({ client_id: clientId, scope, aud: 'https://elsewhere.example/fhir' }))).toBe('invalid_request');
    expect(await errorOf(await authorize({ client_id: clientId, scope: 'launch patient/*.rs' }))).toBe('invalid_request');
    expect(await errorOf(await authorize({ client_id: clientId, scope: 'launch', launch: 'invented' }))).toBe('invalid_request');
    expect(await errorOf(await authorize({ client_id: clientId, scope, response_type: 'token' }))).toBe('unsupported_response_type');
    expect(await errorOf(await authorize({ client_id: clientId, scope, prompt: 'none' }))).toBe('login_required');
    // Nobody is sent to an address that the client did not register.
    const astray = await authorize({ client_id: clientId, scope, redirect_uri: 'https://thief.example/' });
    expect([astray.status, astray.headers.get('location')]).toEqual([400, null]);
    expect((await authorize({ client_id: 'nobody', scope })).status).toBe(400);
  });

  it('to be framed or scripted, and escapes what clients name themselves', async () => {
    const { client_id: clientId = '' } = await register(smart, { client_name: '<script>alert(1)</script>' });
    const browser = openBrowser();
    const first = await browser.request(authorizationUrl(smart, { client_id: clientId, scope: 'user/*.rs', aud: base, code_challenge: makeProof().challenge, code_challenge_method: 'S256' }));
    const page = await browser.request(new URL(first.headers.get('location') ?? '', smart.issuer).href);
    const text = await page.text();
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toMatch(/<script|https?:\/\/(?!localhost)/);
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self' http:\/\/localhost:9; base-uri 'none'; frame-ancestors 'none'$/);
    expect(page.headers.get('cache-control')).toBe('no-store');
  });

  it('answers in each way that discovery names: by form_post with the one script that may run, and to the app alone', async () => {
    expect([...smart.response_modes_supported].sort()).toEqual(['form_post', 'fragment', 'query']);
    const { client_id: clientId = '' } = await register(smart);
    const { verifier, challenge } = makeProof();
    const url = (mode: string, more: Record<string, string> = {}): string => authorizationUrl(smart, { client_id: clientId, scope: 'user/*.rs', aud: base, code_challenge: challenge, code_challenge_method: 'S256', response_mode: mode, ...more });
    const posted = await walkThrough(openBrowser(), url('form_post'));
    expect([posted.get('state'), posted.get('iss')]).toEqual(['st', smart.issuer]);
    expect((await postForm(smart.token_endpoint, { grant_type: 'authorization_code', client_id: clientId, redirect_uri: REDIRECT, code: posted.get('code') ?? '', code_verifier: verifier })).status).toBe(200);
    // An error goes the same way, and its page is bound in the same way.
    const refused = await openBrowser().request(url('form_post', { prompt: 'none' }));
    const page = await refused.text();
    const script = /<script>([^]*?)<\/script>/.exec(page)?.[1] ?? '';
    expect(page).toContain('name="error" value="login_required"');
    expect(refused.headers.get('content-security-policy')).toBe(`default-src 'none'; script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'; form-action http://localhost:9; base-uri 'none'; frame-ancestors 'none'`);
    const inFragment = await openBrowser().request(url('fragment', { prompt: 'none' }));
    expect(inFragment.headers.get('location')).toMatch(/^http:\/\/localhost:9\/app\/callback#error=login_required/);
    expect(await errorOf(await openBrowser().request(url('web_message')))).toMatch(/invalid_request|unsupported_response_mode/);
  });

  it('takes an authorization request by POST too', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const query = new URL(authorizationUrl(smart, { client_id: clientId, scope: 'user/*.rs', aud: base, code_challenge: makeProof().challenge, code_challenge_method: 'S256' })).search.slice(1);
    const posted = await fetch(smart.authorization_endpoint, { method: 'POST', redirect: 'manual', body: query, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect(posted.status).toBe(303);
    expect((await walkThrough(openBrowser(), posted.headers.get('location') ?? '')).get('code')).toEqual(expect.any(String));
  });
});

describe('refresh', () => {
  it('keeps patient and rights, also for a public client that does not say who it is', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const { body: first } = await signIn({ fhirBase: base, clientId, scope: 'launch/patient offline_access patient/*.rs', answers: { patient: 'p1' } });
    const { status, body } = await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: first.refresh_token });
    expect(status).toBe(200);
    expect(body).toMatchObject({ patient: 'p1', scope: first.scope, need_patient_banner: true });
    expect(decodeJwt(body.access_token)).toMatchObject({ patient: 'p1', client_id: clientId });
    expect((await fhirClient(base, body.access_token).get('Media')).status).toBe(200);
    const narrowed = await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: body.refresh_token, scope: 'launch/patient' });
    expect(narrowed.body.scope).toBe('launch/patient');
  });

  it('with a token that was used before ends the whole grant', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const { body: first } = await signIn({ fhirBase: base, clientId, scope: 'offline_access user/*.rs' });
    const { body: second } = await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: first.refresh_token });
    expect((await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: first.refresh_token, client_id: clientId })).body.error).toBe('invalid_grant');
    expect((await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: second.refresh_token, client_id: clientId })).body.error).toBe('invalid_grant');
    expect((await fhirClient(base, second.access_token).get('Media')).status).toBe(401);
  });

  it('is given with offline_access or online_access alone', async () => {
    const { client_id: clientId = '' } = await register(smart);
    expect((await signIn({ fhirBase: base, clientId, scope: 'user/*.rs' })).body.refresh_token).toBeUndefined();
    const { body } = await signIn({ fhirBase: base, clientId, scope: 'online_access user/*.rs' });
    expect((await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: body.refresh_token })).status).toBe(200);
  });
});

describe('clients', () => {
  it('are registered with the scopes that they may ask for', async () => {
    const client = await register(smart, { scope: 'launch/patient patient/DocumentReference.read offline_access' });
    expect(client['scope']).toBe('launch/patient patient/DocumentReference.read offline_access');
    const { body } = await signIn({ fhirBase: base, clientId: client['client_id'] ?? '', scope: 'launch/patient patient/DocumentReference.rs patient/Media.rs' });
    expect(body.scope).toBe('launch/patient patient/DocumentReference.rs');
  });

  it('that are confidential prove themselves by a secret', async () => {
    const { client_id: clientId = '', client_secret: secret = '' } = await register(smart, { token_endpoint_auth_method: 'client_secret_basic' });
    const basic = (word: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`${clientId}:${word}`).toString('base64')}` });
    expect((await signIn({ fhirBase: base, clientId, scope: 'user/*.rs', headers: basic(secret) })).status).toBe(200);
    expect((await signIn({ fhirBase: base, clientId, scope: 'user/*.rs', headers: basic('wrong') })).status).toBe(401);
    expect((await signIn({ fhirBase: base, clientId, scope: 'user/*.rs' })).status).toBe(401);
  });

  it('come from a file too, without a restart', async () => {
    await writeFile(join(muniment.dataDir, 'authorization-clients.json'), JSON.stringify([{ client_id: 'from-a-file', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none', scope: 'user/Media.rs' }]));
    const { body } = await signIn({ fhirBase: base, clientId: 'from-a-file', scope: 'user/Media.rs user/List.rs' });
    expect(body.scope).toBe('user/Media.rs');
  });

  it('with metadata that make no sense are not registered', async () => {
    await expect(register(smart, { redirect_uris: ['not an address'] })).rejects.toThrow(/^400 .*invalid_redirect_uri/s);
    await expect(register(smart, { org: '../x' })).rejects.toThrow(/^400 .*invalid_client_metadata/s);
    expect((await fetch(smart.registration_endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' })).status).toBe(400);
  });
});
