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
    return json === undefined ? (await auth.getApplicationDefault()).credential : auth.fromJSON(JSON.parse(json) as object);
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
      // The library's errors carry the request, and with it what proves who we are.
      throw new StoreConnectionError(`Google gave no token: ${(error as { code?: string | number }).code ?? (error as Error).name}`);
    }
    throw new StoreConnectionError('Google gave no token');
  };
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
