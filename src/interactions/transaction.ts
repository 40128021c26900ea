// transaction (R4 http.html 3.1.0.11.2): all entries or none, in one commit with the record of each. Links are
// rewritten first, bytes received next, and then everything is published together.
import type { AccessEvent } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { entryPath, transactionOrder, type RequestBundle } from '../fhir/bundle.ts';
import { fhirError, FhirError, type Issue } from '../fhir/fhir-error.ts';
import { extractIndexValues } from '../search/extract-index-values.ts';
import { matchesExtracted } from '../search/match-extracted.ts';
import { printResponseBundle } from './batch.ts';
import { aimEntry, collected, fullUrlOf, printEntry, type AimedEntry, type BundleParts } from './bundle-entry.ts';
import { TransactionRefused, type EntryAccess, type FhirResponse, type InteractionContext, type Outcome, type PreparedInteraction, type TransactionShare } from './interaction.ts';
import type { OutsideResources } from './outside-resources.ts';
import { FHIR_JSON_TYPE } from './representation.ts';
import { linkMap, resolveConditionalLinks, rewriteEntryLinks, targetOf, type EntryTarget } from './transaction-links.ts';

export interface TransactionParts extends BundleParts {
  /** What conditional references to people and places are resolved by; undefined where nothing is passed on. */
  outside?: OutsideResources;
}

interface PlannedEntry extends AimedEntry {
  access: EntryAccess;
  target: EntryTarget | undefined;
  prepared: PreparedInteraction | undefined;
}

export interface PreparedTransaction {
  entries: PlannedEntry[];
  share: TransactionShare;
}

/** Problems of entries by their position; all of them are told. */
class Problems {
  private readonly byEntry = new Map<number, FhirError[]>();

  add(index: number, error: unknown): void {
    if (!(error instanceof FhirError)) throw error;
    this.byEntry.set(index, [...this.byEntry.get(index) ?? [], error]);
  }

  has(index: number): boolean {
    return this.byEntry.has(index);
  }

  /** Raises what there is; the first entry with a problem gives the status, and every entry leaves its event. */
  raise(entries: readonly PlannedEntry[]): void {
    if (this.byEntry.size === 0) return;
    const found = [...this.byEntry].sort(([a], [b]) => a - b);
    const issues = found.flatMap(([index, errors]) => errors.flatMap((error) => error.issues.map((issue) => placed(issue, index))));
    const first = found[0]?.[1][0] as FhirError;
    const events = entries.map(({ access, entry }): AccessEvent => {
      const [own] = this.byEntry.get(entry.index) ?? [];
      return own === undefined ? access.failed(first.status, 'Not done: the transaction was refused') : access.failed(own.status, own.withoutContent);
    });
    throw new TransactionRefused(issues.slice(0, ISSUES_MAX), first.status, events, first);
  }
}

const ISSUES_MAX = 200;

/** The place in the Bundle: what stands below the resource's type stands below the entry. */
function placed(issue: Issue, index: number): Issue {
  const path = entryPath(index);
  const { expression } = issue;
  if (expression?.startsWith('Bundle.') === true) return issue;
  return { ...issue, expression: expression === undefined ? path : `${path}.resource${expression.replace(/^[A-Za-z]+/, '')}`, diagnostics: `${path}: ${issue.diagnostics}` };
}

export async function prepareTransaction(parts: TransactionParts, context: InteractionContext, bundle: RequestBundle): Promise<PreparedTransaction> {
  const problems = new Problems();
  const entries = bundle.entries.map((entry): PlannedEntry => {
    const aimed = aimEntry(parts, context, entry);
    return { ...aimed, access: context.enterEntry(aimed.passage, aimed.request), target: undefined, prepared: undefined };
  });
  const deleted = new Set(entries.flatMap(({ passage, request }) => (passage.interaction.code === 'delete' && request.id !== '' ? [`${request.type}/${request.id}`] : [])));
  for (const planned of entries) planned.target = await targetOf(context, planned, parts.fhirBase, deleted).catch((error: unknown) => { problems.add(planned.entry.index, error); return undefined; });
  findOverlaps(entries, problems);
  await linkEntries(parts, context, entries, problems);
  const share: TransactionShare = { created: new Set(entries.flatMap(({ target }) => (target?.creates === true ? [target.reference] : []))), binaries: new Map(), superseded: new Map() };
  await prepareEntries(entries, share, problems);
  try {
    problems.raise(entries);
  } catch (error) {
    await abandonAll(entries);
    throw error;
  }
  return { entries, share };
}

/** Two entries that change one resource have no order of their own: R4 lets the transaction fail. */
function findOverlaps(entries: readonly PlannedEntry[], problems: Problems): void {
  const seen = new Map<string, number>();
  for (const { entry, target } of entries) {
    if (target === undefined || (entry.method === 'POST' && !target.creates)) continue;
    const earlier = seen.get(target.reference);
    if (earlier !== undefined) problems.add(entry.index, fhirError('invalid-value', `${target.reference} is changed by ${entryPath(earlier)} as well`, { expression: `${entryPath(entry.index)}.request.url` }));
    seen.set(target.reference, entry.index);
  }
}

