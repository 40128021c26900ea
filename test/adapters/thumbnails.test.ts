// Small pictures of images (seed 000; inventory rows 6, 11, 17 and 25, conflict C41): made behind the answer, kept like any content,
// shown to whoever may see the image.
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import sharp from 'sharp';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import { openDatabase } from '../../src/database/database.ts';
import { tidyRenditions } from '../../src/resources/rendition-worker.ts';
import { documentsClient, formOf, somePdf, type DocumentsClient } from '../support/documents-client.ts';
import { eventually } from '../support/eventually.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let fhir: FhirClient;
let documents: DocumentsClient;

beforeAll(async () => {
  server = await startMuniment();
  fhir = fhirClient(server.fhirBase, await server.token());
  documents = documentsClient(fhir);
});
afterAll(() => server.stop());

/** An image that is like no other. */
async function image(format: 'jpeg' | 'png' | 'webp' = 'jpeg', width = 640, height = 320): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: '#888', noise: { type: 'gaussian', mean: 128, sigma: 40 } } }).withMetadata({ orientation: 6 })[format]().toBuffer();
}

async function upload(bytes: Buffer, type: string, fields: Record<string, string> = {}): Promise<string> {
  const answer = await documents.postForm('', formOf([{ bytes, type, name: 'photo' }], { patient_id: 'p1', category: 'photo', ...fields }));
  expect([answer.status, answer.json.thumbnail_url]).toEqual([201, null]);
  return answer.json.id as string;
}

/** With its picture, which appears within ten seconds. */
const shown = (id: string, client = documents): Promise<Answer> => eventually(() => client.call(`/${id}`), ({ json }) => json.thumbnail_url !== null);
const open = (url: string, headers: Record<string, string> = {}): Promise<Answer> => fhir.call(url, { token: null, headers });
const failureOf = (id: string): Promise<{ state: string; failure: string; attempts: number }> => eventually(
  async () => (await server.sql<{ state: string; failure: string; attempts: number }>(
    `select t.state, t.failure, t.attempts from rendition t join attachment_use u on u.org = t.org and u."binary" = t."binary" where u.id = $1`, [id],
  ))[0] ?? { state: '', failure: '', attempts: 0 },
  ({ state }) => state !== 'waiting' && state !== '',
);

