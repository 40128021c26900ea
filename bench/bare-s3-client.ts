// The yardstick for uploads to an object store: one PUT from memory to the store with nobody in between, hashed on the way, its
// SHA-256 behind the bytes as a trailer, as Muniment sends what is large.
import { createHash, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { signRequest, UNSIGNED_TRAILER, type S3Credentials } from '../src/content/stores/s3-signature.ts';

export interface BareBucket extends S3Credentials {
  endpoint: string;
  bucket: string;
}

/** Sends `size` bytes, the block over and over; answers the key. Rejects when the store does not take them. */
export async function putBare({ endpoint, bucket, ...credentials }: BareBucket, size: number, block: Buffer): Promise<string> {
  const { hostname, port, host } = new URL(endpoint);
  const key = `bare/${randomUUID()}`;
  const headers = signRequest({
    method: 'PUT', host, path: `/${bucket}/${key}`, query: {}, payloadHash: UNSIGNED_TRAILER,
    headers: { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': String(size), 'x-amz-trailer': 'x-amz-checksum-sha256', 'transfer-encoding': 'chunked', 'if-none-match': '*' },
  }, credentials, new Date());
  await new Promise<void>((resolve, reject) => {
    const outgoing = request({ hostname, port, method: 'PUT', path: `/${bucket}/${key}`, headers }, (incoming) => {
      incoming.resume().on('end', () => { if (incoming.statusCode === 200) resolve(); else reject(new Error(`The store answered ${incoming.statusCode}`)); });
    });
    outgoing.on('error', reject);
    const hash = createHash('sha256');
    let left = size;
    const more = (): void => {
      while (left > 0) {
        const part = left >= block.length ? block : block.subarray(0, left);
        left -= part.length;
        hash.update(part);
        outgoing.write(`${part.length.toString(16)}\r\n`);
        outgoing.write(part);
        if (!outgoing.write('\r\n') && left > 0) { outgoing.once('drain', more); return; }
      }
      outgoing.end(`0\r\nx-amz-checksum-sha256:${hash.digest('base64')}\r\n\r\n`);
    };
    more();
  });
  return key;
}
