// The shape of a FHIR interaction: what is slow goes to `prepare`, outside any transaction; `run` touches our own rows
// alone, inside one. The gate calls both, and records what came of it.
import type { AuthorizationRequest, Restriction } from '../access/authorize.ts';
import type { Principal } from '../access/principal.ts';
import type { AccessEntity, AccessEvent, AccessWrite, InteractionCode } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import type { ResourceType } from '../fhir/resource-type.ts';

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
  stream(bytesMax: number): AsyncIterable<Buffer>;
  /** SHA-256 over the bytes that were read, once the body was read to its end. */
  digest(): Buffer;
}

export interface FhirRequest {
  requestId: string;
  method: string;
  /** Below the FHIR base, with the query, as sent. */
  url: string;
  query: readonly [string, string][];
  /** The type that the path names; Bundle where it names none. */
  type: ResourceType;
  id: string;
  version: string;
  /** The compartment that the path begins with: Patient/1/DocumentReference. */
  compartment?: { type: string; id: string };
  address: string | undefined;
  body: RequestBody;
  /** The form of a search by POST, once it was read: the record shows it. */
  form?: string;
  /** The value of a header, several lines joined by comma. */
  header(name: string): string | undefined;
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
}

export interface InteractionContext {
  request: FhirRequest;
  principal: Principal;
  org: { id: number; name: string };
  restriction: Restriction;
  /** Milliseconds: the instant of this access. */
  now: number;
  /** Id of the access event that this interaction will leave. */
  eventId: string;
}

export interface Outcome {
  response: FhirResponse;
  /** What the interaction became, where that is another one: an update that created. */
  became?: InteractionCode;
  /** What was touched, versioned. */
  entities: AccessEntity[];
  /** The matches of a search by patient: one event for each, beside which those without a patient have one of their own. */
  byPatient?: ReadonlyMap<string, AccessEntity[]>;
  write?: AccessWrite;
  bytes?: AccessEvent['bytes'];
  /** The version written or found, for a repeated request with the same Idempotency-Key. */
  version?: { type: ResourceType; id: string; version: number };
  /** Fetches what is not ours, after the transaction and before the record: the outcome that it answers takes the place of this one. */
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
}

/** What is left to do once `prepare` is done. `run` may be called again when another transaction was faster. */
export interface PreparedInteraction {
  run(tx: Transaction): Promise<Outcome>;
  abandon(): Promise<void>;
}

export interface Interaction {
  code: InteractionCode;
  kind: 'read' | 'write';
  prepare(context: InteractionContext): Promise<PreparedInteraction>;
}

/** What a row of the route table is for: the interaction, and the right that it needs. */
export interface Passage {
  interaction: Interaction;
  access: AuthorizationRequest;
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
      };
    },
  };
}
