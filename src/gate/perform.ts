// The one doorway: identify → authorize → prepare → transaction (run, record) → answer. Every row of the route table
// passes here, so access control and the record belong to each of them; no answer leaves that is not recorded.
import type { Authenticator, Sender } from '../access/authenticate.ts';
import { authorize } from '../access/authorize.ts';
import { inEmergency } from '../access/break-glass.ts';
import { withPolicy } from '../access/category-policy.ts';
import { creatorOf, type Principal } from '../access/principal.ts';
import type { Cost } from '../access/rate-limits.ts';
import { refusal } from '../access/refusal.ts';
import { ContentIntegrityError } from '../content/read-content.ts';
import { isSerializationFailure, type Database, type Transaction } from '../database/database.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { TransactionRefused, type FhirRequest, type FhirResponse, type InteractionContext, type Outcome, type Passage, type PreparedInteraction } from '../interactions/interaction.ts';
import type { Logger } from '../logger.ts';
import { claimKey, releaseKey, settleKey, type IdempotencyKey, type Lease, type StoredResult } from '../resources/idempotency.ts';
import { findEmergency } from '../resources/emergencies.ts';
import type { Organisations } from '../resources/organisation.ts';
import { readClientProvenance } from './client-provenance.ts';
import { describeAccess, describeOutcome, type AccessCircumstances } from './describe-access.ts';
import { createEntryAccess } from './entry-access.ts';
import { keyFingerprint, keptResult, readKey } from './idempotency-key.ts';
import { joinConsents, overriddenIn, type AskConsents } from './join-consents.ts';
import { recordInTransaction, type AccessRecorder } from './record-access.ts';
import { recordedProgress } from './recorded-progress.ts';
import type { RefusalRecord } from './record-refusals.ts';
import type { Throttle } from './record-throttled.ts';

export interface GateParts {
  database: Database;
  authenticator: Authenticator;
  organisations: Organisations;
  recorder: AccessRecorder;
  refusals: RefusalRecord;
  throttle: Throttle;
  /** The consents of an organisation's patients; absent where no server keeps any. */
  consents?: AskConsents;
  /** Organisation under which an access without one is recorded. */
  operatorOrg: string;
  /** Largest body of any interaction. */
  bodyBytesMax: number;
  fhirBase: string;
  /** Name of this server in the record. */
  observer: string;
  logger: Logger;
  /** Replays the answer of a request that was done before with the same Idempotency-Key. */
  replay: (tx: Transaction, context: InteractionContext, result: StoredResult) => Promise<Outcome>;
  /** Called after each committed write. */
  written: () => void;
}

export type Perform = (passage: Passage, request: FhirRequest) => Promise<PerformedAccess>;

export interface PerformedAccess {
  response: FhirResponse;
  /** Records how a transfer ended, when it ended otherwise than recorded. */
  transferEnded(end: { sent: number; integrity: boolean }): Promise<void>;
}

const ATTEMPTS = 3;

/** SQLSTATE 23505 on a primary key: another writer made the same id at the same moment; run again, it is an update then. */
function mayRunAgain(error: unknown): boolean {
  const { code, constraint } = error as { code?: string; constraint?: string };
  return isSerializationFailure(error) || (code === '23505' && constraint?.endsWith('_pkey') === true);
}

