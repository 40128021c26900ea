// The conformance resources that this server serves: those of profiles/, and the SearchParameters of its own table.
// They are the same for every organisation and change with the release alone.
import { hash } from 'node:crypto';
import { printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { CONFORMANCE_PARAMETERS, type ConformanceParameter, type ConformanceType } from '../search/conformance-parameters.ts';
import { searchParameterResources } from '../search/search-parameter-resources.ts';
import { shippedProfiles } from '../validation/profile-registry.ts';

export interface ServedResource {
  id: string;
  /** With meta.versionId and meta.lastUpdated. */
  resource: JsonObject;
  /** Made of the text, so that it changes with it. */
  version: number;
  /** Milliseconds. */
  lastUpdated: number;
}

let served: ReadonlyMap<string, readonly ServedResource[]> | undefined;

/** The resource of that type and id; undefined when there is none. */
export function findConformance(type: ConformanceType, id: string): ServedResource | undefined {
  return servedOf(type).find((one) => one.id === id);
}

/** Those of a type that fit every parameter; a comma in a value is an or. In the order of their ids. */
export function searchConformance(type: ConformanceType, criteria: readonly (readonly [string, string])[]): ServedResource[] {
  const parameters: readonly ConformanceParameter[] = CONFORMANCE_PARAMETERS[type];
  return servedOf(type).filter(({ resource }) => criteria.every(([name, value]) => {
    const parameter = parameters.find((one) => one.name === name);
    return parameter === undefined || value.split(',').some((wanted) => fits(parameter, resource, wanted));
  }));
}

function servedOf(type: ConformanceType): readonly ServedResource[] {
  served ??= load();
  return served.get(type) ?? [];
}

function load(): ReadonlyMap<string, readonly ServedResource[]> {
  const shipped = shippedProfiles.all();
  const urls = new Set(shipped.map(({ url }) => url));
  const byType = new Map<string, ServedResource[]>();
  for (const resource of [...shipped, ...searchParameterResources().filter(({ url }) => url === undefined || !urls.has(url))]) {
    const type = text(resource['resourceType']);
    byType.set(type, [...(byType.get(type) ?? []), stamped(resource)]);
  }
  for (const resources of byType.values()) resources.sort((one, other) => (one.id < other.id ? -1 : 1));
  return byType;
}

function stamped(resource: JsonObject): ServedResource {
  const lastUpdated = Date.parse(text(resource['date'])) || 0;
  const version = hash('sha256', printJson(resource), 'buffer').readUIntBE(0, 6);
  const { resourceType = '', id = '', ...rest } = resource;
  return { id: text(id), version, lastUpdated, resource: { resourceType, id, meta: { versionId: String(version), lastUpdated: new Date(lastUpdated).toISOString() }, ...rest } };
}

function fits({ type, element }: ConformanceParameter, resource: JsonObject, wanted: string): boolean {
  const value = resource[element];
  const values = (Array.isArray(value) ? value : [value]).map(text);
  // A string is found by its beginning, a code with or without the system that R4 implies.
  if (type === 'string') return values.some((one) => one.toLowerCase().startsWith(wanted.toLowerCase()));
  return values.includes(type === 'token' ? wanted.slice(wanted.indexOf('|') + 1) : wanted);
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
}
