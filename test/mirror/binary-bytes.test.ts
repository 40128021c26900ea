// Small Binaries at HAPI with their bytes, over a server that mirrors to the real HAPI, whose base stands in TEST_HAPI_URL.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runMirrorCommand } from '../../src/mirror-command.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: Binaries with their bytes at HAPI (TEST_HAPI_URL is not set)');

jest.setTimeout(60_000);

interface AtHapi { contentType: string; data?: string; meta: { source: string; versionId: string } }

(HAPI === undefined ? describe.skip : describe)('a Binary at HAPI', () => {
  const org = `i${randomBytes(6).toString('hex')}`;
  const settings = { MIRROR_BASE_URL: HAPI ?? '', OPERATOR_ORG: org, MIRROR_BINARY_BYTES_MAX: '1KiB' };
  const [small, edge, large] = [Buffer.from('Befund: unauffällig'), randomBytes(1_024), randomBytes(1_025)] as const;
  let server: TestMuniment;

  async function upload(bytes: Buffer): Promise<string> {
    const response = await fetch(`${server.fhirBase}/Binary`, { method: 'POST', headers: { 'authorization': `Bearer ${await server.token({ org })}`, 'content-type': 'application/octet-stream' }, body: new Uint8Array(bytes) });
    expect(response.status).toBe(201);
    return ((await response.json()) as { id: string }).id;
  }

  const atHapi = async (id: string): Promise<{ status: number; resource: AtHapi }> => {
    const response = await fetch(`${HAPI}/Binary/${id}`, { headers: { 'accept': 'application/fhir+json', 'cache-control': 'no-cache' } });
    return { status: response.status, resource: await response.json() as AtHapi };
  };
  const arrived = (id: string): Promise<{ status: number; resource: AtHapi }> => eventually(() => atHapi(id), ({ status }) => status === 200, 20_000);
  const drained = (): Promise<unknown> => eventually(() => server.sql('select from outbox'), (rows) => rows.length === 0, 20_000);

  async function reconcile(...flags: string[]): Promise<{ verdict: string; drift: { reference: string; kind: string; path: string }[] }> {
    let said = '';
    const spies = [jest.spyOn(process.stdout, 'write').mockImplementation((text) => { said += String(text); return true; }), jest.spyOn(process.stderr, 'write').mockImplementation(() => true)];
    try {
      await runMirrorCommand(['reconcile', '--ours', '--json', '--again', ...flags], { ...settings, DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl, BASE_URL: server.fhirBase.replace(/\/fhir$/, '') });
      return JSON.parse(said) as never;
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  }

  beforeAll(async () => { server = await startMuniment(settings); });
  afterAll(() => server.stop());

  it('has its bytes up to the bound, and none beyond it; both sides are equal', async () => {
    const ids = [await upload(small), await upload(edge), await upload(large)];
    const held = await Promise.all(ids.map(arrived));
    expect(held.map(({ resource }) => resource.data ?? null)).toEqual([small.toString('base64'), edge.toString('base64'), null]);
    await drained();
    expect(await reconcile()).toMatchObject({ verdict: 'equal', types: { Binary: { here: 3, equal: 3 } } });
  });

  it('with other bytes, or without them, is a difference with its place, which repair mends', async () => {
    const [other, without] = [await upload(Buffer.from('one')), await upload(Buffer.from('two'))];
    await Promise.all([other, without].map(arrived));
    await drained();
    for (const [id, change] of [[other, { data: Buffer.from('once').toString('base64') }], [without, { data: undefined }]] as const) {
      const { resource } = await atHapi(id);
      await (await fetch(`${HAPI}/Binary/${id}`, { method: 'PUT', headers: { 'content-type': 'application/fhir+json' }, body: JSON.stringify({ ...resource, ...change }) })).text();
    }
    const { drift } = await reconcile();
    expect(drift.map(({ reference, kind, path }) => [reference, kind, path]).sort()).toEqual([other, without].map((id) => [`Binary/${id}`, 'different', 'Binary.data']).sort());
    expect(await reconcile('--repair')).toMatchObject({ verdict: 'equal' });
    expect((await atHapi(other)).resource.data).toBe(Buffer.from('one').toString('base64'));
  });

  it('that is out of service here goes there without its bytes, and one whose bytes cannot be read waits for them', async () => {
    const id = await upload(Buffer.from('infected later'));
    await arrived(id);
    await drained();
    await server.sql(`update content set state = 'quarantined', quarantine_reason = 'test' where id = (select content from resource where id = $1)`, [id]);
    expect((await reconcile()).drift).toMatchObject([{ reference: `Binary/${id}`, kind: 'different', path: 'Binary.data' }]);
    expect(await reconcile('--repair')).toMatchObject({ verdict: 'equal' });
    expect((await atHapi(id)).resource.data).toBeUndefined();

    const gone = await upload(Buffer.from('its object is lost'));
    await arrived(gone);
    await drained();
    const [row] = await server.sql<{ key: string }>('select key from content where id = (select content from resource where id = $1)', [gone]);
    await rm(join(server.dataDir, 'content', row!.key), { force: true, recursive: true });
    await server.sql('insert into outbox (org, type, id, version, event, lane) select org, type, id, 1, (select id from access_event where write order by id desc limit 1), 1 from resource where id = $1', [gone]);
    await server.sql('update mirror_head set hapi_version = null, delivered_version = 0 where id = $1', [gone]);
    await eventually(async () => (await server.sql<{ state: string }>('select state from content where id = (select content from resource where id = $1)', [gone]))[0]?.state, (state) => state === 'quarantined', 20_000);
    await drained();
  });
});
