// A multipart form (RFC 7578) as a stream: each file is handed on while it comes, nothing of it is kept here. What is
// wrong with the form is one clear 4xx, whatever the parser calls it.
import type { Readable } from 'node:stream';
import busboy, { type Busboy } from 'busboy';
import { FhirError, fhirError } from '../fhir/fhir-error.ts';
import type { RequestBody } from '../interactions/interaction.ts';
import { fileNameOf } from './file-name.ts';

export interface FormLimits {
  /** Of the whole body. */
  bytesMax: number;
  filesMax: number;
  fieldsMax: number;
  /** Of the value of one field. */
  fieldBytesMax: number;
}

export interface FormFile {
  /** Place among the files of the form, from 0. */
  index: number;
  field: string;
  /** As sent, still to be looked at. */
  sentName: string | undefined;
  contentType: string;
  bytes: AsyncIterable<Buffer>;
}

export interface ReadForm<Taken> {
  fields: [string, string][];
  /** What `take` made of the files, in their order. */
  files: Taken[];
}

/** So many files are worked on at once: while one is put away the next one comes. */
const FILES_AT_ONCE = 4;
/** What waits between the parser and whoever reads a file: so much that neither waits for the other at each chunk. */
const BUFFER_BYTES = 512 * 1024;
const FIELD_NAME_BYTES = 100;
const HEADER_PAIRS = 50;

const malformed = (diagnostics: string, cause?: unknown): FhirError => fhirError('malformed-form', diagnostics, { cause });

const nameTooLong = ({ fieldBytesMax }: FormLimits): FhirError => fhirError('too-long', `The name of a field may have ${FIELD_NAME_BYTES} bytes, its value ${fieldBytesMax}`);

function openParser({ contentType }: RequestBody, limits: FormLimits): Busboy {
  if (contentType === undefined || !/^multipart\/form-data\s*(?:;|$)/i.test(contentType)) {
    throw fhirError('media-type', 'Files are sent as multipart/form-data', { members: { allowedTypes: ['multipart/form-data'] } });
  }
  try {
    return busboy({
      headers: { 'content-type': contentType }, highWaterMark: BUFFER_BYTES, fileHwm: BUFFER_BYTES, defParamCharset: 'utf8', preservePath: true,
      limits: { files: limits.filesMax, fields: limits.fieldsMax, fieldSize: limits.fieldBytesMax, headerPairs: HEADER_PAIRS },
    });
  } catch (error) {
    throw malformed('multipart/form-data needs a boundary', error);
  }
}

/** Hands out turns: at most `count` at once, in the order of asking. */
function turns(count: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let free = count;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free -= 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1; else next();
    }
  };
}

/** The bytes of one file. What the sender never finished is told as such. */
async function* bytesOf(stream: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw error instanceof FhirError ? error : malformed('The form ends within a file', error);
  }
}

/**
 * Reads the body to its end. `take` is called for each file, with the fields that came before, and must read it or leave it; it may be called for several at
 * once. The first failure ends the reading; all that was begun has ended when this raises. Raises 400 `malformed-form`, 413,
 * 415, `client-aborted`, and what `take` raises.
 */
export async function readMultipart<Taken>(body: RequestBody, limits: FormLimits, take: (file: FormFile, before: readonly (readonly [string, string])[]) => Promise<Taken>): Promise<ReadForm<Taken>> {
  if (body.contentEncoding !== undefined) throw fhirError('media-type', 'A form must come without Content-Encoding');
  const parser = openParser(body, limits);
  const fields: [string, string][] = [];
  const taking: Promise<Taken>[] = [];
  let reject: (error: unknown) => void = () => {};
  let isOver = false;
  let wake: () => void = () => {};
  const failed = new Promise<never>((_resolve, refuse) => { reject = refuse; });
  const fail = (error: unknown): void => {
    isOver = true;
    reject(error);
    wake();
  };
  failed.catch(() => { /* Whoever waits for it hears of it. */ });
  const inTurn = turns(FILES_AT_ONCE);
  // The parser's own bound of names is for urlencoded forms alone.
  const tooLong = (name: string | undefined): boolean => Buffer.byteLength(name ?? '') > FIELD_NAME_BYTES;
  parser.on('file', (field: string | undefined, stream: Readable, { filename, mimeType }) => {
    if (tooLong(field)) fail(nameTooLong(limits));
    stream.on('error', () => { /* Its reader hears of it. */ });
    const file = { index: taking.length, field: field ?? '', sentName: filename as string | undefined, contentType: mimeType, bytes: bytesOf(stream) };
    // What is not read to its end would hold up everything behind it.
    const taken = inTurn(() => take(file, fields).finally(() => { stream.resume(); }));
    taken.catch(fail);
    taking.push(taken);
  });
  parser.on('field', (name: string | undefined, value, { valueTruncated }) => {
    if (tooLong(name) || valueTruncated) fail(nameTooLong(limits));
    fields.push([name ?? '', value]);
  });
  parser.on('filesLimit', () => { fail(fhirError('too-many-entries', `The form may have ${limits.filesMax} files`)); });
  parser.on('fieldsLimit', () => { fail(fhirError('too-many-entries', `The form may have ${limits.fieldsMax} fields besides its files`)); });
  const ended = new Promise<void>((resolve, reject) => { parser.once('finish', resolve).on('error', reject); });
  ended.catch((error: unknown) => { fail(error instanceof FhirError ? error : malformed(`The form cannot be read: ${faultOf(error)}`, error)); });
  parser.on('drain', () => { wake(); });
  const written = async (chunk: Buffer): Promise<boolean> => {
    // One promise for each wait: a race with the failure would keep something of each chunk until the end.
    if (!parser.write(chunk)) await new Promise<void>((resolve) => { wake = resolve; });
    return !isOver;
  };
  try {
    await Promise.race([feed(body, limits, parser, written, () => isOver), failed]);
    return { fields, files: await Promise.race([Promise.all([ended, ...taking]).then(([, ...files]) => files), failed]) };
  } catch (error) {
    parser.destroy();
    await Promise.allSettled(taking);
    throw error;
  }
}

async function feed(body: RequestBody, { bytesMax }: FormLimits, parser: Busboy, written: (chunk: Buffer) => Promise<boolean>, isOver: () => boolean): Promise<void> {
  for await (const chunk of body.stream(bytesMax)) {
    // The parser takes no more after its last boundary; what comes then means nothing.
    if (parser.writableEnded || parser.destroyed) continue;
    if (isOver() || !await written(chunk)) return;
  }
  parser.end();
}

/** The parser's words name kinds of faults, never content. */
const faultOf = (error: unknown): string => (/^(?:Unexpected end of (?:form|file)|Malformed part header)$/.test((error as Error).message) ? (error as Error).message.toLowerCase() : 'it is malformed');

/** The name of a file, made safe to show. Raises 400 `malformed-form`. */
export const shownName = ({ sentName }: FormFile): string | undefined => fileNameOf(sentName);
