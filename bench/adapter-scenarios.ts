// The customer's own ways in against FHIR's on the same server: forms against bare bytes, signed URLs against tokens, one bulk
// against its files one by one, a list against the search under it; and small pictures against sharp alone.
import { randomUUID } from 'node:crypto';
import sharp from 'sharp';
import { documentText, pdfOf, streamBlock } from './bench-documents.ts';
import { MIB } from './byte-scenarios.ts';
import { createdUrl, expectReply } from './expected-reply.ts';
import { openConnections, type Call, type Connections } from './keep-alive.ts';
import type { Scenario, Subject } from './scenario.ts';
import type { Peer } from './servers.ts';
import { startBarePictures } from './bare-pictures.ts';

export const ADAPTERS = ['form-256m', 'signed-64m', 'bulk-100m', 'list-20', 'document-100k', 'photo-300k', 'thumbnails'] as const;
export type AdapterScenario = (typeof ADAPTERS)[number];

const CLIENTS = 8;
/** As curl and browsers make them: what looks for it is the faster the longer it is. */
const BOUNDARY = '------------------------Zq3vT8mWk1LhYc0bRd7nXs';
const FORM = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };
const BULK_FILES = 100;
const BULK_BYTES = 1_000_000;
const PICTURES = 40;

const partHead = (name: string, contentType: string, file?: string): string =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file === undefined ? '\r\n\r\n' : `; filename="${file}"\r\nContent-Type: ${contentType}\r\n\r\n`}`;
const field = (name: string, value: string): string => `${partHead(name, '')}${value}\r\n`;
const END = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);

/** The form of one document around its bytes. */
const before = (patient: string, contentType: string, name = 'a.pdf'): Buffer => Buffer.from(`${field('patient_id', patient)}${partHead('file', contentType, name)}`);
const formOf = (patient: string, bytes: Buffer, contentType: string): Buffer => Buffer.concat([before(patient, contentType), bytes, END]);

const BLOCK = streamBlock();

/** One document of so many bytes of no known type. */
export async function uploadForm(connections: Connections, { base, headers }: Pick<Peer, 'base' | 'headers'>, size: number): Promise<void> {
  const stream = { size, block: BLOCK, before: before(randomUUID(), 'application/octet-stream', 'a.bin'), behind: END };
  await expectReply(connections, { method: 'POST', url: base.replace(/fhir$/, 'documents'), headers: { ...headers, ...FORM }, stream }, 201);
}

/** As large as a photograph of so many pixels: noise that no encoder makes small. */
async function photograph(width: number, height: number): Promise<Buffer> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 8 };
  return sharp({ create: { width, height, channels: 3, background: '#808080', noise } }).jpeg({ quality: 75 }).toBuffer();
}

export interface AdapterScenarios {
  scenario(name: AdapterScenario): Promise<Scenario>;
  close(): void;
}

export function openAdapterScenarios(muniment: Peer, quick: boolean): AdapterScenarios {
  const connections = openConnections(CLIENTS);
  const root = muniment.base.replace(/\/fhir$/, '');
  const block = BLOCK;
  const seconds = quick ? 1.5 : 4;
  let position = 0;
  const closers: (() => void)[] = [];
  const send = (call: Call, status: number): ReturnType<typeof expectReply> => expectReply(connections, { ...call, headers: { ...muniment.headers, ...call.headers } }, status);
  const minimal = { accept: 'application/fhir+json', prefer: 'return=minimal' };
  const ours = (work: Subject['work']): Subject => ({ name: 'muniment', work });

  async function binary(body: Pick<Call, 'body' | 'stream'>, contentType = 'application/pdf'): Promise<string> {
    return createdUrl(await send({ method: 'POST', url: `${muniment.base}/Binary`, headers: { ...minimal, 'content-type': contentType }, ...body }, 201), muniment.base);
  }
  const document = (bytes: Buffer, contentType = 'application/pdf', patient: string = randomUUID()): ReturnType<typeof expectReply> =>
    send({ method: 'POST', url: `${root}/documents`, headers: FORM, body: formOf(patient, bytes, contentType) }, 201);
  const json = async (url: string): Promise<Record<string, unknown>[]> => (await fetch(url, { headers: muniment.headers })).json() as Promise<Record<string, unknown>[]>;

  async function form(): Promise<Scenario> {
    const size = 256 * MIB;
    return {
      name: 'form-256m', bytes: size, bounds: { clients: 1, seconds: 120, countMax: 1 },
      ours: ours(() => uploadForm(connections, muniment, size)),
      yardstick: { name: 'binary', work: async () => { await binary({ stream: { size, block } }, 'application/octet-stream'); } },
    };
  }

  async function signed(): Promise<Scenario> {
    const size = 64 * MIB;
    const url = await binary({ stream: { size, block } }, 'application/octet-stream');
    const lent = await fetch(`${url}/$signed-url`, { method: 'POST', headers: muniment.headers });
    const { parameter } = await lent.json() as { parameter: { valueUrl?: string }[] };
    const open = parameter.find(({ valueUrl }) => valueUrl !== undefined)?.valueUrl ?? '';
    const whole = async (call: Call): Promise<void> => {
      const { bytes } = await expectReply(connections, call, 200);
      if (bytes !== size) throw new Error(`${bytes} bytes came instead of ${size}`);
    };
    return {
      name: 'signed-64m', bytes: size, bounds: { clients: 1, seconds, countMax: 50 },
      ours: ours(() => whole({ method: 'GET', url: open })),
      yardstick: { name: 'token', work: () => whole({ method: 'GET', url, headers: { ...muniment.headers, accept: '*/*' } }) },
    };
  }

  async function bulk(): Promise<Scenario> {
    const files = Array.from({ length: BULK_FILES }, (_, at) => pdfOf(block, at).subarray(0, BULK_BYTES));
    const body = Buffer.concat([Buffer.from(field('patient_id', 'bench-bulk')), ...files.flatMap((bytes, at) => [Buffer.from(`${at === 0 ? '' : '\r\n'}${partHead('files', 'application/pdf', `${at}.pdf`)}`), bytes]), END]);
    return {
      name: 'bulk-100m', bytes: BULK_FILES * BULK_BYTES, bounds: { clients: 1, seconds: 120, countMax: 1 },
      ours: ours(async () => { await send({ method: 'POST', url: `${root}/documents/bulk`, headers: FORM, body }, 201); }),
      yardstick: { name: 'singly', work: async () => { for (const bytes of files) await document(bytes, 'application/pdf', 'bench-bulk'); } },
    };
  }

  async function list(): Promise<Scenario> {
    const bytes = pdfOf(block, 0).subarray(0, 2_000);
    for (let count = 0; count < 40; count += 1) await document(bytes, 'application/pdf', `bench-list-${count % 2}`);
    const page = async (url: string): Promise<void> => { await send({ method: 'GET', url }, 200); };
    return {
      name: 'list-20', bounds: { clients: CLIENTS, seconds, countMax: 100_000 },
      ours: ours(() => page(`${root}/documents?patient_id=bench-list-0`)),
      yardstick: { name: 'search', work: () => page(`${muniment.base}/DocumentReference?patient=bench-list-0&_count=20`) },
    };
  }

  async function document100k(): Promise<Scenario> {
    const size = 100_000;
    const fresh = (): Buffer => pdfOf(block, position++).subarray(0, size);
    return {
      name: 'document-100k', bounds: { clients: CLIENTS, seconds, countMax: 5_000 },
      ours: ours(async () => { await document(fresh()); }),
      yardstick: {
        name: 'fhir',
        async work() {
          const url = await binary({ body: fresh() });
          await send({ method: 'POST', url: `${muniment.base}/DocumentReference`, headers: { ...minimal, 'content-type': 'application/fhir+json' }, body: documentText(position, { url, contentType: 'application/pdf', size }) }, 201);
        },
      },
    };
  }

  /** Uploads whose pictures are made meanwhile, and uploads of as many bytes that have none. */
  async function photo(): Promise<Scenario> {
    const image = await photograph(1_600, 1_200);
    const patient = randomUUID();
    return {
      name: 'photo-300k', bytes: image.length, bounds: { clients: 4, seconds, countMax: 60 },
      ours: { name: 'muniment', work: async () => { await document(image, 'image/jpeg', patient); }, settle: () => allPictured(patient) },
      yardstick: { name: 'pdf', work: async () => { await document(Buffer.concat([Buffer.from('%PDF-1.7\n'), image])); } },
    };
  }

  async function allPictured(patient: string): Promise<void> {
    while ((await json(`${root}/documents?patient_id=${patient}&_count=1000`)).some((one) => one['thumbnail_url'] === null)) await new Promise((resolve) => { setTimeout(resolve, 200); });
  }

  /** From the first upload of so many until the last one has its picture. */
  async function thumbnails(): Promise<Scenario> {
    const image = await photograph(4_000, 3_000);
    const bare = await startBarePictures(image);
    closers.push(bare.stop);
    return {
      name: 'thumbnails', bounds: { clients: 1, seconds: 300, countMax: 1 },
      ours: ours(async () => {
        const patient = randomUUID();
        let left = PICTURES;
        await Promise.all(Array.from({ length: CLIENTS }, async () => { while (left > 0) { left -= 1; await document(image, 'image/jpeg', patient); } }));
        await allPictured(patient);
      }),
      yardstick: { name: 'sharp', work: () => bare.draw(PICTURES) },
    };
  }

  const makers: Record<AdapterScenario, () => Promise<Scenario>> = { 'form-256m': form, 'signed-64m': signed, 'bulk-100m': bulk, 'list-20': list, 'document-100k': document100k, 'photo-300k': photo, thumbnails };
  return { scenario: (name) => makers[name](), close: () => { connections.close(); for (const close of closers) close(); } };
}
