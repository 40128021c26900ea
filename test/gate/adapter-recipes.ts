// For each row of the ways in beside FHIR a request that it answers with success, and the events that this leaves. A row that
// stands here under no name has no recipe, and the walk fails by it.
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { formOf, somePdf } from '../support/documents-client.ts';
import { eventually } from '../support/eventually.ts';
import { documentReference, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import type { TestMuniment } from '../support/start-muniment.ts';

export interface AdapterRecipe {
  path: string;
  call?: Call;
  /** The status of the success. */
  status: number;
  /** How many events it leaves: one, and one more for each entry of what is a Bundle inside. */
  events?: number;
  /** Interaction that the event names, where it is not the row's own: an update that creates. */
  code?: string;
  /** Of a list: the id in it of what was made for it. */
  shows?: string;
}

/** Whom what is made is about, and of which category; without it, of somebody new each time. */
export interface AboutWhom {
  patient: string;
  category: string;
}

type Recipe = (make: Makers) => Promise<AdapterRecipe>;

interface Makers {
  send(path: string, body?: unknown, call?: Call): Promise<Answer>;
  form(path: string, fields: Record<string, string>, count?: number): Promise<AdapterRecipe & { call: Call }>;
  document(): Promise<string>;
  annotation(): Promise<string>;
  record(): Promise<number>;
  parked(): Promise<string>;
  grant(method: 'GET' | 'PUT'): Promise<string>;
  /** The token of a grant by which bytes lie in the store that nobody looked at yet. */
  sentToStore(): Promise<string>;
  upload(): Promise<string>;
  hold(): Promise<string>;
  purge(): Promise<string>;
  emergency(): Promise<string>;
  person(): Promise<string>;
  picture(): Promise<Buffer>;
  binary(): Promise<string>;
  patient(): string;
  category: string;
  /** The token of a second administrator: what one asked for, another one decides. */
  other: string;
}

/** Stands in everything that is content of a document here: it may be in no record and in no log. */
export const CONTENT = 'told-to-the-doctor-alone';

const JSON_BODY = { 'content-type': 'application/json' };
const TUS = { 'tus-resumable': '1.0.0' };
const REASON = { reason: 'A walk through all rows' };
const MARKER = { type: 'marker', content: { text: CONTENT, coordinates: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 } } };
const medicalRecord = (patient: string): object => ({ appointment_id: 1, template_id: 2, patient_id: patient, drawing_data: { lines: [], shapes: [], stageSize: { width: 8, height: 6 } }, form_data: { notes: CONTENT } });
const json = (method: string, body: object, headers: Record<string, string> = {}): Call => ({ method, body: Buffer.from(JSON.stringify(body)), headers: { ...JSON_BODY, ...headers } });
const get = (path: string): AdapterRecipe => ({ path, status: 200 });

