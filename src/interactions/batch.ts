// batch (R4 http.html 3.1.0.11.1): each entry by itself, each with its own transaction and answer; one that fails takes
// nothing along. A repetition with the Bundle's Idempotency-Key finds what its entries did the first time.
import type { Transaction } from '../database/database.ts';
import { entryPath, type BundleEntry, type RequestBundle } from '../fhir/bundle.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { rewriteLinks } from '../fhir/rewrite-links.ts';
import { aimEntry, collected, fullUrlOf, printEntry, printFailedEntry, type BundleParts } from './bundle-entry.ts';
import { defineInteraction, type FhirRequest, type FhirResponse, type InteractionContext, type Outcome, type Passage } from './interaction.ts';
import { FHIR_JSON_TYPE } from './representation.ts';

export interface BatchParts extends BundleParts {
  /** The door that every request passes. */
  perform(passage: Passage, request: FhirRequest): Promise<{ response: FhirResponse }>;
}

const ENTRIES_AT_ONCE = 4;

export async function prepareBatch(parts: BatchParts, context: InteractionContext, bundle: RequestBundle): Promise<string[]> {
  const answers: string[] = [];
  const fullUrls = new Set(bundle.entries.flatMap(({ fullUrl }) => fullUrl ?? []));
  const waiting = bundle.entries.values();
  const work = async (): Promise<void> => {
    for (const entry of waiting) answers[entry.index] = await answerEntry(parts, context, entry, fullUrls);
  };
  await Promise.all(Array.from({ length: ENTRIES_AT_ONCE }, work));
  return answers;
}

async function answerEntry(parts: BatchParts, context: InteractionContext, entry: BundleEntry, fullUrls: ReadonlySet<string>): Promise<string> {
  const key = context.request.header('idempotency-key');
  const { request, passage } = aimEntry(parts, context, entry, key === undefined ? {} : { 'idempotency-key': `${key.slice(0, 240)}.${entry.index}` });
  try {
    const { response } = await parts.perform(withoutNeighbours(passage, linkToNeighbour(entry, fullUrls)), request);
    const whole = await collected(parts, response);
    return printEntry(entry.method, whole, fullUrlOf(parts, request, whole));
  } catch (error) {
    if (!(error instanceof FhirError)) throw error;
    return printFailedEntry(parts, error);
  }
}

function withoutNeighbours(passage: Passage, error: FhirError | undefined): Passage {
  if (error === undefined) return passage;
  return { ...passage, interaction: defineInteraction({ code: passage.interaction.code, kind: 'read', run: () => Promise.reject(error) }) };
}

/** Entries of a batch know nothing of each other: a link to one cannot be resolved. */
function linkToNeighbour({ resource, fullUrl, index }: BundleEntry, fullUrls: ReadonlySet<string>): FhirError | undefined {
  const type = resource?.['resourceType'];
  if (resource === undefined || typeof type !== 'string') return undefined;
  let found: FhirError | undefined;
  rewriteLinks(resource, type, (link, _kind, expression) => {
    if (link !== fullUrl && /^urn:(uuid|oid):/.test(link) && fullUrls.has(link)) {
      found ??= fhirError('invalid-value', 'Entries of a batch may not refer to each other; send a transaction', { expression: `${entryPath(index)}.resource.${expression}` });
    }
    return undefined;
  });
  return found;
}

export function runBatch(_tx: Transaction, answers: readonly string[]): Outcome {
  return {
    code: 'batch',
    response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: printResponseBundle('batch-response', answers) },
    entities: [],
    keepsAnswer: true,
  };
}

/** JSON text of a response Bundle; an empty one has no entry element. */
export function printResponseBundle(type: string, answers: readonly string[]): string {
  return `{"resourceType":"Bundle","type":"${type}"${answers.length === 0 ? '' : `,"entry":[${answers.join(',')}]`}}`;
}
