// The shape of a FHIR interaction: what is slow goes to `prepare`, outside any transaction; `run` touches our own rows
// alone, inside one. The gate calls both, and records what came of it.
import type { AuthorizationRequest } from '../access/authorize.ts';
import type { Restriction } from '../access/restriction.ts';
import type { Principal } from '../access/principal.ts';
import type { AccessChange, AccessEntity, AccessEvent, AccessPurge, AccessWrite, InteractionCode } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { FhirError, type Issue } from '../fhir/fhir-error.ts';
import type { JsonObject } from '../fhir/json.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import type { LinkTarget } from '../resources/load-link-target.ts';
import type { OrganisationLimits } from '../resources/organisation-limits.ts';

/** The body of a request: read once, bounded by bytes. */
export interface RequestBody {
  /** Content-Type as sent; undefined = none. */
  readonly contentType: string | undefined;
  /** Content-Encoding as sent. */
  readonly contentEncoding: string | undefined;
  /** Content-Length; undefined when the body is chunked. */
  readonly length: number | undefined;
  /** All of a text body, decompressed and decoded as UTF-8. Raises 413 `too-long` past `bytesMax`, 415 for an unknown coding. */
  text(bytesMax: number): Promise<string>;
  /** The bytes as they come. Raises 413 past `bytesMax`, `client-aborted` when the client ends early. */
  /** `heldMax`: how many of them the caller holds at once, where it is more than what streams. */
  stream(bytesMax: number, heldMax?: number): AsyncIterable<Buffer>;
  /** Bytes that came so far; none of an entry of a Bundle. */
  received?(): number;
  /** The resource, where it is an object already: an entry of a Bundle. */
  readonly json?: JsonObject;
  /** SHA-256 over the bytes that were read, once the body was read to its end. */
  digest(): Buffer;
}

export interface FhirRequest {
  requestId: string;
  method: string;
  /** Below the FHIR base (below the server's root outside it), with the query, as sent; the record shows it. */
  url: string;
  query: readonly [string, string][];
  /** The type that the path names; Bundle where it names none. */
  type: ResourceType;
  id: string;
  version: string;
  /** The compartment that the path begins with: Patient/1/DocumentReference. */
  compartment?: { type: string; id: string };
  /** What varies in a path outside the FHIR base, by name. */
  parameters?: Readonly<Record<string, string>>;
  address: string | undefined;
  /** The whole path as it was sent, and the certificate that the connection showed: for the proof of a bound token. */
  target?: string;
  certificate?(): Buffer | undefined;
  body: RequestBody;
  /** The form of a search by POST, once it was read: the record shows it. */
  form?: string;
  /** The value of a header, several lines joined by comma. */
  header(name: string): string | undefined;
  /** Tells a client that wants to see it how far its own request has come; never anything that is held here. */
  progress?(step: Readonly<Record<string, unknown>>): void;
}

/** Bytes that leave after the record: `length` of them, each verified before it is handed over. */
export interface ByteStream {
  length: number;
  bytes: AsyncIterable<Buffer>;
}

export interface FhirResponse {
  status: number;
  headers: Record<string, string>;
  body?: string;
  stream?: ByteStream;
  /** Milliseconds: meta.lastUpdated of the version that is answered, for the entry of a Bundle. */
  lastUpdated?: number;
}

/** What the entries of one transaction have in common: they see of each other what the database does not hold yet. */
export interface TransactionShare {
  /** `Type/id` of what the transaction creates. */
  created: Set<string>;
  /** Binaries that it creates, by id. */
  binaries: Map<string, LinkTarget>;
  /** `Type/id` of what an entry superseded, with the version before: an If-Match of another entry means that one. */
  superseded: Map<string, number>;
}

/** One entry of a Bundle at the door: it needs its own right and leaves its own record. */
export interface EntryAccess {
  /** Authorizes and prepares. `share` for an entry of a transaction, `assignedId` where the transaction chose the id. */
  prepare(share?: TransactionShare, assignedId?: string): Promise<PreparedInteraction>;
  /** The events of an entry that was done, or that was not. */
  succeeded(outcome: Outcome): AccessEvent[];
  failed(status: number, diagnostics: string): AccessEvent;
}

/** A transaction that was refused, with the events of its entries, none of which was done. */
export class TransactionRefused extends FhirError {
  readonly inner: readonly AccessEvent[];

  constructor(issues: readonly Issue[], status: number, inner: readonly AccessEvent[], cause: unknown, members: Record<string, unknown> = {}) {
    super(issues, { status, cause, members });
    this.inner = inner;
  }
}

