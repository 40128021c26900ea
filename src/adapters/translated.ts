// An interaction of FHIR in other words: the request is put as FHIR has it, the answer as the way in has it. What is decided,
// checked and recorded stays the interaction's.
import type { Transaction } from '../database/database.ts';
import type { FhirRequest, FhirResponse, Interaction, InteractionContext, Outcome } from '../interactions/interaction.ts';

export interface Translation {
  /** What the request is in FHIR's words, as far as it differs. */
  ask(context: InteractionContext): Partial<FhirRequest> | Promise<Partial<FhirRequest>>;
  /** `tx` is that of the interaction; a repetition by Idempotency-Key has none. */
  answer(outcome: Outcome, context: InteractionContext, tx?: Transaction): Outcome | Promise<Outcome>;
}

/** Headers that say how FHIR is shown; here the form is ours. */
const FORM_HEADERS: ReadonlySet<string> = new Set(['prefer', 'accept', 'if-none-exist']);

export function inFhirTerms(context: InteractionContext, asked: Partial<FhirRequest>): InteractionContext {
  const { request } = context;
  return { ...context, request: { ...request, header: (name) => (FORM_HEADERS.has(name) ? undefined : request.header(name)), ...asked } };
}

export function translated(inner: Interaction, { ask, answer }: Translation): Interaction {
  return {
    code: inner.code,
    kind: inner.kind,
    async prepare(context) {
      const prepared = await inner.prepare(inFhirTerms(context, await ask(context)));
      return { ...prepared, run: async (tx) => answer(await prepared.run(tx), context, tx) };
    },
    replay: async (context, replay) => answer(await replay(inFhirTerms(context, {})), context),
  };
}

const JSON_TYPE = 'application/json; charset=utf-8';

/** The answer with a body of plain JSON; headers of the FHIR form that hold here as well stay. */
export function jsonAnswer({ headers }: Pick<FhirResponse, 'headers'>, status: number, body: unknown, more: Record<string, string> = {}): FhirResponse {
  const { Location: _location, 'Content-Type': _type, ...kept } = headers;
  return { status, headers: { ...kept, ...more, 'Content-Type': JSON_TYPE }, body: JSON.stringify(body) };
}
