// Reading and removing by the minio client, which has no time limit and no second try of its own: both are ours.
import http from 'node:http';
import https from 'node:https';
import { Client } from 'minio';
import type { ListedObject, StoredObject } from '../content-store.ts';
import type { S3Credentials } from './s3-signature.ts';
import { unreachable } from './store-errors.ts';
import { dropIdle } from './store-request.ts';
import { StoreConnectionError, watchSilence, type SilenceWatch } from './store-silence.ts';

export interface S3Reading {
  get(key: string, range: { start: number; length: number }, version: string | undefined): Promise<AsyncIterable<Buffer>>;
  /** Newest first; what was written before versions were kept is the version `null`. */
  versions(key: string): Promise<StoredObject[]>;
  list(after: string): AsyncIterable<ListedObject>;
  remove(key: string, version: string | undefined): Promise<void>;
}

/** One entry of the client's listing with versions. */
interface ListedVersion {
  name?: string;
  size: number;
  versionId?: string;
  isDeleteMarker?: boolean;
}

type Login = Pick<S3Credentials, 'accessKey' | 'secretKey'>;

const MISSING = /^(NoSuchKey|NoSuchVersion|NotFound|InvalidRange|MethodNotAllowed)$/;

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? '';
}

export function openS3Reading(endpoint: URL, bucket: string, credentials: S3Credentials, agent: http.Agent, silenceMs: number): S3Reading {
  async function twice<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!/^(ECONNRESET|EPIPE|ECONNABORTED)$/.test(codeOf(error))) throw error;
      dropIdle(agent);
      return work();
    }
  }

  const secure = endpoint.protocol === 'https:';
  const watches = new WeakMap<object, SilenceWatch>();

  /** Each request of the client is watched; the watch of an answer goes on until its last byte. */
  function request(options: https.RequestOptions, onResponse: (response: http.IncomingMessage) => void): http.ClientRequest {
    const sent = (secure ? https : http).request(options, (response) => {
      watches.set(response, watch);
      onResponse(response);
    });
    const watch = watchSilence(sent, silenceMs);
    return sent.once('close', watch.stop);
  }

  const opened = ({ accessKey, secretKey }: Login): Client => new Client({
    endPoint: endpoint.hostname, port: Number(endpoint.port) || (secure ? 443 : 80), useSSL: secure,
    accessKey, secretKey, region: credentials.region, pathStyle: true,
    transport: { request } as unknown as typeof http, transportAgent: agent,
    // Its own second try prints to the console and hides what the store answered.
    retryOptions: { disableRetry: true },
  });
  let login: Login = { accessKey: credentials.accessKey, secretKey: credentials.secretKey };
  let known = opened(login);

  /** The client of the login of this moment. */
  function client(): Client {
    const now: Login = { accessKey: credentials.accessKey, secretKey: credentials.secretKey };
    if (now.accessKey !== login.accessKey || now.secretKey !== login.secretKey) [login, known] = [now, opened(now)];
    return known;
  }

  return {
    async get(key, { start, length }, version) {
      try {
        const stream = await twice(() => client().getPartialObject(bucket, key, start, length, version === undefined ? {} : { versionId: version }));
        return taken(stream as AsyncIterable<Buffer> & { destroy(): void }, watches.get(stream));
      } catch (error) {
        // The reader finds that missing bytes do not match.
        if (MISSING.test(codeOf(error))) return nothing();
        throw unreachable(error);
      }
    },
    async versions(key) {
      try {
        const found: StoredObject[] = [];
        for await (const one of client().listObjects(bucket, key, false, { IncludeVersion: true }) as AsyncIterable<ListedVersion>) {
          if (one.name !== key || one.isDeleteMarker === true) continue;
          found.push({ size: one.size, version: one.versionId ?? 'null' });
        }
        return found;
      } catch (error) {
        throw unreachable(error);
      }
    },
    async *list(after) {
      try {
        for await (const { name, size, lastModified } of client().listObjectsV2(bucket, '', true, after) as AsyncIterable<{ name?: string; size: number; lastModified?: Date }>) {
          if (name !== undefined) yield { key: name, size, modified: lastModified ?? new Date(0) };
        }
      } catch (error) {
        throw unreachable(error);
      }
    },
    async remove(key, version) {
      try {
        await twice(() => client().removeObject(bucket, key, version === undefined ? {} : { versionId: version }));
        await twice(() => client().removeIncompleteUpload(bucket, key));
      } catch (error) {
        // The client asks to end an upload even where it found none.
        if (codeOf(error) !== 'NoSuchUpload') throw unreachable(error);
      }
    },
  };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // See get.
}

/** While the taker does not ask, the store may be silent. */
async function* taken(stream: AsyncIterable<Buffer> & { destroy(): void }, watch: SilenceWatch | undefined): AsyncGenerator<Buffer> {
  try {
    watch?.resume();
    for await (const piece of stream) {
      watch?.pause();
      yield piece;
      watch?.resume();
    }
  } catch (error) {
    throw unreachable(error instanceof StoreConnectionError ? error : new StoreConnectionError(codeOf(error), error));
  } finally {
    watch?.stop();
    stream.destroy();
  }
}