async function makers(server: TestMuniment, client: FhirClient, about?: AboutWhom): Promise<Makers> {
  const patient = (): string => about?.patient ?? randomUUID();
  const category = about?.category ?? 'other';
  const root = server.fhirBase.replace(/\/fhir$/, '');
  const other = await server.token({ user: 'Practitioner/another', client: 'another' });
  const send: Makers['send'] = async (path, body, call = {}) => {
    const answer = await client.call(`${root}/${path}`, { ...(body === undefined ? {} : json('POST', body as object)), ...call });
    if (answer.status >= 300) throw new Error(`The walk cannot prepare ${path}: ${answer.status} ${answer.text}`);
    return answer;
  };
  const form: Makers['form'] = async (path, fields, count = 1) => {
    const files = Array.from({ length: count }, (_, at) => ({ bytes: Buffer.concat([somePdf(), Buffer.from(CONTENT)]), name: `${at}.pdf`, field: count === 1 ? 'file' : 'files' }));
    const encoded = new Response(formOf(files, fields));
    return { path, status: 201, call: { method: 'POST', body: Buffer.from(await encoded.arrayBuffer()), headers: { 'content-type': encoded.headers.get('content-type') ?? '' } } };
  };
  const document = async (): Promise<string> => {
    const { path, call } = await form('documents', { patient_id: patient(), category });
    return (await send(path, undefined, call)).json.id;
  };
  const lend = async (method: 'GET' | 'PUT'): Promise<{ token: string; id: string }> => {
    const { json: { id } } = await client.post('Binary', `lent ${CONTENT}`, { 'content-type': 'text/plain' });
    const { json: answer } = await client.post(`Binary/${id}/$signed-url`, { resourceType: 'Parameters', parameter: [{ name: 'method', valueCode: method }] });
    const named = (wanted: string): { valueUrl?: string; valueId?: string } => (answer as { parameter: { name: string; valueUrl?: string; valueId?: string }[] }).parameter.find(({ name }) => name === wanted) ?? {};
    return { token: named('url').valueUrl?.split('/files/')[1] ?? '', id: named('grant').valueId ?? '' };
  };
  const picture = (): Promise<Buffer> => sharp({ create: { width: 600, height: 600, channels: 3, background: '#369' } }).jpeg().toBuffer();
  return {
    send, form, document, picture, patient, category, other,
    annotation: async () => { const id = await document(); return `documents/${id}/annotations/${(await send(`documents/${id}/annotations`, MARKER)).json.id}`; },
    record: async () => (await send('api/medical-records', medicalRecord(patient()))).json.id,
    async parked() {
      const { json: { id } } = await client.post('DocumentReference', documentReference());
      await server.sql('update outbox set taken = true where id = $1', [id]);
      await server.sql(`insert into mirror_head (org, type, id, lane, shard, state, parked_at, attempts, refusals, last_error) select org, type, id, 1, 1, 'parked', now(), 5, 5, 'HTTP 422: HAPI-1' from resource where id = $1`, [id]);
      return `DocumentReference/${id}`;
    },
    grant: async (method) => (await lend(method)).token,
    async sentToStore() {
      // What a store that gives out URLs of its own would have taken by one of them.
      const { token, id } = await lend('PUT');
      const key = `inbox/${id.replaceAll('-', '')}`;
      await server.sql('update access_grant set direct = true where id = $1', [id]);
      await server.sql(`insert into content (org, id, state, store, key, chunk_bytes, declared_type, creator) select org, id, 'staging', 'local', $2, 1048576, 'text/plain', owner from access_grant where id = $1`, [id, key]);
      await mkdir(join(server.dataDir, 'content', 'inbox'), { recursive: true });
      await writeFile(join(server.dataDir, 'content', key), `sent ${CONTENT}`);
      return token;
    },
    upload: async () => (await send('uploads', undefined, { method: 'POST', headers: { ...TUS, 'upload-length': '5' } })).headers.get('location')?.split('/').at(-1) ?? '',
    hold: async () => (await send('admin/holds', { target: `Patient/${randomUUID()}`, ...REASON })).json.id,
    async purge() {
      const { json: { id } } = await client.post('DocumentReference', documentReference());
      await server.sql(`update resource set last_updated = last_updated - interval '40 years', date_hi = date_hi - interval '40 years' where id = $1`, [id]);
      return (await send('admin/purges', { reference: `DocumentReference/${id}`, ...REASON })).json.id;
    },
    async emergency() {
      const { json: answer } = await client.post(`Patient/${randomUUID()}/$break-glass`, { resourceType: 'Parameters', parameter: [{ name: 'reason', valueString: REASON.reason }] });
      return (answer as { parameter: { name: string; valueUuid?: string }[] }).parameter.find(({ name }) => name === 'break-glass')?.valueUuid?.slice('urn:uuid:'.length) ?? '';
    },
    async person() {
      const path = `profiles/patient/${patient()}/image`;
      await send(path, undefined, { method: 'PUT', body: await picture(), headers: { 'content-type': 'image/jpeg' } });
      return path;
    },
    binary: async () => (await client.post('Binary', `unlinked ${CONTENT}`, { 'content-type': 'text/plain' })).json.id,
  };
}

async function newPolicy({ send }: Makers): Promise<AdapterRecipe> {
  const { json: policy, headers } = await send('admin/policy');
  return { path: 'admin/policy', status: 200, call: json('PUT', { rules: policy.rules, ...REASON }, { 'if-match': headers.get('etag') ?? '' }) };
}

