// URLs of the bucket itself. They are signed by sessions that the store gives for a while (STS AssumeRole) and that may do no more
// than the URL is for: the name of an access key stands in each URL, and ours must not.
import { createHash } from 'node:crypto';
import type { DirectObject, DirectUrls } from '../content-store.ts';
import { signRequest, signUrl, type S3Credentials } from './s3-signature.ts';
import { unreachable } from './store-errors.ts';
import { openTransport } from './store-request.ts';

export interface DirectOptions {
  /** Where clients reach the bucket. */
  endpoint: string;
  /** Where sessions are given. */
  stsEndpoint: string;
  /** ARN of the role whose rights a session has; none where the store gives sessions of the key itself. */
  role: string | undefined;
}

interface Session extends S3Credentials {
  /** Milliseconds. */
  endsAt: number;
}

/** For how long a URL opens something: it is followed at once. */
export const DIRECT_URL_SECONDS = 60;
/** As long as a role allows that nobody configured, and as short as a store gives. */
const [READING_SECONDS, WRITING_SECONDS] = [3_600, 900];
const RENEWED_BEFORE_MS = 600_000;

const memberOf = (text: string, name: string): string | undefined => new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)?.[1];

/** `credentials` are ours, and looked at for each session. */
export function openDirectUrls({ endpoint, stsEndpoint, role }: DirectOptions, bucket: string, credentials: S3Credentials, silenceMs: number): DirectUrls {
  const [clients, sts] = [new URL(endpoint), new URL(stsEndpoint)];
  const transport = openTransport(sts, silenceMs);
  let known: Session | undefined;

  async function assume(actions: readonly string[], keys: string, seconds: number): Promise<Session> {
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: [`arn:aws:s3:::${bucket}/${keys}`] }] });
    const form = new URLSearchParams({ Action: 'AssumeRole', Version: '2011-06-15', DurationSeconds: String(seconds), Policy: policy, ...(role === undefined ? {} : { RoleArn: role, RoleSessionName: 'muniment' }) });
    const body = Buffer.from(form.toString());
    const payloadHash = createHash('sha256').update(body).digest('hex');
    const headers = signRequest({ method: 'POST', host: sts.host, path: '/', query: {}, headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(body.length) }, payloadHash, service: 'sts' }, credentials, new Date());
    const { status, text } = await transport.exchange({ method: 'POST', target: '/', headers, body: [body] }).catch((error: unknown) => { throw unreachable(error); });
    const [accessKey, secretKey, sessionToken, end] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'].map((name) => memberOf(text, name));
    if (status !== 200 || accessKey === undefined || secretKey === undefined || sessionToken === undefined) throw unreachable(new Error(`The store gave no session: ${status} ${memberOf(text, 'Code') ?? ''}`));
    const endsAt = Date.parse(end ?? '');
    return { accessKey, secretKey, sessionToken, region: credentials.region, endsAt: Number.isNaN(endsAt) ? Date.now() + seconds * 1_000 : endsAt };
  }

  const urlOf = (session: Session, method: string, key: string, query: Record<string, string>, headers: Record<string, string>): string =>
    `${clients.origin}${signUrl({ method, host: clients.host, path: `/${bucket}/${key}`, query, headers }, session, new Date(), DIRECT_URL_SECONDS)}`;

  return {
    async reading() {
      const session = known !== undefined && known.endsAt - Date.now() > RENEWED_BEFORE_MS ? known : await assume(['s3:GetObject', 's3:GetObjectVersion'], '*', READING_SECONDS);
      known = session;
      return ({ key, version, contentType, disposition }: DirectObject) => urlOf(session, 'GET', key, {
        ...(version === undefined ? {} : { versionId: version }),
        'response-content-type': contentType, 'response-content-disposition': disposition, 'response-cache-control': 'private, no-store',
      }, {});
    },
    async writing(key, { size, contentType }) {
      const session = await assume(['s3:PutObject'], key, WRITING_SECONDS);
      return urlOf(session, 'PUT', key, {}, { 'content-length': String(size), 'content-type': contentType });
    },
  };
}
