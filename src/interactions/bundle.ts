// What is posted to the base (R4 http.html 3.1.0.11): a Bundle says in its body whether it is a batch or a transaction.
import type { Transaction } from '../database/database.ts';
import { entryPath, readRequestBundle, type RequestBundle } from '../fhir/bundle.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import { validateResource } from '../validation/validate-resource.ts';
import { prepareBatch, runBatch, type BatchParts } from './batch.ts';
import { defineInteraction, type FhirRequest, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { invalidResource, readFhirBody } from './read-body.ts';
import { abandonTransaction, prepareTransaction, runTransaction, type PreparedTransaction, type TransactionParts } from './transaction.ts';

/** Entries of one Bundle. */
export const ENTRIES_MAX = 1_000;
/** A Bundle is as deep as its deepest resource and three levels more, and holds the keys of many. */
const LIMITS = { depthMax: 67, keysMax: 1_000_000 };

type Prepared = { kind: 'batch'; answers: string[] } | { kind: 'transaction'; transaction: PreparedTransaction };

export function processBundle(parts: BatchParts & TransactionParts): Interaction {
  return defineInteraction<Prepared>({
    code: 'transaction',
    kind: 'write',
    prepare: (context) => prepare(parts, context),
    run: async (tx: Transaction, _context, prepared): Promise<Outcome> => (prepared.kind === 'batch' ? runBatch(tx, prepared.answers) : runTransaction(parts, tx, prepared.transaction)),
    abandon: async (_context, prepared) => { if (prepared.kind === 'transaction') await abandonTransaction(prepared.transaction); },
  });
}

async function prepare(parts: BatchParts & TransactionParts, context: InteractionContext): Promise<Prepared> {
  const bundle = await readBundle(context.request, parts.bodyBytesMax);
  const { type } = bundle;
  if (type !== 'batch' && type !== 'transaction') throw fhirError('business-rule', 'The Bundle must be a batch or a transaction', { expression: 'Bundle.type' });
  const entries = requestsOf(bundle);
  if (type === 'batch') return { kind: 'batch', answers: await prepareBatch(parts, context, entries) };
  return { kind: 'transaction', transaction: await prepareTransaction(parts, context, entries) };
}

/** Raises 413 past ENTRIES_MAX, 400 for an entry that asks for nothing that can be understood. */
function requestsOf(bundle: JsonObject): RequestBundle {
  const count = Array.isArray(bundle['entry']) ? bundle['entry'].length : 0;
  if (count > ENTRIES_MAX) throw fhirError('too-many-entries', `A Bundle may have ${ENTRIES_MAX} entries; this one has ${count}`, { expression: entryPath(ENTRIES_MAX) });
  const requests = readRequestBundle(bundle);
  if (requests.issues.length > 0) throw invalidResource(requests.issues);
  return requests;
}

async function readBundle(request: FhirRequest, bodyBytesMax: number): Promise<JsonObject> {
  const value = await readFhirBody(request, bodyBytesMax, LIMITS);
  if (value['resourceType'] !== 'Bundle') throw fhirError('wrong-resource-type', 'What is posted to the base must be a Bundle', { expression: 'resourceType' });
  const issues = validateResource(withoutResources(value), 'Bundle');
  if (issues.length > 0) throw invalidResource(issues);
  return value;
}

/** The envelope alone: each resource is validated with its own entry. */
function withoutResources(bundle: JsonObject): JsonObject {
  if (!Array.isArray(bundle['entry'])) return bundle;
  const entry = bundle['entry'].map((one) => {
    if (!isJsonObject(one) || !isJsonObject(one['resource'])) return one;
    const { resource: _resource, ...rest } = one;
    return rest;
  });
  return { ...bundle, entry };
}
