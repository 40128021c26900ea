// One question to an authorization server: within three seconds, without following it elsewhere, and no more of its answer
// than it can have a reason to send.
const TIMEOUT_MS = 3_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/** The answer with its body read. Raises an Error when there is none in time, when it points elsewhere, and past 64 KiB. */
export async function askIssuer(url: string, request: RequestInit = {}): Promise<Response> {
  const signal = request.signal ?? AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { ...request, redirect: 'manual', signal });
  // Neither tokens nor the secrets that vouch for us are carried to another address.
  if (response.status >= 300 && response.status < 400) {
    await response.body?.cancel();
    throw new Error('The authorization server answered with a redirect');
  }
  const body = await readBounded(response);
  return new Response(body, { status: response.status, headers: response.headers });
}

/** null where a status has no body. */
async function readBounded(response: Response): Promise<Buffer<ArrayBuffer> | null> {
  if (response.body === null) return null;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > ANSWER_BYTES_MAX) throw new Error('The answer of the authorization server is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
