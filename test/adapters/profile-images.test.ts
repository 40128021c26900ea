// Images of people (seed 000; inventory rows 21 and 22, conflict C42), and what HAPI, where people live, is told of them.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import sharp, { type Sharp } from 'sharp';
import { formOf } from '../support/documents-client.ts';
import { eventually } from '../support/eventually.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import { openDatabase } from '../../src/database/database.ts';
import { createScrubRecord } from '../../src/gate/record-scrub.ts';
import { removeReplaced } from '../../src/resources/replaced-images.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: photos at HAPI (TEST_HAPI_URL is not set)');
jest.setTimeout(90_000);

let server: TestMuniment;
let fhir: FhirClient;
let root: string;

beforeAll(async () => {
  server = await startMuniment(HAPI === undefined ? {} : { MIRROR_BASE_URL: HAPI });
  fhir = fhirClient(server.fhirBase, await server.token());
  root = server.fhirBase.replace(/\/fhir$/, '/profiles');
});
afterAll(() => server.stop());

const photo = (color = '#336699', width = 800, height = 600): Sharp => sharp({ create: { width, height, channels: 3, background: color } });
const jpeg = (color?: string): Promise<Buffer> => photo(color).jpeg().toBuffer();
const put = (path: string, body: Buffer, type = 'image/jpeg', client = fhir, headers: Record<string, string> = {}): Promise<Answer> => client.call(`${root}/${path}/image`, { method: 'PUT', body, headers: { 'content-type': type, ...headers } });
const see = (path: string, query = '', client = fhir): Promise<Answer> => client.call(`${root}/${path}/image${query}`);
const remove = (path: string, client = fhir): Promise<Answer> => client.call(`${root}/${path}/image`, { method: 'DELETE' });
const person = (kind = 'patient'): string => `${kind}/${randomUUID()}`;
const codeOf = ({ status, json }: Answer): unknown[] => [status, json?.code];

