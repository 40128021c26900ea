// A FHIR interaction asked for from inside another request, as the same caller and with its own right: it passes the doorway by
// itself, with its own transaction and record, or is a part of what asks.
import { createHash } from 'node:crypto';
import type { FhirRequest, FhirResponse, InteractionContext, Passage, PreparedInteraction, RequestBody } from '../interactions/interaction.ts';

/** What a URL below the FHIR base is aimed at. */
export interface FhirAim extends Pick<FhirRequest, 'type' | 'id' | 'version' | 'query' | 'compartment'> {
  passage: Passage;
}

export interface FhirCallParts {
  aim(asked: { method: string; url: string; header(name: string): string | undefined }): FhirAim;
  perform(passage: Passage, request: FhirRequest): Promise<{ response: FhirResponse }>;
}

export interface FhirCallBody {
  contentType: string;
  bytes: AsyncIterable<Buffer>;
  length?: number;
}

/** `url` is below the FHIR base. Raises what the interaction raises. */
export type FhirCall = (method: string, url: string, body?: FhirCallBody | object, headers?: Readonly<Record<string, string>>) => Promise<FhirResponse>;

/** Of the outer request alone: what describes its body, its conditions and the form of its answer. */
const OUTER_ALONE = /^(?:accept|content-|if-|prefer$|range$|idempotency-key$|expect$|x-provenance$|x-security-context$|repr-digest$|want-)/;

function bodyOf(body: FhirCallBody | object | undefined): RequestBody {
  if (body !== undefined && 'bytes' in body) return streamed(body);
  const text = body === undefined ? '' : JSON.stringify(body);
  return {
    contentType: body === undefined ? undefined : 'application/fhir+json', contentEncoding: undefined, length: Buffer.byteLength(text),
    text: () => Promise.resolve(text),
    async* stream() { yield Buffer.from(text); },
    digest: () => createHash('sha256').update(text).digest(),
  };
}

function streamed({ contentType, bytes, length }: FhirCallBody): RequestBody {
  const hash = createHash('sha256');
  const stream = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) { hash.update(chunk); yield chunk; }
  };
  const text = async (): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream()) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  };
  return { contentType, contentEncoding: undefined, length, stream, text, digest: () => hash.digest() };
}

/** What is asked, with the headers of the outer request that mean the same here. */
function asked({ aim }: Pick<FhirCallParts, 'aim'>, { request: outer }: InteractionContext, [method, url, body, headers = {}]: Parameters<FhirCall>): { passage: Passage; request: FhirRequest } {
  const header = (name: string): string | undefined => headers[name] ?? (name === 'accept' ? 'application/fhir+json' : OUTER_ALONE.test(name) ? undefined : outer.header(name));
  const { passage, ...aimed } = aim({ method, url: `/${url}`, header });
  return { passage, request: { ...aimed, requestId: outer.requestId, method, url, address: outer.address, header, body: bodyOf(body) } };
}

export function fhirCalls(parts: FhirCallParts, context: InteractionContext): FhirCall {
  return async (...call) => {
    const { passage, request } = asked(parts, context, call);
    return (await parts.perform({ ...passage, identify: () => Promise.resolve(context.principal) }, request)).response;
  };
}

/** The same, to be run in the caller's own transaction: it needs its own right, and the caller's event tells of it. */
export function fhirEntry(parts: Pick<FhirCallParts, 'aim'>, context: InteractionContext, ...call: Parameters<FhirCall>): Promise<PreparedInteraction> {
  const { passage, request } = asked(parts, context, call);
  return context.enterEntry(passage, request).prepare();
}
