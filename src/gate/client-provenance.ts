// X-Provenance (R4 http.html 3.1.0.14): a Provenance in JSON, in a header, of the resource that this request writes. It is
// checked before anything is written; the server adds the target, and joins it to its own Provenance as asserted.
import { ASSERTED_ELEMENTS } from '../audit/asserted-provenance.ts';
import { withoutCredentials } from '../audit/shown-text.ts';
import { ERRORS, FhirError, fhirError, issueOf, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, JsonSyntaxError, parseJson, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import type { FhirRequest, Interaction } from '../interactions/interaction.ts';
import { validateResource } from '../validation/validate-resource.ts';

const BYTES_MAX = 16_384;
const WRITES: readonly string[] = ['create', 'update', 'patch', 'delete'];

const refused = (diagnostics: string, expression = 'Provenance'): FhirError => fhirError('invalid-parameter', `X-Provenance: ${diagnostics}`, { expression });

/** Header bytes as Node gives them, one character each, as the UTF-8 that they are. */
function headerText(value: string): string {
  if (!/[\u0080-\u00ff]/.test(value)) return value;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    throw refused('the header is not UTF-8');
  }
}

function parsed(value: string): JsonObject {
  try {
    const provenance = parseJson(headerText(value));
    if (isJsonObject(provenance)) return provenance;
  } catch (error) {
    if (error instanceof FhirError) throw error;
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw refused(`the header is not JSON. ${error.message}`);
  }
  throw refused('the header must hold one resource');
}

/** The server says what the target is. A client may name it where it knows it: without a version, which is made here. */
function requireTarget(provenance: JsonObject, { type, id }: FhirRequest, fhirBase: string): void {
  const { target } = provenance;
  if (target === undefined) return;
  const targets = Array.isArray(target) ? target : [target];
  const fits = targets.length > 0 && id !== '' && targets.every((one) => {
    const reference = isJsonObject(one) && typeof one['reference'] === 'string' ? parseLocalReference(one['reference'], fhirBase) : undefined;
    return reference?.type === type && reference.id === id && reference.version === undefined;
  });
  if (!fits) throw refused('the target is the resource that this request writes; leave it out', 'Provenance.target');
}

function requireValid(provenance: JsonObject, { type, id }: FhirRequest): void {
  const issues = validateResource({ ...provenance, target: [{ reference: `${type}/${id === '' ? 'new' : id}` }] }, 'Provenance');
  const told = issues.map((issue): Issue => ({ ...issue, diagnostics: `X-Provenance: ${issue.diagnostics}` }));
  if (told.length > 0) throw new FhirError(told, { status: told.some(({ detail }) => ERRORS[detail].status === 400) ? 400 : 422 });
}

/** As it is kept: references to resources of this server without its address, and no credential in any text. */
function kept(value: JsonValue, fhirBase: string, name = ''): JsonValue {
  if (Array.isArray(value)) return value.map((one) => kept(one, fhirBase, name));
  if (isJsonObject(value)) return Object.fromEntries(Object.entries(value).map(([member, inner]) => [member, kept(inner, fhirBase, member)]));
  // The bytes of a signature are no text.
  if (typeof value !== 'string' || name === 'data') return value;
  const local = name === 'reference' ? parseLocalReference(value, fhirBase) : undefined;
  if (local === undefined) return withoutCredentials(value);
  return `${local.type}/${local.id}${local.version === undefined ? '' : `/_history/${local.version}`}`;
}

/**
 * JSON text of what the client asserts; undefined where it sends no such header, and where the request writes nothing.
 * Raises 400 for what is no Provenance in JSON, is too long, has another target or stands at a Bundle; 422 for one that
 * breaks R4 or has what cannot be joined.
 */
export function readClientProvenance(request: FhirRequest, { code }: Interaction, fhirBase: string): string | undefined {
  const value = request.header('x-provenance');
  if (value === undefined) return undefined;
  if (code === 'batch' || code === 'transaction') throw refused('a Bundle has no one target; put the header to the request of each resource');
  if (!WRITES.includes(code)) return undefined;
  if (value.length > BYTES_MAX) throw new FhirError([issueOf('too-long', `X-Provenance may have ${BYTES_MAX} bytes`, 'Provenance')], { status: 400 });
  const provenance = parsed(value);
  if (provenance['resourceType'] !== 'Provenance') throw refused('the header must hold a Provenance', 'resourceType');
  requireTarget(provenance, request, fhirBase);
  requireValid(provenance, request);
  for (const name of ['contained', 'implicitRules', 'modifierExtension']) {
    if (provenance[name] !== undefined) throw fhirError('business-rule', `X-Provenance: ${name} cannot be joined with the Provenance of this server`, { expression: `Provenance.${name}` });
  }
  return printJson(kept(Object.fromEntries(ASSERTED_ELEMENTS.flatMap((name) => (provenance[name] === undefined ? [] : [[name, provenance[name]]]))), fhirBase));
}