async function linkEntries(parts: TransactionParts, context: InteractionContext, entries: readonly PlannedEntry[], problems: Problems): Promise<void> {
  const links = linkMap(entries);
  const conditional = entries.flatMap(({ entry }) => {
    const found = rewriteEntryLinks(entry, links);
    found.errors.forEach((error) => problems.add(entry.index, error));
    return found.conditional;
  });
  if (conditional.length === 0) return;
  const among = (type: string, criteria: string): string[] => entries.flatMap(({ entry, target }) => {
    if (target === undefined || !target.creates || entry.resource?.['resourceType'] !== type) return [];
    return matchesExtracted(type, criteria, extractIndexValues(entry.resource, type, parts.fhirBase), parts.fhirBase) ? [target.reference] : [];
  });
  const errors = await resolveConditionalLinks(context, parts.fhirBase, entries.map(({ entry }) => entry), conditional, parts.outside, among).catch((error: unknown) => {
    if (error instanceof FhirError) return [error];
    throw error;
  });
  errors.forEach((error) => problems.add(Number(/^Bundle\.entry\[(\d+)\]/.exec(error.issues[0]?.expression ?? '')?.[1] ?? conditional[0]?.index ?? 0), error));
}

/** Binaries first: a document of the same transaction is checked against their bytes. What only reads is prepared when its turn comes. */
async function prepareEntries(entries: readonly PlannedEntry[], share: TransactionShare, problems: Problems): Promise<void> {
  const prepareOne = async (planned: PlannedEntry): Promise<void> => {
    const { access, entry, target } = planned;
    if (problems.has(entry.index)) return;
    try {
      planned.prepared = await access.prepare(share, target?.assignedId);
      const { binary } = planned.prepared;
      if (binary !== undefined) share.binaries.set(binary.id, binary);
    } catch (error) { problems.add(entry.index, error); }
  };
  const isBinary = ({ request }: PlannedEntry): boolean => request.type === 'Binary';
  for (const planned of entries.filter(isBinary)) await prepareOne(planned);
  for (const planned of entries.filter((one) => !isBinary(one))) await prepareOne(planned);
}

async function abandonAll(entries: readonly PlannedEntry[]): Promise<void> {
  for (const { prepared } of entries) await prepared?.abandon();
}

export async function abandonTransaction({ entries }: PreparedTransaction): Promise<void> {
  await abandonAll(entries);
}

export async function runTransaction(parts: TransactionParts, tx: Transaction, { entries }: PreparedTransaction): Promise<Outcome> {
  const problems = new Problems();
  const outcomes = new Map<number, Outcome>();
  try {
    for (const planned of transactionOrder(entries.map((one) => ({ ...one, index: one.entry.index, method: one.entry.method })))) {
      if (planned.passage.interaction.kind === 'read') await tx.flush();
      await runEntry(tx, planned, outcomes, problems);
    }
    await tx.flush();
  } catch (error) {
    // After a statement that failed nothing more can be asked: what was found before it is what is told.
    problems.raise(entries);
    if (error instanceof FhirError) throw new TransactionRefused(error.issues, error.status, entries.map(({ access }) => access.failed(error.status, error.withoutContent)), error);
    throw error;
  }
  problems.raise(entries);
  return answerOf(parts, entries, outcomes);
}

async function runEntry(tx: Transaction, { entry, prepared, target }: PlannedEntry, outcomes: Map<number, Outcome>, problems: Problems): Promise<void> {
  try {
    const outcome = await (prepared as PreparedInteraction).run(tx);
    const { version } = outcome;
    if (version !== undefined && target !== undefined && `${version.type}/${version.id}` !== target.reference) {
      throw fhirError('conflict', `Another writer was faster: ${target.reference} is not what the condition matches any more; send the transaction again`);
    }
    outcomes.set(entry.index, outcome);
  } catch (error) { problems.add(entry.index, error); }
}

function answerOf(parts: TransactionParts, entries: readonly PlannedEntry[], outcomes: ReadonlyMap<number, Outcome>): Outcome {
  const done = entries.map((planned) => ({ ...planned, outcome: outcomes.get(planned.entry.index) as Outcome }));
  const print = (responses: readonly FhirResponse[]): FhirResponse => ({
    status: 200,
    headers: { 'Content-Type': FHIR_JSON_TYPE },
    body: printResponseBundle('transaction-response', done.map(({ entry, request }, at) => printEntry(entry.method, responses[at] as FhirResponse, fullUrlOf(parts, request, responses[at] as FhirResponse)))),
  });
  const own: Outcome = {
    code: 'transaction',
    response: print(done.map(({ outcome }) => outcome.response)),
    entities: [],
    inner: done.flatMap(({ access, outcome }) => access.succeeded(outcome)),
    keepsAnswer: true,
    afterCommit: () => { for (const { outcome } of done) outcome.afterCommit?.(); },
  };
  if (!done.some(({ outcome }) => outcome.open !== undefined)) return own;
  // Bytes are read from the store once no transaction is open. What fails then fails its own entry: the rest is committed.
  return { ...own, complete: async () => ({ ...own, response: print(await Promise.all(done.map(({ outcome }) => withBytes(parts, outcome)))) }) };
}

async function withBytes(parts: TransactionParts, { response, open }: Outcome): Promise<FhirResponse> {
  if (open === undefined) return response;
  try {
    return await collected(parts, { ...response, stream: await open() });
  } catch (failure) {
    const error = failure instanceof FhirError ? failure : fhirError('integrity', 'The stored bytes could not be read', { cause: failure });
    return { status: error.status, headers: {}, body: parts.printOutcome(error) };
  }
}
