// read and vread of Binary (R4 binary.html): the bytes, or the resource with the bytes in base64, as Accept asks. Every chunk is
// verified before it leaves; the first one before the access is recorded, so that a failure is still an answer.
import type { ContentReader } from '../content/read-content.ts';
import type { Transaction } from '../database/database.ts';
import type { ContentRow, VersionRow } from '../database/tables.ts';
import { parseByteRange } from '../fhir/byte-range.ts';
import { contentDisposition } from '../fhir/content-disposition.ts';
import { bytesTag, versionTag } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printJson } from '../fhir/json.ts';
import { summarise, type SummaryForm } from '../fhir/summary.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { readAttachmentTitle } from '../resources/attachment-title.ts';
import { findBinaryOwners, requireReadable } from '../resources/binary-access.ts';
import { readResource } from '../resources/resource-text.ts';
import { readContentRow } from '../resources/read-binary-content.ts';
import { readNewest, readVersion } from '../resources/read-version.ts';
import { base64Resource, base64ResourceLength, jsonFrame, xmlFrame } from './base64-resource.ts';
import { checkBytePreconditions, ifRangeHolds, namesBytes, wantsSha256 } from './byte-conditions.ts';
import { notModified, type ConditionalVersion } from './conditional-read.ts';
import { defineInteraction, type Interaction, type FhirRequest, type InteractionContext, type Outcome } from './interaction.ts';
import { readerOf } from './prepare-document.ts';
import { FHIR_JSON_TYPE, FHIR_XML_TYPE, summaryFormOf } from './representation.ts';

export interface ReadBinaryParts {
  fhirBase: string;
  content: ContentReader;
  /** How Accept and _format choose between bytes and resource. */
  form: (format: string | undefined, accept: string | undefined, storedType: string) => 'raw' | 'json' | 'xml' | 'none';
}

interface Found {
  version: number;
  lastUpdated: number;
  text: string;
  contentType: string;
  securityContext: string | undefined;
  row: ContentRow;
  previousUpdated: () => Promise<number | undefined>;
  /** The name that a document gives the bytes. */
  title: () => Promise<string | undefined>;
}

export function readBinary(parts: ReadBinaryParts, code: 'read' | 'vread'): Interaction {
  return defineInteraction({ code, kind: 'read', run: (tx, context) => runRead(parts, tx, context, code) });
}

/** The newest version, or the one that the URL names. */
async function findVersion(tx: Transaction, { request, org }: InteractionContext, newest: VersionRow | undefined, code: 'read' | 'vread'): Promise<VersionRow | undefined> {
  if (code === 'read' || newest === undefined) return newest;
  return /^[1-9]\d{0,8}$/.test(request.version) ? readVersion(tx, org.id, newest.type, request.id, Number(request.version)) : undefined;
}

async function runRead(parts: ReadBinaryParts, tx: Transaction, context: InteractionContext, code: 'read' | 'vread'): Promise<Outcome> {
  const { request, org } = context;
  const newest = await readNewest(tx, org.id, typeNumber('Binary'), request.id);
  const binary = await findVersion(tx, context, newest, code);
  const reference = code === 'read' ? `Binary/${request.id}` : `Binary/${request.id}/_history/${request.version}`;
  if (newest === undefined || binary === undefined) throw fhirError('not-found', `${reference} is not known here`);
  // The newest version says whose it is; one that is a deletion says nothing of it.
  const reader = readerOf(context, parts.fhirBase);
  const owners = await findBinaryOwners(tx, reader, newest.body === null ? binary : newest);
  requireReadable(owners, reference);
  if (binary.body === null || binary.content === null) throw fhirError('deleted', `${reference} ${code === 'read' ? 'was deleted' : 'is a deletion'}`);
  const resource = JSON.parse(binary.body) as { contentType: string; securityContext?: { reference?: string } };
  const found: Found = {
    version: binary.version, lastUpdated: binary.last_updated.getTime(), text: binary.body, contentType: resource.contentType,
    securityContext: resource.securityContext?.reference, row: await readContentRow(tx, org.id, binary.content),
    previousUpdated: async () => (await readVersion(tx, org.id, binary.type, binary.id, binary.version - 1))?.last_updated.getTime(),
    title: () => readAttachmentTitle(tx, reader, request.id, owners.users),
  };
  const outcome = await answer(parts, request, found);
  outcome.entities = [
    ...owners.patients.map((patient) => ({ reference: patient, role: 'patient' as const })),
    { reference: `Binary/${request.id}/_history/${binary.version}`, role: 'data' },
    ...owners.users.map((user) => ({ reference: user, role: 'data' as const })),
  ];
  return outcome;
}