describe('the image of a person', () => {
  it('is kept as squares of 512 and 96 pixels, upright and without metadata; it is a Media about that person', async () => {
    const who = person();
    const sent = await photo('#aa3311', 900, 400).withExif({ IFD0: { Artist: 'A name' }, IFD3: { GPSLatitude: '51/1 30/1 0/1' } }).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const answer = await put(who, sent);
    expect([answer.status, answer.json]).toEqual([201, {
      type: 'patient', id: who.split('/')[1], image_url: `${root}/${who}/image`, avatar_url: `${root}/${who}/image?size=96`, content_type: 'image/jpeg', updated_at: expect.stringMatching(/^\d{4}-/), media: expect.stringMatching(/^Media\/profile-[0-9a-f]{40}$/),
    }]);
    for (const [query, edge] of [['', 512], ['?size=512', 512], ['?size=96', 96]] as const) {
      const shown = await see(who, query);
      expect([shown.status, shown.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
      const { width, height, exif, orientation } = await sharp(shown.bytes).metadata();
      expect([width, height, exif, orientation]).toEqual([edge, edge, undefined, undefined]);
    }
    const media = (await fhir.get(answer.json.media)).json;
    expect(media).toMatchObject({ resourceType: 'Media', status: 'completed', subject: { reference: `Patient/${who.split('/')[1]}` }, operator: { reference: 'Practitioner/demo' }, height: 512, width: 512, meta: { tag: [{ code: 'profile' }] }, content: { contentType: 'image/jpeg' } });
  });

  it('comes as JPEG, PNG, WebP or in a form, and again over the one before, whose bytes stay for thirty days', async () => {
    const who = person('practitioner');
    expect((await put(who, await photo('#111').png().toBuffer(), 'image/png')).status).toBe(201);
    const first = await see(who);
    expect((await put(who, await photo('#eee').webp().toBuffer(), 'image/webp')).status).toBe(200);
    const encoded = new Response(formOf([{ bytes: await jpeg('#0a0'), type: 'image/jpeg', name: 'me.jpg' }]));
    const last = await put(who, Buffer.from(await encoded.arrayBuffer()), encoded.headers.get('content-type') ?? '');
    expect(last.status).toBe(200);
    const shown = await see(who);
    expect((await sharp(shown.bytes).stats()).dominant).toMatchObject({ r: expect.any(Number), g: expect.any(Number) });
    const { json } = await fhir.get(`${last.json.media}/_history`);
    expect(json.total).toBe(3);
    const oldest = json.entry.at(-1).resource.content.url as string;
    expect((await fhir.call(oldest, { headers: { accept: '*/*' } })).bytes.equals(first.bytes)).toBe(true);
    const kept = await server.sql<{ days: number }>(`select round(extract(epoch from remove_at - now()) / 86400)::int as days from replaced_image where "binary" = $1`, [oldest.split('/').at(-1)]);
    expect(kept).toEqual([{ days: 30 }]);
  });

  it('that was replaced is removed after its time, with the record of it, unless it is held or in use', async () => {
    const who = person();
    const { json: { media } } = await put(who, await jpeg('#100'));
    const old = ((await fhir.get(media)).json.content.url as string).split('/').at(-1) ?? '';
    await put(who, await jpeg('#200'));
    const keys = (await server.sql<{ key: string }>(`select c.key from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1 union select c.key from content c join rendition t on t.org = c.org and t.content = c.id where t."binary" = $1 and t.edge = 96`, [old])).map(({ key }) => join(server.dataDir, 'content', key));
    expect(keys.map((key) => existsSync(key))).toEqual([true, true]);
    await server.sql(`update replaced_image set remove_at = now() - interval '1 minute' where "binary" = $1`, [old]);
    const hold = await fhir.call(`${server.fhirBase.replace(/\/fhir$/, '')}/admin/holds`, { method: 'POST', body: JSON.stringify({ target: `Patient/${who.split('/')[1]}`, reason: 'Case' }), headers: { 'content-type': 'application/json' } });
    const database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true });
    const parts = { database, stores: [openFilesystemStore({ directory: join(server.dataDir, 'content') })], record: createScrubRecord({ database, observer: 'test', by: 'server' }) };
    try {
      await removeReplaced(parts);
      expect(keys.map((key) => existsSync(key))).toEqual([true, true]);
      await fhir.call(`${server.fhirBase.replace(/\/fhir$/, '')}/admin/holds/${hold.json.id}/$lift`, { method: 'POST', body: JSON.stringify({ reason: 'Closed' }), headers: { 'content-type': 'application/json' } });
      await server.sql(`update replaced_image set remove_at = now() - interval '1 minute' where "binary" = $1`, [old]);
      await removeReplaced(parts);
    } finally { await database.close(); }
    expect(keys.map((key) => existsSync(key))).toEqual([false, false]);
    expect((await fhir.get(`Binary/${old}`, { accept: '*/*' })).status).toBe(410);
    expect((await see(who)).status).toBe(200);
    const events = await eventually(() => fhir.get(`AuditEvent?entity=Binary/${old}&_sort=-date`), ({ text }) => text.includes('replaced 30 days ago'));
    expect(events.status).toBe(200);
  });

  it('is deleted by administrators, told as such, and can be set again', async () => {
    const who = person();
    expect(codeOf(await see(who))).toEqual([404, 'not-found']);
    expect(codeOf(await remove(who))).toEqual([404, 'not-found']);
    await put(who, await jpeg());
    const practitioner = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/p' }));
    expect((await remove(who, practitioner)).status).toBe(403);
    expect((await remove(who)).json).toEqual({ success: true });
    for (const answer of [await see(who), await see(who, '?size=96'), await remove(who)]) expect(codeOf(answer)).toEqual([410, 'deleted']);
    expect((await put(who, await jpeg('#123'))).status).toBe(201);
    expect((await see(who)).status).toBe(200);
  });

  it('obeys If-Match, and its ETag counts versions', async () => {
    const who = person();
    const { headers } = await put(who, await jpeg('#010'));
    expect(headers.get('etag')).toBe('W/"1"');
    expect((await put(who, await jpeg('#020'), 'image/jpeg', fhir, { 'if-match': 'W/"1"' })).headers.get('etag')).toBe('W/"2"');
    expect(codeOf(await put(who, await jpeg('#030'), 'image/jpeg', fhir, { 'if-match': 'W/"1"' }))).toEqual([412, 'version-mismatch']);
  });

  it('is a patient\'s own to see and to set, of nobody else, and of no other organisation', async () => {
    const who = person();
    const own = fhirClient(server.fhirBase, await server.token({ scope: 'patient/*.cruds', patient: who.split('/')[1] ?? '', user: `Patient/${who.split('/')[1]}`, roles: [] }));
    expect((await put(who, await jpeg('#777'), 'image/jpeg', own)).status).toBe(201);
    expect((await see(who, '?size=96', own)).status).toBe(200);
    const other = person();
    expect((await put(other, await jpeg(), 'image/jpeg', own)).status).toBe(404);
    await put(other, await jpeg());
    expect((await see(other, '', own)).status).toBe(404);
    expect((await put(other, await jpeg(), 'image/jpeg', own)).status).toBe(404);
    const foreign = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    expect((await see(who, '', foreign)).status).toBe(404);
    const billing = fhirClient(server.fhirBase, await server.token({ roles: ['billing'], user: 'Practitioner/b' }));
    expect((await see(who, '', billing)).status).toBe(403);
    expect((await see(who, '', fhirClient(server.fhirBase, await server.token({ roles: ['read-only'], user: 'Practitioner/r' })))).status).toBe(200);
  });

  it('is refused where it is none, and leaves nothing', async () => {
    const who = person();
    const good = await sharp({ create: { width: 900, height: 900, channels: 3, background: '#000', noise: { type: 'gaussian', mean: 128, sigma: 60 } } }).jpeg().toBuffer();
    // But for the thumbnails, which are made meanwhile.
    const kept = 'select id from content c where not exists (select from rendition r where r.org = c.org and r.content = c.id) order by id';
    const before = await server.sql(kept);
    for (const [body, type, code] of [
      [Buffer.from('%PDF-1.4'), 'application/pdf', [415, 'media-type']], [Buffer.from('no image'), 'image/jpeg', [415, 'media-type']], [await photo().gif().toBuffer(), 'image/png', [415, 'media-type']],
      [good.subarray(0, good.length / 2), 'image/jpeg', [422, 'business-rule']], [Buffer.alloc(17 * 1024 * 1024), 'image/jpeg', [413, 'too-long']],
    ] as const) expect([type, codeOf(await put(who, body, type))]).toEqual([type, code]);
    expect((await put(who, Buffer.from('<svg/>'), 'image/svg+xml')).json.allowedTypes).toEqual(['image/jpeg', 'image/png', 'image/webp']);
    expect(codeOf(await put('organization/1', good))).toEqual([404, 'not-found']);
    for (const query of ['?size=97', '?size=96&size=512', '?edge=96', '?size=']) expect([query, codeOf(await see(who, query))]).toEqual([query, [400, 'invalid-parameter']]);
    expect(await server.sql(kept)).toEqual(before);
  });
});

