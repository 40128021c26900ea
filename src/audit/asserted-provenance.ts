// What a client said of a write's origin in its X-Provenance header (R4 http.html 3.1.0.14): joined to the Provenance
// of this server, marked as asserted, and never in the place of what the server knows itself.
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import type { AccessEvent } from './access-event.ts';
import { agentType, organisationWho } from './who.ts';
import { fullWrite } from './write-agents.ts';

/** Marks what only the client vouches for. */
export const ASSERTED: { url: string; valueBoolean: true } = { url: 'https://muniment.example/fhir/StructureDefinition/asserted', valueBoolean: true };
/** When the client says that it happened; occurred[x] is the instant of the write here. */
const ASSERTED_OCCURRED = 'https://muniment.example/fhir/StructureDefinition/asserted-occurred';

/** Elements that are kept of a client's Provenance; its id, meta and narrative belong to no resource here. */
export const ASSERTED_ELEMENTS = ['occurredPeriod', 'occurredDateTime', 'policy', 'location', 'reason', 'activity', 'agent', 'entity', 'signature'] as const;

/** The statement in a row, undefined where the client made none or nothing was written. */
export function assertedOf(event: Pick<AccessEvent, 'outcome' | 'write'>): JsonObject | undefined {
  const text = fullWrite(event)?.asserted;
  const value = text === undefined ? undefined : parseJson(text);
  return isJsonObject(value) ? value : undefined;
}

export const objectsIn = (value: JsonValue | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

function referenceIn(value: JsonValue | undefined): string | undefined {
  const reference = isJsonObject(value) ? value['reference'] : undefined;
  return typeof reference === 'string' ? reference : undefined;
}

/** Literal references of the agents who may be one in R4. */
export function assertedAgents(event: Pick<AccessEvent, 'outcome' | 'write'>): string[] {
  return objectsIn(assertedOf(event)?.['agent']).flatMap(({ who }) => referenceIn(who) ?? []).filter((reference) => agentType(reference) !== undefined);
}

/** Literal references of the entities. */
export function assertedEntities(event: Pick<AccessEvent, 'outcome' | 'write'>): string[] {
  return objectsIn(assertedOf(event)?.['entity']).flatMap(({ what }) => referenceIn(what) ?? []);
}

function marked(element: JsonObject): JsonObject {
  const { extension, ...rest } = element;
  const { id, ...members } = rest;
  return { ...(id === undefined ? {} : { id }), extension: [...objectsIn(extension), { ...ASSERTED }], ...members };
}

/** US Core provenance-1: who is a practitioner or a device acts for somebody, for this organisation unless another is named. */
function markedAgent(event: AccessEvent, agent: JsonObject): JsonObject {
  const { who, onBehalfOf } = agent;
  const reference = referenceIn(who);
  const kind = reference === undefined ? (isJsonObject(who) ? who['type'] : undefined) : agentType(reference);
  const acts = onBehalfOf === undefined && (kind === 'Practitioner' || kind === 'Device');
  return marked(acts ? { ...agent, onBehalfOf: organisationWho(event) } : agent);
}

function joinedActivity(ours: JsonValue | undefined, theirs: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(theirs)) return ours;
  const coding = [...objectsIn(isJsonObject(ours) ? ours['coding'] : undefined), ...objectsIn(theirs['coding']).map(marked)];
  const { text } = theirs;
  return { coding, ...(typeof text === 'string' ? { text } : {}) };
}

/** `ours` with what the client asserted, members in R4's order; `ours` itself where it asserted nothing. */
export function joinAsserted<T extends object>(event: AccessEvent, ours: T): T {
  const said = assertedOf(event);
  if (said === undefined) return ours;
  const own = ours as unknown as JsonObject;
  const occurred = Object.keys(said).find((name) => name.startsWith('occurred'));
  const joined = (name: string, mark: (one: JsonObject) => JsonObject): JsonValue[] => [...(Array.isArray(own[name]) ? own[name] : []), ...objectsIn(said[name]).map(mark)];
  const policies = Array.isArray(said['policy']) ? said['policy'] : [];
  const { resourceType, id, meta, target, occurredDateTime, recorded, activity } = own;
  const members: Record<string, JsonValue | undefined> = {
    resourceType, id, meta,
    extension: occurred === undefined ? [] : [{ url: ASSERTED_OCCURRED, [occurred.replace('occurred', 'value')]: said[occurred] as JsonValue }],
    target, occurredDateTime, recorded, policy: policies, location: said['location'], reason: joined('reason', marked),
    activity: joinedActivity(activity, said['activity']), agent: joined('agent', (one) => markedAgent(event, one)), entity: joined('entity', marked), signature: said['signature'],
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))) as T;
}