export interface InteractionContext {
  request: FhirRequest;
  principal: Principal;
  org: { id: number; name: string; requireIfMatch?: boolean; directUrls?: boolean; limits?: OrganisationLimits };
  restriction: Restriction;
  /** Milliseconds: the instant of this access. */
  now: number;
  /** Id of the access event that this interaction will leave. */
  eventId: string;
  /** What the record says of this access besides, when it succeeds. */
  note?(text: string): void;
  /** Reads outside the transaction of `run`. */
  read<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  enterEntry(passage: Passage, request: FhirRequest): EntryAccess;
  /** Set for an entry of a transaction: what it reads must be read in `run`. */
  share?: TransactionShare;
  /** The id that the transaction chose for what this entry creates. */
  assignedId?: string;
}

export interface Outcome {
  response: FhirResponse;
  /** What was touched, versioned. */
  entities: AccessEntity[];
  /** The matches of a search by patient: one event for each, beside which those without a patient have one of their own. */
  byPatient?: ReadonlyMap<string, AccessEntity[]>;
  write?: AccessWrite;
  bytes?: AccessEvent['bytes'];
  /** What it changed of settings. */
  change?: AccessChange;
  /** What this access took for good. */
  purge?: AccessPurge;
  /** Id of the grant that was made, renewed or revoked. */
  grant?: string;
  /** The version written or found, for a repeated request with the same Idempotency-Key. */
  version?: { type: ResourceType; id: string; version: number };
  /** The events of a Bundle's entries, beside its own. */
  inner?: readonly AccessEvent[];
  /** The interaction that it turned out to be: an update that created; a Bundle says in its body whether it is a batch. */
  code?: InteractionCode;
  /** Set where the answer itself is kept for a repeated request with the same Idempotency-Key. */
  keepsAnswer?: boolean;
  /**
   * Fetches what is not ours, after the transaction and before the record: the outcome that it answers takes the place of
   * this one. Of a write the record is committed by then, so it may change the answer alone, and may not fail.
   */
  complete?: () => Promise<Outcome>;
  /** Opens the bytes and verifies the first of them; called before the record, so that a failure is still an answer. */
  open?: () => Promise<ByteStream>;
  /** Called once the answer is recorded and committed. */
  afterCommit?: () => void;
}

/** What an interaction says of itself: `prepare` and what follows from it. */
export interface InteractionSteps<Prepared> {
  code: InteractionCode;
  /** A write is recorded inside its own transaction; a read by the group commit of the record. */
  kind: 'read' | 'write';
  prepare?(context: InteractionContext): Promise<Prepared>;
  run(tx: Transaction, context: InteractionContext, prepared: Prepared): Promise<Outcome>;
  /** Undoes what `prepare` left when the transaction did not commit. */
  abandon?(context: InteractionContext, prepared: Prepared): Promise<void>;
  /** The Binary that `run` will create, for the documents of the same transaction. */
  binary?(context: InteractionContext, prepared: Prepared): LinkTarget;
}

/** What is left to do once `prepare` is done. `run` may be called again when another transaction was faster. */
export interface PreparedInteraction {
  run(tx: Transaction): Promise<Outcome>;
  abandon(): Promise<void>;
  binary?: LinkTarget;
}

export interface Interaction {
  code: InteractionCode;
  kind: 'read' | 'write';
  prepare(context: InteractionContext): Promise<PreparedInteraction>;
  /** The answer to a repetition with the same Idempotency-Key, where it is not FHIR's; `replay` answers FHIR's. */
  replay?(context: InteractionContext, replay: (context: InteractionContext) => Promise<Outcome>): Promise<Outcome>;
}

/** What a row of the route table is for: the interaction, and the right that it needs. */
export interface Passage {
  interaction: Interaction;
  access: AuthorizationRequest;
  /** Who asks, where the credential is no bearer token. Raises 401, which is recorded as for any other. */
  identify?(request: FhirRequest): Promise<Principal>;
}

export function defineInteraction<Prepared = undefined>(steps: InteractionSteps<Prepared>): Interaction {
  return {
    code: steps.code,
    kind: steps.kind,
    async prepare(context) {
      const prepared = (await steps.prepare?.(context)) as Prepared;
      return {
        run: (tx) => steps.run(tx, context, prepared),
        abandon: async () => { await steps.abandon?.(context, prepared); },
        ...(steps.binary === undefined ? {} : { binary: steps.binary(context, prepared) }),
      };
    },
  };
}

/** An interaction that is refused, before anything of it is done. It changes nothing: a read. */
export function refusedInteraction(code: InteractionCode, error: FhirError): Interaction {
  const refuse = (): Promise<never> => Promise.reject(error);
  return defineInteraction({ code, kind: 'read', prepare: refuse, run: refuse });
}