(HAPI === undefined ? describe.skip : describe)('the photo at HAPI', () => {
  const atHapi = async (path: string, resource?: object): Promise<{ status: number; text: string; json: any }> => { // eslint-disable-line @typescript-eslint/no-explicit-any -- a resource
    const response = await fetch(`${HAPI}/${path}`, {
      headers: { 'accept': 'application/fhir+json', 'content-type': 'application/fhir+json', 'cache-control': 'no-cache' }, ...(resource === undefined ? {} : { method: 'PUT', body: JSON.stringify(resource) }),
    });
    const text = await response.text();
    return { status: response.status, text, json: JSON.parse(text) };
  };

  it.each([['patient', 'Patient'], ['practitioner', 'Practitioner']])('of a %s names the newest image; what others wrote there stays, and the deletion takes ours alone', async (kind, type) => {
    const who = person(kind);
    const reference = `${type}/${who.split('/')[1]}`;
    const theirs = { contentType: 'image/png', url: 'https://elsewhere.example/photo.png' };
    const extension = [{ url: 'https://elsewhere.example/height', valueDecimal: 1.50 }];
    expect((await atHapi(reference, { resourceType: type, id: who.split('/')[1], active: true, name: [{ family: 'Shaw', given: ['Amy'] }], photo: [theirs], extension })).status).toBe(201);
    const { json: { media } } = await put(who, await jpeg('#abc'));
    const ours = async (): Promise<string> => (await fhir.get(media)).json.content.url as string;
    const first = await ours();
    const photos = (): Promise<{ url: string }[]> => atHapi(reference).then(({ json }) => json.photo as { url: string }[]);
    await eventually(photos, (found) => found.length === 2, 60_000);
    expect((await photos()).map(({ url }) => url)).toEqual([first, theirs.url]);
    // Somebody else changes the person meanwhile.
    const { json: changed } = await atHapi(reference);
    await atHapi(reference, { ...changed, active: false });
    await put(who, await jpeg('#def'));
    const second = await ours();
    await eventually(photos, ([one]) => one?.url === second, 60_000);
    const { json, text } = await atHapi(reference);
    expect(json).toMatchObject({ active: false, name: [{ family: 'Shaw' }], photo: [{ contentType: 'image/jpeg', url: second }, theirs] });
    expect(text).toMatch(/1\.50?\b/);
    expect((await remove(who)).status).toBe(200);
    await eventually(photos, (found) => found.length === 1, 60_000);
    expect(await photos()).toEqual([theirs]);
  });

  it('of somebody whom HAPI did not know is written onto the placeholder that the image makes', async () => {
    const who = person();
    await put(who, await jpeg('#fed'));
    const found = await eventually(() => atHapi(`Patient/${who.split('/')[1]}`), ({ json }) => json.photo !== undefined, 60_000);
    expect(found.json.photo[0].contentType).toBe('image/jpeg');
    await eventually(() => server.sql('select 1 from outbox where photo is not null'), (rows) => rows.length === 0, 60_000);
  });
});