const RECIPES: Record<string, Recipe> = {
  'GET files/[token]': async ({ grant }) => get(`files/${await grant('GET')}`),
  'POST files/[token]': async ({ sentToStore }) => ({ path: `files/${await sentToStore()}`, status: 200, call: { method: 'POST' } }),
  'PUT files/[token]': async ({ grant }) => ({ path: `files/${await grant('PUT')}`, status: 200, call: { method: 'PUT', body: `new ${CONTENT}`, headers: { 'content-type': 'text/plain' } } }),
  'POST documents': ({ form, patient, category }) => form('documents', { patient_id: patient(), category }),
  'POST documents/upload': ({ form, patient, category }) => form('documents/upload', { patient_id: patient(), category }),
  'POST documents/bulk': async ({ form, patient, category }) => ({ ...await form('documents/bulk', { patient_id: patient(), category }, 3), events: 4 }),
  'GET documents': async ({ document, send }) => { const { json: { id, patient_id: patient } } = await send(`documents/${await document()}`); return { ...get(`documents?patient_id=${patient}&_count=100`), shows: id }; },
  'GET documents/[id]': async ({ document }) => get(`documents/${await document()}`),
  'GET documents/[id]/download': async ({ document }) => get(`documents/${await document()}/download`),
  async 'GET documents/[id]/thumbnail'({ picture, send, patient, category }) {
    const encoded = new Response(formOf([{ bytes: await picture(), name: 'a.jpg', type: 'image/jpeg' }], { patient_id: patient(), category }));
    const { json: { id } } = await send('documents', undefined, { method: 'POST', body: Buffer.from(await encoded.arrayBuffer()), headers: { 'content-type': encoded.headers.get('content-type') ?? '' } });
    await eventually(() => send(`documents/${id}`), ({ json: made }) => made.thumbnail_url !== null, 20_000);
    return get(`documents/${id}/thumbnail`);
  },
  'DELETE documents/[id]': async ({ document }) => ({ path: `documents/${await document()}`, status: 200, call: { method: 'DELETE' } }),
  'POST documents/[id]/annotations': async ({ document }) => ({ path: `documents/${await document()}/annotations`, status: 201, call: json('POST', MARKER) }),
  'GET documents/[id]/annotations': async ({ annotation }) => { const [, id, , shows = ''] = (await annotation()).split('/'); return { ...get(`documents/${id}/annotations`), shows }; },
  'GET documents/[id]/annotations/[annotation]': async ({ annotation }) => get(await annotation()),
  'PUT documents/[id]/annotations/[annotation]': async ({ annotation }) => ({ path: await annotation(), status: 200, call: json('PUT', { ...MARKER, page_number: 3 }) }),
  'PATCH documents/[id]/annotations/[annotation]': async ({ annotation }) => ({ path: await annotation(), status: 200, call: { method: 'PATCH', body: JSON.stringify({ page_number: 4 }), headers: { 'content-type': 'application/merge-patch+json' } } }),
  'DELETE documents/[id]/annotations/[annotation]': async ({ annotation }) => ({ path: await annotation(), status: 200, call: { method: 'DELETE' } }),
  'POST api/medical-records': async ({ patient }) => ({ path: 'api/medical-records', status: 201, call: json('POST', medicalRecord(patient())) }),
  'POST api/medical-records/$import-saved-state': async ({ patient }) => ({ path: 'api/medical-records/$import-saved-state', status: 201, call: json('POST', { lines: [], shapes: [], stageSize: { width: 8, height: 6 }, appointment_id: 5, patient_id: patient(), savedAt: '2025-12-10T10:00:00Z' }) }),
  'GET api/medical-records': async ({ record, send }) => { const { json: { id, patient_id: patient } } = await send(`api/medical-records/${await record()}`); return { ...get(`api/medical-records?patient_id=${patient}&_count=100`), shows: String(id) }; },
  'GET api/medical-records/[id]': async ({ record }) => get(`api/medical-records/${await record()}`),
  'PATCH api/medical-records/[id]/draft': async ({ record }) => ({ path: `api/medical-records/${await record()}/draft`, status: 200, call: json('PATCH', { form_data: { notes: `${CONTENT} b` } }, { 'if-match': '"1"' }) }),
  'POST api/medical-records/[id]/finalise': async ({ record }) => ({ path: `api/medical-records/${await record()}/finalise`, status: 200, call: { method: 'POST' } }),
  'POST api/patients/[id]/files': async ({ form, patient }) => form(`api/patients/${patient()}/files`, {}),
  'GET admin/organisations': async () => get('admin/organisations'),
  'POST admin/organisations': async () => ({ path: 'admin/organisations', status: 201, call: json('POST', { name: `w-${randomUUID()}` }) }),
  'GET admin/organisations/[name]': async () => get('admin/organisations/demo'),
  'PATCH admin/organisations/[name]': async () => ({ path: 'admin/organisations/demo', status: 200, call: json('PATCH', { title: randomUUID() }) }),
  'GET admin/policy': async () => get('admin/policy'),
  'PUT admin/policy': newPolicy,
  'GET admin/policy/versions': async () => get('admin/policy/versions'),
  async 'GET admin/policy/versions/[version]'(make) {
    const { path, call } = await newPolicy(make);
    return get(`admin/policy/versions/${(await make.send(path, undefined, call)).json.version}`);
  },
  'GET admin/break-glass': async () => get('admin/break-glass'),
  'GET admin/break-glass/[id]': async ({ emergency }) => get(`admin/break-glass/${await emergency()}`),
  'POST admin/break-glass/[id]/$review': async ({ emergency, other }) => ({ path: `admin/break-glass/${await emergency()}/$review`, status: 200, call: { ...json('POST', { note: 'Seen' }), token: other } }),
  'POST admin/policy/$explain': async () => ({ path: 'admin/policy/$explain', status: 200, call: json('POST', { as: 'nurse', can: 'delete', category: 'lab' }) }),
  'GET admin/deliveries': async () => get('admin/deliveries'),
  'POST admin/deliveries/$replay': async ({ parked }) => { await parked(); return { path: 'admin/deliveries/$replay', status: 200, call: json('POST', REASON) }; },
  'GET admin/deliveries/[type]/[id]': async ({ parked }) => get(`admin/deliveries/${await parked()}`),
  'POST admin/deliveries/[type]/[id]/$replay': async ({ parked }) => ({ path: `admin/deliveries/${await parked()}/$replay`, status: 200, call: json('POST', REASON) }),
  'POST admin/deliveries/[type]/[id]/$skip': async ({ parked }) => ({ path: `admin/deliveries/${await parked()}/$skip`, status: 200, call: json('POST', REASON) }),
  'GET admin/files': async () => get('admin/files?_count=1'),
  'GET admin/files/[fileId]': async ({ binary }) => get(`admin/files/${await binary()}`),
  // What the administrator did, and the document that was written by it.
  'POST admin/files/[fileId]/$link': async ({ binary, patient, category }) => ({ path: `admin/files/${await binary()}/$link`, status: 200, call: json('POST', { patient_id: patient(), category, ...REASON }) }),
  'GET admin/file-events': async () => get('admin/file-events?_count=1'),
  'GET admin/jobs': async () => get('admin/jobs'),
  'GET admin/quota': async () => get('admin/quota'),
  'GET admin/holds': async () => get('admin/holds'),
  'POST admin/holds': async () => ({ path: 'admin/holds', status: 201, call: json('POST', { target: `Patient/${randomUUID()}`, ...REASON }) }),
  'GET admin/holds/[id]': async ({ hold }) => get(`admin/holds/${await hold()}`),
  'POST admin/holds/[id]/$lift': async ({ hold }) => ({ path: `admin/holds/${await hold()}/$lift`, status: 200, call: json('POST', REASON) }),
  'GET admin/retention': async () => get('admin/retention'),
  'GET admin/purges': async () => get('admin/purges'),
  'POST admin/purges': async ({ purge, send }) => { const { json: asked } = await send(`admin/purges/${await purge()}`); await send(`admin/purges/${asked.id}/$withdraw`, REASON); return { path: 'admin/purges', status: 201, call: json('POST', { reference: asked.reference, ...REASON }) }; },
  'GET admin/purges/[id]': async ({ purge }) => get(`admin/purges/${await purge()}`),
  'POST admin/purges/[id]/$approve': async ({ purge, other }) => ({ path: `admin/purges/${await purge()}/$approve`, status: 200, call: { ...json('POST', REASON), token: other } }),
  'POST admin/purges/[id]/$withdraw': async ({ purge }) => ({ path: `admin/purges/${await purge()}/$withdraw`, status: 200, call: json('POST', REASON) }),
  'POST uploads': async () => ({ path: 'uploads', status: 201, call: { method: 'POST', headers: { ...TUS, 'upload-length': '5' } } }),
  'HEAD uploads/[upload]': async ({ upload }) => ({ path: `uploads/${await upload()}`, status: 200, call: { method: 'HEAD', headers: TUS } }),
  'PATCH uploads/[upload]': async ({ upload }) => ({ code: 'create', path: `uploads/${await upload()}`, status: 204, call: { method: 'PATCH', body: 'bytes', headers: { ...TUS, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' } } }),
  'DELETE uploads/[upload]': async ({ upload }) => ({ path: `uploads/${await upload()}`, status: 204, call: { method: 'DELETE', headers: TUS } }),
  'POST graphql': async () => ({ path: 'graphql', status: 200, call: json('POST', { query: '{ __typename }' }) }),
  'PUT profiles/[kind]/[id]/image': async ({ picture, patient }) => ({ code: 'create', path: `profiles/patient/${patient()}/image`, status: 201, call: { method: 'PUT', body: await picture(), headers: { 'content-type': 'image/jpeg' } } }),
  'GET profiles/[kind]/[id]/image': async ({ person }) => get(await person()),
  'DELETE profiles/[kind]/[id]/image': async ({ person }) => ({ path: await person(), status: 200, call: { method: 'DELETE' } }),
};

export interface AdapterRow {
  method: string;
  /** With its prefix. */
  path: string;
}

export const nameOfRow = ({ method, path }: AdapterRow): string => `${method} ${path}`;

/** A request that the row answers with success. Raises an Error that says that a row has none. */
export async function adapterBook(server: TestMuniment, client: FhirClient, about?: AboutWhom): Promise<(row: AdapterRow) => Promise<AdapterRecipe>> {
  const make = await makers(server, client, about);
  return async (row) => {
    const recipe = RECIPES[nameOfRow(row)];
    if (recipe === undefined) throw new Error(`The walk has no recipe for ${nameOfRow(row)}: test/gate/adapter-recipes.ts lacks it`);
    return recipe(make);
  };
}
