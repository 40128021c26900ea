// What an authorization server says about a token that only it can read (RFC 7662; SMART 2.2 token introspection).
import type { JWTPayload } from 'jose';
import { fhirError } from '../fhir/fhir-error.ts';
import { askIssuer } from './issuer-request.ts';

export interface IntrospectionEndpoint {
  endpoint: string;
  clientId: string;
  /** Read at each question, so that a secret in a file may be exchanged while the server runs. */
  clientSecret: () => Promise<string>;
  method: 'client_secret_basic' | 'client_secret_post';
}

/** Whoever invents tokens must not make us storm their issuer. */
const ASKED_AT_ONCE_MAX = 64;

/** Asks about one token: its claims, or undefined when it is not active. Raises 503 `unavailable` when the endpoint does not do its work. */
export function createIntrospection(endpoint: IntrospectionEndpoint): (token: string) => Promise<JWTPayload | undefined> {
  /** Of requests that come together with one token, one asks. */
  const asking = new Map<string, Promise<JWTPayload | undefined>>();
  return (token) => {
    const underWay = asking.get(token);
    if (underWay !== undefined) return underWay;
    if (asking.size >= ASKED_AT_ONCE_MAX) return Promise.reject(unavailable());
    const answer = ask(endpoint, token)
      .catch((error: unknown) => { throw unavailable(error); })
      .finally(() => asking.delete(token));
    asking.set(token, answer);
    return answer;
  };
}

const unavailable = (cause?: unknown): Error =>
  fhirError('unavailable', 'The issuer of the token cannot be asked about it', { headers: { 'Retry-After': '5' }, ...(cause === undefined ? {} : { cause }) });

async function ask(endpoint: IntrospectionEndpoint, token: string): Promise<JWTPayload | undefined> {
  const { clientId, method } = endpoint;
  const secret = await endpoint.clientSecret();
  const form = new URLSearchParams({ token, token_type_hint: 'access_token' });
  const headers: Record<string, string> = { 'Accept': 'application/json', 'Content-Type': 'application/x-www-form-urlencoded' };
  if (method === 'client_secret_post') {
    form.set('client_id', clientId);
    form.set('client_secret', secret);
  } else {
    headers['Authorization'] = `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret)}`).toString('base64')}`;
  }
  const response = await askIssuer(endpoint.endpoint, { method: 'POST', headers, body: form.toString() });
  if (response.status !== 200) throw new Error(`The introspection endpoint answered ${response.status}`);
  const answer: unknown = await response.json();
  const active = (answer as { active?: unknown } | null)?.active;
  if (typeof active !== 'boolean') throw new Error('The introspection endpoint did not say whether the token is active');
  return active ? (answer as JWTPayload) : undefined;
}

/** RFC 6749 2.3.1: both parts are form-encoded before they are joined. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