async function answer(parts: ReadBinaryParts, request: FhirRequest, found: Found): Promise<Outcome> {
  const format = request.query.find(([name]) => name === '_format')?.[1];
  const form = parts.form(format, request.header('accept'), found.contentType);
  switch (form) {
    case 'none': throw fhirError('not-acceptable', `These bytes are ${found.contentType}; ask for that, for */* or for application/fhir+json or application/fhir+xml`);
    case 'raw': return answerRaw(parts, request, found);
    default: return answerResource(parts, request, found, form);
  }
}

function sizeOf(row: ContentRow): number {
  return Number(row.size);
}

function sharedHeaders(found: Found): Record<string, string> {
  return {
    'Last-Modified': new Date(found.lastUpdated).toUTCString(),
    ...(found.securityContext === undefined ? {} : { 'X-Security-Context': found.securityContext }),
  };
}

function conditional({ version, lastUpdated, previousUpdated }: Found): ConditionalVersion {
  return { version, lastUpdated, previousUpdated };
}

async function answerResource(parts: ReadBinaryParts, request: FhirRequest, found: Found, format: 'json' | 'xml'): Promise<Outcome> {
  const headers = { ...sharedHeaders(found), 'ETag': versionTag(found.version), 'Content-Type': format === 'json' ? FHIR_JSON_TYPE : FHIR_XML_TYPE };
  const bytes = { contentType: found.contentType, size: sizeOf(found.row) };
  if (await notModified(request, conditional(found))) return { response: { status: 304, headers }, entities: [], bytes };
  const subset = summaryFormOf(request);
  const text = subset === undefined ? found.text : printJson(summarise(readResource(found.text), subset));
  if (subset !== undefined && !showsData(subset)) return { response: { status: 200, headers: { ...headers, 'Content-Type': FHIR_JSON_TYPE }, body: text }, entities: [], bytes };
  const frame = format === 'json' ? jsonFrame(text) : xmlFrame(text);
  const length = base64ResourceLength(frame, sizeOf(found.row));
  return {
    response: { status: 200, headers },
    entities: [],
    bytes,
    ...(request.method === 'HEAD' ? { open: async () => ({ length, bytes: nothing() }) } : {
      open: async () => ({ length, bytes: base64Resource(frame, await parts.content.open(found.row)) }),
    }),
  };
}

/** The bytes are in no summary, but for the one that leaves out narratives alone. */
function showsData(form: SummaryForm): boolean {
  return form.kind === 'data' || (form.kind === 'elements' && (form.names.has('data') || form.names.has('Binary.data')));
}

async function* nothing(): AsyncGenerator<Buffer> {
  // A HEAD request has the headers of the bytes, and none of them.
}

async function answerRaw(parts: ReadBinaryParts, request: FhirRequest, found: Found): Promise<Outcome> {
  const sha256 = found.row.sha256 as Buffer;
  const tag = bytesTag(found.version, sha256);
  const size = sizeOf(found.row);
  const bytes = { contentType: found.contentType, size };
  checkBytePreconditions(request, tag, found);
  const headers: Record<string, string> = {
    ...sharedHeaders(found),
    'ETag': tag,
    'Content-Type': found.contentType,
    'Accept-Ranges': 'bytes',
    ...(wantsSha256(request) ? { 'Repr-Digest': `sha-256=:${sha256.toString('base64')}:` } : {}),
    'Content-Disposition': contentDisposition(await found.title(), found.contentType),
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'Cross-Origin-Resource-Policy': 'same-site',
    'Referrer-Policy': 'no-referrer',
  };
  if (await notModified(request, conditional(found), (known) => namesBytes(known, tag, found.version))) return { response: { status: 304, headers }, entities: [], bytes };
  // RFC 9110 14.2: a range is for GET alone; HEAD answers what the whole would have.
  if (request.method === 'HEAD') return { response: { status: 200, headers }, entities: [], bytes, open: async () => ({ length: size, bytes: nothing() }) };
  const range = parseByteRange(await ifRangeHolds(request, tag, conditional(found)) ? request.header('range') : undefined, size);
  if (range.kind === 'unsatisfiable') throw fhirError('range', `There are ${size} bytes`, { headers: { 'Content-Range': `bytes */${size}` } });
  if (range.kind === 'whole') return { response: { status: 200, headers }, entities: [], bytes, open: async () => ({ length: size, bytes: await parts.content.open(found.row) }) };
  const shown = `bytes ${range.start}-${range.start + range.length - 1}/${size}`;
  return {
    response: { status: 206, headers: { ...headers, 'Content-Range': shown } },
    entities: [],
    bytes: { ...bytes, range: shown },
    open: async () => ({ length: range.length, bytes: await parts.content.open(found.row, range) }),
  };
}
