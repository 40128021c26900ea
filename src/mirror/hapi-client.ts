// The way to one HAPI: its address, our credentials and certificates, for deliveries, comparisons and reads alike.
// fhir-kit-client has the address, but reads a body whole, whatever its size, and through JSON.parse, which loses the
// digits of decimals: so the transfer is ours here.
import { Client } from 'fhir-kit-client';
import { OPEN_HAPI, type HapiSecurity } from '../config/mirror-security.ts';
import { basicAuthorization, createCredentials } from './hapi-credentials.ts';
import { createTransport, type Received, type Sending } from './hapi-transport.ts';

export interface HapiAddress {
  /** FHIR base; `{org}` in it stands for the organisation's name, user and password for basic authentication. */
  baseUrl: string;
  /** OPEN_HAPI by default. */
  security?: HapiSecurity;
}

export interface HapiClient {
  /** Without credentials and without a trailing slash: they stand in no message any more. */
  readonly base: string;
  /** `path` begins with `/` or `?`, or is the base itself. Rejects with an Error that says why there was no answer, and with LoginDenied. */
  send(path: string, sending: Omit<Sending, 'url'>): Promise<Received>;
}

/** Whether each organisation has a HAPI, or a partition of one, of its own. */
export function isPerOrganisation(baseUrl: string): boolean {
  return baseUrl.includes('{org}');
}

export function openHapi({ baseUrl, security = OPEN_HAPI }: HapiAddress, orgName: string): HapiClient {
  const url = new URL(baseUrl.replaceAll('{org}', encodeURIComponent(orgName)));
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  [url.username, url.password] = ['', ''];
  const base = new Client({ baseUrl: url.href }).baseUrl.replace(/\/+$/, '');
  const transport = createTransport(security, orgName);
  const credentials = createCredentials(security.login, orgName, transport);
  const fixed = user === '' && password === '' ? undefined : basicAuthorization(user, password);
  return {
    base,
    async send(path, { headers, timeoutMs, ...sending }) {
      const end = performance.now() + timeoutMs;
      const once = async (authorization: string | undefined): Promise<Received> => transport({
        ...sending, url: `${base}${path}`, timeoutMs: Math.max(1, Math.ceil(end - performance.now())), headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
      });
      if (fixed !== undefined) return once(fixed);
      const first = await credentials.authorization({ timeoutMs, stop: sending.stop });
      const answer = await once(first);
      // Nothing was done under a token that HAPI did not take: another one may have been needed.
      if (answer.status !== 401 || !credentials.renew(first)) return answer;
      return once(await credentials.authorization({ timeoutMs: Math.max(1, Math.ceil(end - performance.now())), stop: sending.stop }));
    },
  };
}
