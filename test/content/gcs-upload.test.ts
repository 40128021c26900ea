// Resumable uploads of Google Cloud Storage against a server that answers as the documentation says: the emulator takes each part
// as it comes, and resumes nothing.
import { afterEach, describe, expect, it } from '@jest/globals';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ObjectExistsError, type ContentStore } from '../../src/content/content-store.ts';
import { inPieces, MIB } from './byte-sources.ts';
import { json, md5Of, refuse, stopPlaying, storeOn as playedBy, type Behaviour } from './play-google.ts';

afterEach(stopPlaying);

/** Parts of 8 MiB take a busy machine a while, in which it is not the service that is silent. */
const SILENCE_MS = 4_000;
const storeOn = (behaviour: Behaviour): ReturnType<typeof playedBy> => playedBy(behaviour, SILENCE_MS);

/** Does something else with a request than the service would and answers true, or leaves it. */
type Spoil = (range: string, response: ServerResponse, keep: (bytes: Buffer) => void, body: Buffer, request: IncomingMessage) => boolean;

/** The service's side of one resumable upload. */
function resumable(spoil: Spoil): Behaviour & { kept: () => Buffer } {
  let kept = Buffer.alloc(0);
  const keep = (bytes: Buffer): void => { kept = Buffer.concat([kept, bytes]); };
  const play: Behaviour = (request, response, body) => {
    if (request.method === 'POST') return void response.writeHead(200, { location: `http://${request.headers.host}/upload/storage/v1/b/b/o?uploadType=resumable&upload_id=SECRETWORD` }).end();
    if (request.method === 'DELETE') return void response.writeHead(499).end();
    if (request.url?.includes('upload_id=SECRETWORD') !== true) return refuse(response, 404, 'notFound');
    const range = String(request.headers['content-range']);
    if (spoil(range, response, keep, body, request)) return;
    const [, start, total] = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(range) ?? [];
    if (start !== undefined) {
      if (Number(start) !== kept.length) return refuse(response, 503, 'backendError');
      keep(body);
    }
    if (total !== '*' && Number(total) === kept.length) return json(response, 200, { size: String(kept.length), generation: '7', md5Hash: md5Of(kept) });
    response.writeHead(308, kept.length === 0 ? {} : { range: `bytes=0-${kept.length - 1}` }).end();
  };
  return Object.assign(play, { kept: () => kept });
}

describe('a resumable upload', () => {
  const bytes = Buffer.concat([...'abc'].map((letter) => Buffer.alloc(8 * MIB, letter)).concat(Buffer.from('end')));
  const END = bytes.length;
  const [ONE, TWO, THREE] = [8 * MIB, 16 * MIB, 24 * MIB];
  const PARTS = [`0-${ONE - 1}/*`, `${ONE}-${TWO - 1}/*`, `${TWO}-${THREE - 1}/*`, `${THREE}-${END - 1}/${END}`].map((range) => `PUT bytes ${range}`);
  const put = async (store: ContentStore): Promise<unknown> => store.put('k', inPieces(bytes, 1_000_001), {});

  it('sends parts one after the other, and the length of all with the last', async () => {
    const service = resumable(() => false);
    const { store, asked } = await storeOn(service);
    expect(await put(store)).toEqual({ size: END, version: '7', encryption: 'AES256' });
    expect(service.kept().equals(bytes)).toBe(true);
    expect(asked).toEqual(['POST /upload/storage/v1/b/b/o', ...PARTS]);
  });

  it('goes on where the service says that it is, when it kept less than it was sent', async () => {
    const service = resumable((range, response, keep, body) => {
      if (range !== `bytes ${ONE}-${TWO - 1}/*`) return false;
      keep(body.subarray(0, 256 * 1024));
      response.writeHead(308, { range: `bytes=0-${ONE + 256 * 1024 - 1}` }).end();
      return true;
    });
    const { store, asked } = await storeOn(service);
    await put(store);
    expect(service.kept().equals(bytes)).toBe(true);
    expect(asked[3]).toBe(`PUT bytes ${ONE + 256 * 1024}-${TWO - 1}/*`);
  });

  it.each(['a connection that broke', 'a service that said "not now"'])('asks how far the service is after %s, whether it had kept the part or not', async (how) => {
    for (const [keptIt, from, after] of [[true, 1, PARTS[2]], [false, 1, PARTS[1]], [true, 3, undefined], [false, 3, PARTS[3]]] as const) {
      let spoiled = false;
      const service = resumable((range, response, keep, body, request) => {
        if (spoiled || `PUT ${range}` !== PARTS[from]) return false;
        spoiled = true;
        if (keptIt) keep(body);
        if (how.startsWith('a service')) refuse(response, 503, 'backendError');
        else request.socket.resetAndDestroy();
        return true;
      });
      const { store, asked } = await storeOn(service);
      expect(await put(store)).toMatchObject({ size: END, version: '7' });
      expect(service.kept().equals(bytes)).toBe(true);
      expect(asked.slice(from + 2, from + 4)).toEqual([`PUT bytes */${from === 3 ? END : '*'}`, after].filter((line) => line !== undefined));
    }
  });

  it.each<[string, Spoil]>([
    ['says "not now" for ever', (_range, response) => { refuse(response, 503, 'backendError'); return true; }],
    ['never keeps anything', (_range, response) => { response.writeHead(308).end(); return true; }],
    ['falls silent', (range) => range.startsWith(`bytes ${ONE}`)],
    ['forgot the upload', (range, response) => range.startsWith(`bytes ${ONE}`) && (refuse(response, 410, 'gone'), true)],
    ['lost what it had', (range, response) => range.startsWith(`bytes ${TWO}`) && (response.writeHead(308, { range: 'bytes=0-9' }).end(), true)],
  ])('ends within seconds and is unavailable when the service %s; the upload is cancelled', async (_what, spoil) => {
    const { store, asked } = await storeOn(resumable(spoil));
    const begun = performance.now();
    await expect(put(store)).rejects.toMatchObject({ detail: 'unavailable', status: 503 });
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect(asked.at(-1)).toBe('DELETE /upload/storage/v1/b/b/o');
  });

  it('is refused as taken when somebody was first, at its begin or at its end', async () => {
    const end = await storeOn(resumable((range, response) => { if (range.endsWith('/*')) return false; refuse(response, 412, 'conditionNotMet'); return true; }));
    await expect(put(end.store)).rejects.toThrow(ObjectExistsError);
    const begin = await storeOn((_request, response) => refuse(response, 412, 'conditionNotMet'));
    await expect(put(begin.store)).rejects.toThrow(ObjectExistsError);
  });

  it('is removed, in exactly its generation, when the service made other bytes of it', async () => {
    const service = resumable((range, response) => { if (range.endsWith('/*')) return false; json(response, 200, { size: String(END), generation: '9', md5Hash: md5Of(Buffer.from('other')) }); return true; });
    const removed: string[] = [];
    const { store } = await storeOn((request, response, body, asked) => {
      if (request.method === 'DELETE' && request.url?.includes('upload_id') !== true) removed.push(request.url ?? '');
      service(request, response, body, asked);
    });
    await expect(put(store)).rejects.toMatchObject({ detail: 'unavailable' });
    expect(removed).toEqual(['/storage/v1/b/b/o/k?generation=9']);
  });
});
