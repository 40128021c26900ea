// An R4 Consent (http://hl7.org/fhir/R4/consent.html) as far as it is honoured here. What stands in it and is not understood is
// kept as such: a denial that has it reaches further, a permission that has it lifts nothing. Pure.
import { periodRange, type DateRange } from '../fhir/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import type { TestedCode } from './document-test.ts';

export interface ConsentActor {
  /** `Type/id`; undefined where it cannot be told who is meant. */
  reference: string | undefined;
  /** Who receives what is read (v3-ParticipationType IRCP, PRCP). */
  receives: boolean;
}

/** Lists that are absent do not narrow the provision; undefined members of them are what was not understood. */
export interface Provision {
  /** Undefined at the root, where the base policy says it; elsewhere deny. */
  type: 'permit' | 'deny' | undefined;
  /** Holds something that is not understood: nothing is permitted by it. */
  strange: boolean;
  /** Milliseconds; null where it cannot be read. */
  period?: DateRange | null;
  actors?: readonly ConsentActor[];
  actions?: readonly (string | undefined)[];
  purposes?: readonly (string | undefined)[];
  labels?: readonly (TestedCode | undefined)[];
  classes?: readonly (TestedCode | undefined)[];
  codes?: readonly (TestedCode | undefined)[];
  /** `Type/id` of the instances that are meant. */
  data?: readonly (string | undefined)[];
  nested: readonly Provision[];
}

export interface Consent {
  id: string;
  /** Id of the Patient. */
  patient: string;
  /** The base policy is that nothing is disclosed (v3-ActCode OPTOUT, OPTOUTE). */
  optsOut: boolean;
  root: Provision;
}

const OPT_OUT = ['OPTOUT', 'OPTOUTE'];
const RECIPIENTS = ['IRCP', 'PRCP'];
const KNOWN = new Set(['id', 'extension', 'type', 'period', 'actor', 'action', 'securityLabel', 'purpose', 'class', 'code', 'data', 'provision']);
export const PROVISIONS_MAX = 200;
const DEPTH_MAX = 10;

const list = (value: JsonValue | undefined): JsonValue[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);
const object = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : {});
const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

function codingOf(value: JsonValue): TestedCode | undefined {
  const { system, code } = object(value);
  const [from, name] = [text(system), text(code)];
  return name === undefined ? undefined : { ...(from === undefined ? {} : { system: from }), code: name };
}

/** The codings of a concept; one that is said in words alone is not understood. */
function codingsOf(concept: JsonValue): (TestedCode | undefined)[] {
  const codings = list(object(concept)['coding']).map(codingOf);
  return codings.length === 0 ? [undefined] : codings;
}

function referenceOf(value: JsonValue | undefined, base: string): string | undefined {
  const reference = text(object(value)['reference']);
  const local = reference === undefined ? undefined : parseLocalReference(reference, base);
  return local === undefined ? undefined : `${local.type}/${local.id}`;
}

const actorOf = (value: JsonValue, base: string): ConsentActor => ({
  reference: referenceOf(object(value)['reference'], base),
  receives: codingsOf(object(value)['role'] ?? {}).some((coding) => coding !== undefined && RECIPIENTS.includes(coding.code)),
});

/** `related`, `dependents` and `authoredby` mean more than can be followed here. */
const instanceOf = (value: JsonValue, base: string): string | undefined => (object(value)['meaning'] === 'instance' ? referenceOf(object(value)['reference'], base) : undefined);

function periodOf(value: JsonValue): DateRange | null {
  const { start, end } = object(value);
  return periodRange(text(start), text(end)) ?? null;
}

const typeOf = (value: JsonValue | undefined): Provision['type'] => (value === 'permit' || value === 'deny' ? value : undefined);

interface Reading {
  base: string;
  left: number;
}

function readProvision(value: JsonValue, reading: Reading, depth: number): Provision {
  reading.left -= 1;
  // What is nested too deep or too often denies by itself.
  if (reading.left < 0 || depth > DEPTH_MAX || !isJsonObject(value)) return { type: 'deny', strange: true, nested: [] };
  const { base } = reading;
  const { type, period, actor, action, securityLabel, purpose, class: classes, code, data, provision } = value;
  const strange = Object.keys(value).some((name) => !KNOWN.has(name)) || (type !== undefined && typeOf(type) === undefined);
  return {
    type: typeOf(type) ?? (type === undefined && depth === 0 ? undefined : 'deny'), strange,
    ...(period === undefined ? {} : { period: periodOf(period) }),
    ...(actor === undefined ? {} : { actors: list(actor).map((one) => actorOf(one, base)) }),
    ...(action === undefined ? {} : { actions: list(action).flatMap(codingsOf).map((coding) => coding?.code) }),
    ...(purpose === undefined ? {} : { purposes: list(purpose).map((one) => codingOf(one)?.code) }),
    ...(securityLabel === undefined ? {} : { labels: list(securityLabel).map(codingOf) }),
    ...(classes === undefined ? {} : { classes: list(classes).map(codingOf) }),
    ...(code === undefined ? {} : { codes: list(code).flatMap(codingsOf) }),
    ...(data === undefined ? {} : { data: list(data).map((one) => instanceOf(one, base)) }),
    nested: list(provision).map((one) => readProvision(one, reading, depth + 1)),
  };
}

/** Undefined for what is not in force, is about something else than privacy, or names no patient whom we could know. `base` is that of the server that keeps it. */
export function readConsent(resource: JsonObject, base: string): Consent | undefined {
  const { resourceType, id, status, scope, patient, policyRule, provision, modifierExtension } = resource;
  const about = codingsOf(scope ?? {}).some((coding) => coding?.code === 'patient-privacy');
  const whose = referenceOf(patient, base);
  if (resourceType !== 'Consent' || status !== 'active' || !about || typeof id !== 'string' || whose?.startsWith('Patient/') !== true) return undefined;
  const root = readProvision(provision ?? {}, { base, left: PROVISIONS_MAX }, 0);
  return {
    id, patient: whose.slice('Patient/'.length), root: { ...root, strange: root.strange || modifierExtension !== undefined },
    optsOut: policyRule !== undefined && codingsOf(policyRule).some((coding) => coding !== undefined && OPT_OUT.includes(coding.code)),
  };
}