export function createGate(parts: GateParts): Perform {
  const { database, recorder } = parts;

  /** In the transaction for a write, so that a version and its record are one commit. */
  async function runWrite(prepared: PreparedInteraction, context: InteractionContext, circumstances: AccessCircumstances, claim: { key: IdempotencyKey; lease: Lease } | undefined): Promise<Outcome> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await database.transaction(context.org.id, async (tx) => {
          const outcome = await prepared.run(tx);
          const kept = claim === undefined ? undefined : keptResult(outcome);
          if (claim !== undefined && kept !== undefined) await settleKey(tx, claim.key, claim.lease, keyFingerprint(context.request, context.principal), kept);
          const events = [...describeOutcome(circumstances, outcome, () => newUuidV7(context.now)), ...(outcome.inner ?? [])];
          recordInTransaction(tx, events.map((event) => ({ org: context.org.id, event })));
          // failpoint: publishing
          return outcome;
        });
      } catch (error) {
        if (attempt >= ATTEMPTS || !mayRunAgain(error)) throw error;
      }
    }
  }

  async function runRead(prepared: Pick<PreparedInteraction, 'run'>, context: InteractionContext, circumstances: AccessCircumstances): Promise<Outcome> {
    const ran = await database.readTransaction(context.org.id, (tx) => prepared.run(tx));
    const outcome = await ran.complete?.() ?? ran;
    if (outcome.open !== undefined) outcome.response.stream = await outcome.open();
    try {
      const events = describeOutcome(circumstances, outcome, () => newUuidV7(context.now));
      await recorder.record(events.map((event) => ({ org: context.org.id, event })));
      return outcome;
    } catch (error) {
      await outcome.response.stream?.bytes[Symbol.asyncIterator]().return?.();
      throw error;
    }
  }

  async function runPrepared(passage: Passage, context: InteractionContext, circumstances: AccessCircumstances, claim: { key: IdempotencyKey; lease: Lease } | undefined): Promise<Outcome> {
    circumstances.asserted = readClientProvenance(context.request, passage.interaction, parts.fhirBase);
    // failpoint: authorised
    const prepared = await passage.interaction.prepare(context);
    const run = passage.interaction.kind === 'read' ? runRead(prepared, context, circumstances) : runWrite(prepared, context, circumstances, claim);
    const outcome = await run.catch(async (error: unknown) => {
      await prepared.abandon().catch((cause: unknown) => parts.logger.warn({ err: cause }, 'prepared content could not be discarded; the sweeper will'));
      throw error;
    });
    // failpoint: published
    return passage.interaction.kind === 'read' ? outcome : await outcome.complete?.() ?? outcome;
  }

  /** One request takes effect once: the first runs, a repetition gets its answer. */
  async function runOnce(passage: Passage, context: InteractionContext, circumstances: AccessCircumstances): Promise<Outcome> {
    const key = readKey(context.request, context.org.id, creatorOf(context.principal));
    if (key === undefined) return runPrepared(passage, context, circumstances, undefined);
    const claim = await claimKey(database, key);
    if (claim.kind === 'run') {
      const release = (): Promise<void> => releaseKey(database, key, claim.lease).catch((cause: unknown) => parts.logger.warn({ err: cause }, 'an Idempotency-Key could not be released; its lease will end'));
      try {
        const outcome = await runPrepared(passage, context, circumstances, { key, lease: claim.lease });
        // What made nothing is asked again without harm, so its key does not stay taken.
        if (passage.interaction.kind === 'read' || keptResult(outcome) === undefined) await release();
        return outcome;
      } catch (error) {
        await release();
        throw error;
      } finally {
        claim.lease.end();
      }
    }
    const fingerprint = keyFingerprint(await drained(context.request, parts.bodyBytesMax), context.principal);
    if (!fingerprint.equals(claim.fingerprint)) throw fhirError('idempotency-mismatch', 'This Idempotency-Key was used with another request');
    const replay = (tx: Transaction) => (asking: InteractionContext): Promise<Outcome> => parts.replay(tx, asking, claim.result);
    return runRead({ run: (tx) => passage.interaction.replay?.(context, replay(tx)) ?? replay(tx)(context) }, context, circumstances);
  }

  async function admit(passage: Passage, request: FhirRequest, principal: Principal, circumstances: AccessCircumstances): Promise<InteractionContext> {
    const org = await parts.organisations.admit(principal.org);
    circumstances.org = org.name;
    if (org.disabled) throw fhirError('organisation-disabled', 'This organisation is disabled');
    // A grant lends the right of somebody whose token must still be one of the organisation's.
    if (org.limits.issuers?.includes(principal.issuer) === false) throw refusal('token-invalid', 'The issuer of the token does not speak for this organisation');
    const consenting = await joinConsents(parts.consents, withPolicy(principal, org.policy), org, passage.access, circumstances);
    const allowed = await underEmergency(consenting, org.id, request, circumstances);
    const decision = authorize(allowed, passage.access);
    if (!decision.permit) {
      throw fhirError('forbidden', decision.reason, decision.code === 'insufficient_scope' ? { headers: { 'WWW-Authenticate': 'Bearer realm="Muniment", error="insufficient_scope"' } } : {});
    }
    return {
      request, principal: allowed, org, restriction: decision.restriction, now: circumstances.now, eventId: circumstances.eventId,
      note: (text) => { circumstances.note = circumstances.note === undefined ? text : `${circumstances.note}; ${text}`; },
      read: (work) => database.readTransaction(org.id, work),
      enterEntry: createEntryAccess(circumstances, (entry, asked, own) => admit(entry, asked, principal, own)),
    };
  }

  /** The entries of a Bundle are under the emergency of the Bundle. Raises 403 for one that ended or is somebody else's. */
  async function underEmergency(principal: Principal, org: number, request: FhirRequest, circumstances: AccessCircumstances): Promise<Principal> {
    const id = circumstances.emergency === undefined ? request.header('x-break-glass') : undefined;
    if (id !== undefined) circumstances.emergency = await findEmergency(database, org, id, principal, circumstances.now);
    if (id !== undefined && circumstances.emergency === undefined) throw fhirError('forbidden', 'X-Break-Glass names no emergency of this user and client that has not ended');
    if (circumstances.emergency === undefined) return principal;
    circumstances.overridden = overriddenIn(principal, circumstances.emergency.patient);
    return inEmergency(principal, circumstances.emergency);
  }

  async function checkRates(principal: Principal, circumstances: AccessCircumstances): Promise<void> {
    const refused = parts.throttle.refuses(principal, circumstances.now);
    if (refused === undefined) return;
    circumstances.org = (await parts.organisations.admit(principal.org)).name;
    throw refused;
  }

  /** A refusal or failure rolled back what there was; its record is a small commit of its own. */
  async function recordFailure(error: FhirError, circumstances: AccessCircumstances): Promise<void> {
    const { principal, now } = circumstances;
    if (principal === undefined && !parts.refusals.admits(error, circumstances.request.address, now)) return;
    if (principal !== undefined && error.detail === 'throttled' && !parts.throttle.recordsAlone(principal, now)) return;
    // An id of its own: the event of what was to be answered may be on its way to the database still.
    const event = describeAccess({ ...circumstances, eventId: newUuidV7(now) }, error.status, { outcomeDesc: error.withoutContent.slice(0, 500) });
    const org = await parts.organisations.resolve(circumstances.org).catch((cause: unknown) => {
      // A refusal that cannot be recorded must not leave as one, whatever the reason is.
      throw cause instanceof FhirError && cause.status === 503 ? cause : fhirError('unavailable', 'The access could not be recorded', { cause, headers: { 'Retry-After': '2' } });
    });
    const inner = error instanceof TransactionRefused ? error.inner : [];
    await recorder.record([event, ...inner].map((one) => ({ org, event: one })));
  }

  return async (passage, request) => {
    const now = Date.now();
    const circumstances: AccessCircumstances = { eventId: newUuidV7(now), now, org: parts.operatorOrg, interaction: passage.interaction.code, request, principal: undefined, observer: parts.observer };
    try {
      const identified = passage.identify?.(request) ?? parts.authenticator.authenticate({ authorization: request.header('authorization') }, senderOf(request));
      const principal = identified instanceof Promise ? await identified : identified;
      circumstances.principal = principal;
      await checkRates(principal, circumstances);
      const admitted = await admit(passage, request, principal, circumstances);
      const context = request.progress === undefined ? admitted : { ...admitted, request: { ...request, progress: recordedProgress(request.progress, () => recordProgress(circumstances, admitted.org.id)) } };
      const started = performance.now();
      const outcome = await runOnce(passage, context, circumstances).finally(() => parts.throttle.charge(principal, costOf(passage, request, started)));
      parts.throttle.charge(principal, costOfAnswer(outcome));
      outcome.afterCommit?.();
      if (outcome.write !== undefined || outcome.inner?.some((event) => event.write !== undefined) === true) parts.written();
      return { response: outcome.response, transferEnded: (end) => recordTransfer(circumstances, outcome, context.org.id, end) };
    } catch (failure) {
      const error = toFhirError(failure, parts.logger, request.requestId);
      await recordFailure(error, circumstances);
      throw error;
    }
  };

  /** The row of a request that tells how far it is, before it tells anything. */
  async function recordProgress(circumstances: AccessCircumstances, org: number): Promise<void> {
    const now = Date.now();
    const event = describeAccess({ ...circumstances, eventId: newUuidV7(now), now }, 200, { outcomeDesc: 'The request is under way, and how far it is is told' });
    await recorder.record([{ org, event }]);
  }

  /** The second row of a transfer that was cut: by the client, or because the bytes were found wrong on the way. */
  async function recordTransfer(circumstances: AccessCircumstances, outcome: Outcome, org: number, end: { sent: number; integrity: boolean }): Promise<void> {
    const now = Date.now();
    const event = describeAccess({ ...circumstances, eventId: newUuidV7(now), now }, outcome.response.status, {
      outcome: end.integrity ? 8 : 4,
      outcomeDesc: end.integrity ? 'The stored bytes do not match their digest; the transfer was cut before any of them left' : 'The client ended the transfer early',
      entities: outcome.entities,
      bytes: { ...outcome.bytes, sent: end.sent },
    });
    await recorder.record([{ org, event }]);
  }
}

