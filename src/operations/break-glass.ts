// Patient/[id]/$break-glass: declares treatment in an emergency (v3-ActReason ETREAT) of one patient, with its reason. What is asked
// with the header X-Break-Glass within 60 minutes is marked in the record, and reviewed by an administrator.
import { authorize } from '../access/authorize.ts';
import { emergencyRefusal, EMERGENCY_MINUTES, inEmergency } from '../access/break-glass.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { isJsonObject, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { defineInteraction, type Interaction, type InteractionContext } from '../interactions/interaction.ts';
import { readFhirBody } from '../interactions/read-body.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';
import { declareEmergency, emergencyReference } from '../resources/emergencies.ts';

const [REASON_MIN, REASON_MAX] = [10, 500];

/** Raises 400 or 422 unless the body is Parameters with one reason in words. */
function readReason(body: JsonObject): string {
  if (body['resourceType'] !== 'Parameters') throw fhirError('wrong-resource-type', 'The body must be Parameters', { expression: 'resourceType' });
  const parameters: JsonValue[] = Array.isArray(body['parameter']) ? body['parameter'] : [];
  const reasons = parameters.filter(isJsonObject).filter(({ name }) => name === 'reason');
  const [reason, ...further] = reasons.map(({ valueString }) => valueString);
  if (typeof reason !== 'string' || further.length > 0) throw fhirError('required', 'The parameter reason says in words, as valueString, what the emergency is', { expression: 'Parameters.parameter' });
  const text = reason.trim();
  if (text.length < REASON_MIN || text.length > REASON_MAX || /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text)) {
    throw fhirError('business-rule', `The reason has ${REASON_MIN} to ${REASON_MAX} characters`, { expression: 'Parameters.parameter' });
  }
  return text;
}

function requireMay({ principal, request }: InteractionContext, patient: string): void {
  const refused = emergencyRefusal(principal);
  if (refused !== undefined) throw fhirError('forbidden', refused);
  const under = inEmergency(principal, { id: '', patient });
  const decisions = (['read', 'search-type'] as const).map((interaction) => authorize(under, { interaction, type: 'DocumentReference' }));
  if (decisions.every(({ permit }) => !permit)) throw fhirError('forbidden', `Nothing of ${request.type}/${patient} could be read with the scopes of this token`);
}

export function breakGlass(parts: { bodyBytesMax: number }): Interaction {
  return defineInteraction<{ patient: string; reason: string }>({
    code: 'operation',
    kind: 'write',
    async prepare(context) {
      const patient = context.request.compartment?.id ?? '';
      requireMay(context, patient);
      return { patient, reason: readReason(await readFhirBody(context.request, parts.bodyBytesMax)) };
    },
    async run(tx, { org, principal, now }, { patient, reason }) {
      const id = newUuidV7(now);
      const expires = await declareEmergency(tx, org.id, principal, { id, patient, reason, now });
      const answer = { resourceType: 'Parameters', parameter: [{ name: 'break-glass', valueUuid: `urn:uuid:${id}` }, { name: 'header', valueString: `X-Break-Glass: ${id}` }, { name: 'expires', valueInstant: printInstant(expires.getTime()) }, { name: 'minutes', valueInteger: EMERGENCY_MINUTES }] };
      return {
        response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: printJson(answer) },
        entities: [{ reference: `Patient/${patient}`, role: 'patient' }, { reference: emergencyReference(id), role: 'data' }],
        keepsAnswer: true,
      };
    },
  });
}
