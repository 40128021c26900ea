// A SMART app and the browser of its user, over fetch: follows redirects with cookies and fills in the forms that it meets.
import { createHash, randomBytes } from 'node:crypto';

export interface SmartConfiguration {
  issuer: string;
  authorization_endpoint: string;
  token_endpoint: string;
  registration_endpoint: string;
  introspection_endpoint: string;
  revocation_endpoint: string;
  jwks_uri: string;
  scopes_supported: string[];
  capabilities: string[];
  code_challenge_methods_supported: string[];
  dpop_signing_alg_values_supported: string[];
  response_modes_supported: string[];
}

export interface Browser {
  /** The pages that were shown, in their order. */
  pages: string[];
  request(url: string, init?: RequestInit): Promise<Response>;
}

export const REDIRECT = 'http://localhost:9/app/callback';

export async function discover(fhirBase: string): Promise<SmartConfiguration> {
  return (await (await fetch(`${fhirBase}/.well-known/smart-configuration`)).json()) as SmartConfiguration;
}

export async function register(smart: SmartConfiguration, metadata: object = {}): Promise<Record<string, string>> {
  const response = await fetch(smart.registration_endpoint, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'Growth chart', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none', ...metadata }),
  });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, string>;
}

/** Cookies by name and path, as a browser keeps them. */
export function openBrowser(): Browser {
  const jar = new Map<string, { path: string; pair: string }>();
  const pages: string[] = [];
  return {
    pages,
    async request(url, init = {}) {
      const { pathname } = new URL(url);
      const cookie = [...jar.values()].filter(({ path }) => pathname.startsWith(path)).map(({ pair }) => pair).join('; ');
      const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, accept: 'text/html', cookie } });
      for (const line of response.headers.getSetCookie()) {
        const pair = line.split(';')[0] as string;
        const path = /;\s*path=([^;]+)/i.exec(line)?.[1] ?? '/';
        const name = `${pair.split('=')[0]} ${path}`;
        if (/expires=thu, 01 jan 1970/i.test(line)) jar.delete(name); else jar.set(name, { path, pair });
      }
      return response;
    },
  };
}

export interface Answers {
  username?: string;
  password?: string;
  patient?: string;
  encounter?: string;
  leaveOut?: string[];
  decision?: 'allow' | 'deny';
}

function fieldsOf(page: string, answers: Answers): URLSearchParams {
  const step = /name="step" value="(\w+)"/.exec(page)?.[1];
  if (step === 'login') return new URLSearchParams({ step, username: answers.username ?? 'demo', password: answers.password ?? 'demo' });
  if (step === 'patient') {
    const offered = /name="patient" value="([^"]+)"/.exec(page)?.[1] ?? '';
    return new URLSearchParams(answers.patient === undefined ? { step, patient: offered } : { step, patient_id: answers.patient, ...(answers.encounter === undefined ? {} : { encounter_id: answers.encounter }) });
  }
  if (step === 'consent') return new URLSearchParams([['step', step], ['decision', answers.decision ?? 'allow'], ...(answers.leaveOut ?? []).map((scope): [string, string] => ['leave_out', scope])]);
  throw new Error(`A page without a known form:\n${page}`);
}

/** What a page would send to the app as a form (response_mode form_post). */
function sentForm(page: string): URLSearchParams | undefined {
  if (!page.includes(`action="${REDIRECT}"`)) return undefined;
  return new URLSearchParams([...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name = '', value = '']): [string, string] => [name, value]));
}

/** From the authorization endpoint to the redirect back to the app: the parameters that the app gets. */
export async function walkThrough(browser: Browser, url: string, answers: Answers = {}): Promise<URLSearchParams> {
  let at = url;
  let response = await browser.request(at);
  for (let steps = 0; steps < 20; steps += 1) {
    const location = response.headers.get('location');
    if (location !== null) {
      at = new URL(location, at).href;
      if (at.startsWith(REDIRECT)) return new URL(at).searchParams;
      response = await browser.request(at);
      continue;
    }
    const page = await response.text();
    const posted = sentForm(page);
    if (posted !== undefined) return posted;
    browser.pages.push(page);
    if (response.status !== 200) throw new Error(`${response.status} ${page}`);
    const body = fieldsOf(page, answers);
    response = await browser.request(at, { method: 'POST', body: body.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    if (response.status === 401 || response.status === 422) throw new Error(`${response.status} ${await response.text()}`);
  }
  throw new Error('The way does not end');
}

export interface Proof {
  verifier: string;
  challenge: string;
}

export function makeProof(): Proof {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

export function authorizationUrl(smart: SmartConfiguration, parameters: Record<string, string>): string {
  return `${smart.authorization_endpoint}?${new URLSearchParams({ response_type: 'code', redirect_uri: REDIRECT, state: 'st', ...parameters }).toString()}`;
}

export interface TokenAnswer {
  status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of any shape
  body: any;
  headers: Headers;
}

export async function postForm(url: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<TokenAnswer> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers: { accept: 'application/json', ...headers } });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

export interface Journey {
  fhirBase: string;
  clientId: string;
  scope: string;
  answers?: Answers;
  browser?: Browser;
  more?: Record<string, string>;
  /** Authorization header and fields of a confidential client at the token endpoint. */
  headers?: Record<string, string>;
  fields?: Record<string, string>;
}

/** Authorization with PKCE, and the token answer. */
export async function signIn(journey: Journey): Promise<TokenAnswer> {
  const { fhirBase, clientId, scope, answers, browser = openBrowser(), more = {}, headers, fields } = journey;
  const smart = await discover(fhirBase);
  const { verifier, challenge } = makeProof();
  const found = await walkThrough(browser, authorizationUrl(smart, { client_id: clientId, scope, aud: fhirBase, code_challenge: challenge, code_challenge_method: 'S256', ...more }), answers);
  const code = found.get('code');
  if (code === null) throw new Error(`No code: ${found.toString()}`);
  return postForm(smart.token_endpoint, { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier, ...(headers?.['authorization'] === undefined ? { client_id: clientId } : {}), ...fields }, headers);
}