function senderOf(request: FhirRequest): Sender {
  return { method: request.method, dpop: request.header('dpop'), target: request.target, certificate: () => request.certificate?.() };
}

/** What a request took, whatever came of it. */
function costOf({ interaction }: Passage, { body }: FhirRequest, started: number): Cost {
  const searches = /^(search|history)-/.test(interaction.code);
  return { requests: 0, bytes: body.received?.() ?? 0, search: searches ? performance.now() - started : 0 };
}

/** What its answer gave; each entry of a Bundle is a request of its own. */
function costOfAnswer({ response, inner }: Outcome): Cost {
  return { requests: inner?.length ?? 0, bytes: response.stream?.length ?? response.body?.length ?? 0, search: 0 };
}

/** A repetition is read to its end for its digest alone. Raises 413 past what the first one could have been. */
async function drained(request: FhirRequest, bytesMax: number): Promise<FhirRequest> {
  for await (const bytes of request.body.stream(bytesMax)) void bytes;
  return request;
}

/** What is not ours to explain becomes 500 with an incident id; its text stands in the log alone. */
export function toFhirError(failure: unknown, logger: Logger, requestId: string): FhirError {
  if (failure instanceof FhirError) {
    if (failure.status >= 500) logger.warn({ requestId, err: failure.cause ?? failure }, failure.message);
    return failure;
  }
  if (failure instanceof ContentIntegrityError) return fhirError('integrity', 'The stored bytes do not match their digest and were not sent', { cause: failure });
  logger.error({ requestId, err: failure }, 'unexpected failure');
  return fhirError('exception', `Unexpected failure; incident ${requestId}`, { cause: failure });
}
