// Who we say that we are at HAPI: the Authorization header of each request (RFC 7617, RFC 6750), and the access token of
// client credentials (RFC 6749 4.4), which is fetched once and again before it ends.
import { isJsonObject, JsonNumber, parseJson, type JsonObject } from '../fhir/json.ts';
import type { HapiLogin } from '../config/mirror-security.ts';
import { proving, type ClientClaim } from './client-proof.ts';
import { freshFile } from './fresh-file.ts';
import type { Transport } from './hapi-transport.ts';

export interface HapiCredentials {
  /** The header's value; undefined where none is sent. Rejects with LoginDenied, and with an Error for people where there is none to be had. */
  authorization(bounds: TokenBounds): Promise<string | undefined>;
  /** HAPI did not take `value`. True where another one can be had at once. */
  renew(value: string | undefined): boolean;
}

export interface TokenBounds {
  timeoutMs: number;
  stop?: AbortSignal | undefined;
}

/** The authorization server does not let us in. Its message is for people and has no secret in it. */
export class LoginDenied extends Error {}

/** Names of people and of secrets may have letters that are not in ASCII (RFC 7617 2.1). */
export function basicAuthorization(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** `{org}` in the login stands for `orgName`. */
export function createCredentials(login: HapiLogin | undefined, orgName: string, transport: Transport, now: () => number = () => performance.now()): HapiCredentials {
  const named = (text: string): string => text.replaceAll('{org}', orgName);
  const none = { renew: () => false };
  switch (login?.kind) {
    case undefined: return { ...none, authorization: async () => undefined };
    case 'basic': {
      const password = freshFile(named(login.passwordFile), 'MIRROR_PASSWORD_FILE');
      return { ...none, authorization: async () => basicAuthorization(named(login.user), await password()) };
    }
    case 'bearer': {
      const token = freshFile(named(login.tokenFile), 'MIRROR_TOKEN_FILE');
      return { ...none, authorization: async () => `Bearer ${await token()}` };
    }
    case 'oauth': {
      const [tokenUrl, clientId] = [login.tokenUrl.replaceAll('{org}', encodeURIComponent(orgName)), named(login.clientId)];
      const prove = proving(login.proof, named, { tokenUrl, clientId });
      return cachedToken((bounds) => fetchToken({ tokenUrl, scope: login.scope, prove }, transport, bounds), now);
    }
  }
}

interface Token {
  authorization: string;
  lifeMs: number;
}

/** What is shorter than this is used up to its half. */
const MARGIN_MS = 30_000;
/** A token that was refused this soon after it was made will not be taken a moment later. */
const RENEW_AFTER_MS = 2_000;

function cachedToken(fetchNew: (bounds: TokenBounds) => Promise<Token>, now: () => number): HapiCredentials {
  let held: { authorization: string; madeAt: number; until: number } | undefined;
  let fetching: Promise<string> | undefined;

  async function renewed(bounds: TokenBounds): Promise<string> {
    const { authorization, lifeMs } = await fetchNew(bounds);
    const madeAt = now();
    held = { authorization, madeAt, until: madeAt + Math.max(lifeMs - MARGIN_MS, lifeMs / 2) };
    return authorization;
  }

  return {
    async authorization(bounds) {
      if (held !== undefined && now() < held.until) return held.authorization;
      // One question for all who wait.
      fetching ??= renewed(bounds).finally(() => { fetching = undefined; });
      return fetching;
    },
    renew(value) {
      if (held === undefined || held.authorization !== value) return true;
      const old = now() - held.madeAt >= RENEW_AFTER_MS;
      held = undefined;
      return old;
    },
  };
}

interface TokenRequest {
  tokenUrl: string;
  scope: string | undefined;
  prove: () => Promise<ClientClaim>;
}

const ANSWER_BYTES_MAX = 64 * 1024;
const LIFE_SECONDS = 300;
const LIFE_SECONDS_MAX = 86_400;

async function fetchToken({ tokenUrl, scope, prove }: TokenRequest, transport: Transport, { timeoutMs, stop }: TokenBounds): Promise<Token> {
  const { form, headers } = await prove();
  const body = new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }), ...form }).toString();
  const { status, text } = await transport({
    method: 'POST', url: tokenUrl, body, timeoutMs, stop, bytesMax: ANSWER_BYTES_MAX,
    headers: { 'accept': 'application/json', 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });
  const answer = objectIn(text ?? '');
  const { error, access_token: token, token_type: type, expires_in: seconds } = answer;
  if (status === 400 || status === 401 || status === 403) throw new LoginDenied(`The authorization server does not let us in: ${typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? error : `HTTP ${status}`}`);
  if (status !== 200) throw new Error(`The authorization server answers HTTP ${status}`);
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || typeof type !== 'string' || type.toLowerCase() !== 'bearer') throw new Error('The authorization server answers without a bearer token');
  const life = Number(seconds instanceof JsonNumber ? seconds.text : seconds ?? LIFE_SECONDS);
  return { authorization: `Bearer ${token}`, lifeMs: (life > 0 ? Math.min(life, LIFE_SECONDS_MAX) : LIFE_SECONDS) * 1_000 };
}

function objectIn(text: string): JsonObject {
  try {
    const value = parseJson(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
