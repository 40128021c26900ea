// Bearer tokens of Google by its own library: from a file of credentials, else from wherever the machine has them.
import { GoogleAuth, type AuthClient } from 'google-auth-library';
import { StoreConnectionError } from './store-silence.ts';

/** Reading, writing and removing objects, and nothing of a bucket's settings. */
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';

/** Answers a token of this moment. Raises StoreConnectionError, which shows neither key nor token. */
export type GoogleTokens = () => Promise<string>;

/**
 * `credentials` answers the JSON of this moment (a service account's key, a federated identity), undefined for the
 * application default credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, the machine's account.
 */
export function createGoogleTokens(credentials: () => string | undefined, limitMs: number): GoogleTokens {
  const auth = new GoogleAuth({ scopes: SCOPE });
  let known: { json: string | undefined; client: Promise<AuthClient> } | undefined;

  async function opened(json: string | undefined): Promise<AuthClient> {
    if (json !== undefined) return auth.fromJSON(JSON.parse(json) as object);
    return (await auth.getApplicationDefault().catch(() => { throw new StoreConnectionError('there are no application default credentials of Google'); })).credential;
  }

  /** The client of the credentials of this moment; one that could not be had is looked for again. */
  function client(): Promise<AuthClient> {
    const json = credentials();
    if (known?.json !== json || known === undefined) {
      const made = { json, client: opened(json) };
      known = made;
      made.client.catch(() => { if (known === made) known = undefined; });
    }
    return known.client;
  }

  return async () => {
    try {
      const { token } = await within(limitMs, client().then((one) => one.getAccessToken()));
      if (typeof token === 'string' && token !== '') return token;
    } catch (error) {
      if (error instanceof StoreConnectionError) throw error;
      throw new StoreConnectionError(`Google gave no token: ${reasonOf(error)}`);
    }
    throw new StoreConnectionError('Google gave no token');
  };
}

/** The library's errors carry the request, and with it what proves who we are: only a code of the network's, a status or a word of OAuth's (RFC 6749 5.2) is told. */
function reasonOf(error: unknown): string {
  const { code, response } = error as { code?: string | number; response?: { status?: number; data?: { error?: unknown } } };
  const word = response?.data?.error;
  return [code ?? response?.status ?? 'the credentials cannot be used', typeof word === 'string' && /^[a-z_]{1,40}$/.test(word) ? word : ''].join(' ').trim();
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(new StoreConnectionError('Google gave no token: ETIMEDOUT')), limitMs); });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