describe('a picture', () => {
  it.each(['jpeg', 'png', 'webp'] as const)('of an image in %s appears behind its answer, upright, and its signed URL shows it to whoever has no token', async (format) => {
    const id = await upload(await image(format), `image/${format}`);
    const { json } = await shown(id);
    expect(json.thumbnail_url).toMatch(new RegExp(`^${server.fhirBase.replace(/fhir$/, 'files')}/[\\w-]{96}$`));
    const answer = await open(json.thumbnail_url);
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cross-origin-resource-policy')]).toEqual([200, 'image/webp', 'cross-origin']);
    expect(answer.headers.get('content-disposition')).toMatch(/^inline/);
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
    const { width, height, format: made, exif } = await sharp(answer.bytes).metadata();
    expect([width, height, made, exif]).toEqual([128, 256, 'webp', undefined]);
    const digest = createHash('sha256').update(answer.bytes).digest();
    expect(answer.headers.get('repr-digest')).toBe(`sha-256=:${digest.toString('base64')}:`);
    expect((await open(json.thumbnail_url, { 'if-none-match': answer.headers.get('etag') ?? '' })).status).toBe(304);
    // Content of its own, beside the image.
    const [row] = await server.sql<{ key: string; source: string; state: string }>(
      `select c.key, s.key as source, c.state from content c join rendition t on t.org = c.org and t.content = c.id join content s on s.org = t.org and s.id = t.source where c.sha256 = $1`, [digest],
    );
    expect(row?.state).toBe('live');
    expect(row?.key).toMatch(/_thumb$/);
    expect(row?.key.startsWith(row.source)).toBe(true);
  });

  it('stands in lists and in what came in through FHIR, and there is none of what is no image', async () => {
    const bytes = await image();
    const binary = await fhir.post('Binary', bytes, { 'content-type': 'image/jpeg' });
    const created = await fhir.post('DocumentReference', {
      resourceType: 'DocumentReference', status: 'current', subject: { reference: 'Patient/p2' }, content: [{ attachment: { contentType: 'image/jpeg', url: `Binary/${binary.json.id}` } }],
    });
    expect(created.status).toBe(201);
    await documents.postForm('', formOf([{ bytes: somePdf() }], { patient_id: 'p2' }));
    const list = await eventually(() => documents.call('?patient_id=p2'), ({ json }) => json.some((one: { thumbnail_url: unknown }) => one.thumbnail_url !== null));
    expect(list.json.map((one: { content_type: string; thumbnail_url: string | null }) => [one.content_type, one.thumbnail_url === null])).toEqual([['application/pdf', true], ['image/jpeg', false]]);
    expect((await open(list.json[1].thumbnail_url)).status).toBe(200);
  });

  it('is recorded with the owner of its URL, the image and the grant, and so is the making of the URL', async () => {
    const id = await upload(await image(), 'image/jpeg', { patient_id: 'p3' });
    const { json, headers } = await shown(id);
    const made = (await fhir.get(`AuditEvent?request-id=${headers.get('x-request-id')}`)).json.entry[0].resource;
    const grant = made.entity.map(({ what }: { what: { identifier?: { value: string } } }) => what.identifier?.value).find((value: string | undefined) => value?.startsWith('urn:uuid:'));
    expect(grant).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
    const answer = await open(json.thumbnail_url, { 'x-request-id': 'thumbnail-shown' });
    expect(answer.status).toBe(200);
    const { resource } = (await eventually(() => fhir.get('AuditEvent?request-id=thumbnail-shown'), (found) => found.json.entry !== undefined)).json.entry[0];
    const references = resource.entity.map(({ what }: { what: { reference?: string } }) => what.reference);
    expect(references).toEqual(expect.arrayContaining(['Patient/p3', expect.stringMatching(/^Binary\/.*\/_history\/1$/)]));
    expect(resource.agent.flatMap(({ policy = [] }: { policy?: string[] }) => policy)).toContain(grant);
    expect(JSON.stringify(resource)).not.toContain(json.thumbnail_url.split('/').at(-1));
  });

  it('goes by one grant of its owner, which stands in no list of grants and can be neither renewed nor used for another thing', async () => {
    const [one, two] = [await upload(await image(), 'image/jpeg', { patient_id: 'p4' }), await upload(await image('png'), 'image/png', { patient_id: 'p4' })];
    const urls = [(await shown(one)).json.thumbnail_url, (await shown(two)).json.thumbnail_url] as string[];
    expect(new Set(urls).size).toBe(2);
    expect(await server.sql('select distinct owner from access_grant where thumbnails')).toHaveLength(1);
    expect((await fhir.get('$grants')).text).not.toContain('thumbnail');
    const binary = (await documents.call(`/${one}`)).json.url.split('/').at(-1);
    expect((await fhir.post(`Binary/${binary}/$refresh-url`, { resourceType: 'Parameters', parameter: [{ name: 'url', valueUrl: urls[0] }] })).status).toBe(404);
    const [first, second] = urls.map((url) => url.split('/').at(-1) ?? '');
    // The signature of one over the picture of another.
    expect((await open(`${urls[0]?.slice(0, -96)}${second?.slice(0, 53)}${first?.slice(53)}`)).status).toBe(401);
    expect((await fhir.call(urls[0] ?? '', { token: null, method: 'PUT', body: 'x', headers: { 'content-type': 'text/plain' } })).status).toBe(403);
  });

  it('is for callers who may lend nothing at an address that asks for their token, and for nobody who may not see the image', async () => {
    const id = await upload(await image(), 'image/jpeg', { patient_id: 'p5' });
    const reader = documentsClient(fhirClient(server.fhirBase, await server.token({ roles: ['read-only'], user: 'Practitioner/reader' })));
    const { json } = await shown(id, reader);
    expect(json.thumbnail_url).toBe(`${documents.base}/${id}/thumbnail`);
    expect((await open(json.thumbnail_url)).status).toBe(401);
    expect((await reader.call(`/${id}/thumbnail`)).headers.get('content-type')).toBe('image/webp');
    const billing = documentsClient(fhirClient(server.fhirBase, await server.token({ roles: ['billing'], user: 'Practitioner/billing' })));
    expect((await billing.call(`/${id}/thumbnail`)).status).toBe(403);
    const other = documentsClient(fhirClient(server.fhirBase, await server.token({ scope: 'patient/*.rs', patient: 'p6', roles: [], user: 'Patient/p6' })));
    expect((await other.call(`/${id}/thumbnail`)).status).toBe(404);
    const foreign = documentsClient(fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' })));
    expect((await foreign.call(`/${id}/thumbnail`)).status).toBe(404);
  });

  it('goes with its image: once the document is deleted its URL is 410', async () => {
    const id = await upload(await image(), 'image/jpeg', { patient_id: 'p7' });
    const { json } = await shown(id);
    expect((await open(json.thumbnail_url)).status).toBe(200);
    expect((await documents.call(`/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await open(json.thumbnail_url)).status).toBe(410);
    expect((await documents.call(`/${id}/thumbnail`)).status).toBe(410);
  });
});

describe('an image that no picture can be made of', () => {
  it('keeps its document and its bytes, says once why, and is not tried again', async () => {
    const whole = await image('jpeg', 1_000, 1_000);
    const id = await upload(whole.subarray(0, whole.length / 2), 'image/jpeg');
    const { state, failure, attempts } = await failureOf(id);
    expect([state, attempts]).toEqual(['failed', 1]);
    expect(failure).toMatch(/premature|truncated|end of/i);
    expect((await documents.call(`/${id}`)).json.thumbnail_url).toBeNull();
    expect((await documents.call(`/${id}/download`)).bytes).toHaveLength(Math.floor(whole.length / 2));
    expect((await documents.call(`/${id}/thumbnail`)).status).toBe(404);
  });

  it('may unfold to more pixels than are drawn: that is said, and the next image has its picture', async () => {
    const chunk = (type: string, data: Buffer): Buffer => {
      const [length, sum, body] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.concat([Buffer.from(type), data])];
      length.writeUInt32BE(data.length);
      sum.writeUInt32BE(crc32(body));
      return Buffer.concat([length, body, sum]);
    };
    const head = Buffer.from([0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30, 1, 0, 0, 0, 0]);
    const bomb = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.alloc(3_751 * 30_000))), chunk('IEND', Buffer.alloc(0))]);
    const id = await upload(bomb, 'image/png');
    expect(await failureOf(id)).toMatchObject({ state: 'failed', failure: expect.stringContaining('pixel limit') });
    await shown(await upload(await image(), 'image/jpeg'));
  });
});

describe('pictures in the background', () => {
  interface PictureRow { id: string; source: string; state: string; key: string }
  const pictureOf = async (id: string): Promise<PictureRow> => (await server.sql<PictureRow>(
    `select c.id, t.source, c.state, c.key from rendition t join attachment_use u on u.org = t.org and u."binary" = t."binary" join content c on c.org = t.org and c.id = t.content where u.id = $1`, [id],
  ))[0] as PictureRow;
  const objectOf = (key: string): string => join(server.dataDir, 'content', key);

  it('leave with the bytes that a purge takes', async () => {
    const id = await upload(await image(), 'image/jpeg', { patient_id: 'p8' });
    await shown(id);
    const picture = await pictureOf(id);
    expect(existsSync(objectOf(picture.key))).toBe(true);
    await server.sql(`update resource set last_updated = last_updated - interval '30 years', date_hi = date_hi - interval '30 years' where id = $1`, [id]);
    const admin = (client: FhirClient, path: string, body: object): Promise<Answer> => client.call(`${server.fhirBase.replace(/\/fhir$/, '')}/admin/purges${path}`, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
    const asked = await admin(fhir, '', { reference: `DocumentReference/${id}`, reason: 'Over' });
    const other = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/other' }));
    expect((await admin(other, `/${asked.json.id}/$approve`, { reason: 'Fine' })).json).toMatchObject({ state: 'done' });
    expect([await server.sql('select state from content where id = $1', [picture.id]), existsSync(objectOf(picture.key))]).toEqual([[{ state: 'gone' }], false]);
  });

  it('of an image whose bytes went otherwise are removed, and are made anew when their own bytes are damaged', async () => {
    const [gone, damaged] = [await upload(await image(), 'image/jpeg', { patient_id: 'p9' }), await upload(await image(), 'image/jpeg', { patient_id: 'p9' })];
    for (const id of [gone, damaged]) await shown(id);
    const [first, second] = [await pictureOf(gone), await pictureOf(damaged)];
    await server.sql(`update content set state = 'condemned' where id = $1`, [first.source]);
    writeFileSync(objectOf(second.key), 'other bytes');
    expect((await open((await shown(damaged)).json.thumbnail_url)).status).toBe(500);
    const database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true });
    const parts = { database, stores: [openFilesystemStore({ directory: join(server.dataDir, 'content') })] };
    try {
      await tidyRenditions(parts);
    } finally { await database.close(); }
    expect([existsSync(objectOf(first.key)), await server.sql('select 1 from rendition where source = $1', [first.source])]).toEqual([false, []]);
    const anew = await eventually(() => pictureOf(damaged), (row) => row?.id !== undefined && row.id !== second.id);
    expect([anew.state, existsSync(objectOf(second.key))]).toEqual(['live', false]);
    expect((await open((await shown(damaged)).json.thumbnail_url)).status).toBe(200);
  });

  it('are made by one of several servers, and what a killed one had leased comes back', async () => {
    const second = await server.startSecond();
    try {
      const ids = await Promise.all(Array.from({ length: 8 }, async () => upload(await image('jpeg', 300, 200), 'image/jpeg')));
      for (const id of ids) await shown(id);
      expect(await server.sql(`select 1 from rendition where state = 'made' group by org, source having count(*) > 1`)).toEqual([]);
      const [made] = await server.sql<{ source: string }>(`update rendition set state = 'waiting', content = null, lease = gen_random_uuid(), due_at = now() + interval '1 second' where state = 'made' returning source`);
      await eventually(() => server.sql(`select 1 from rendition where source = $1 and state = 'made'`, [made?.source]), (rows) => rows.length === 1);
    } finally { await second.stop(); }
  });
});
