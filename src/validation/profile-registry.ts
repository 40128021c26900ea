// The conformance resources of the project's folder profiles/: read once, at first use, and found by their canonical URL
// (http://hl7.org/fhir/R4/references.html#canonical).
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isJsonObject, parseJson, type JsonObject } from '../fhir/json.ts';

export interface ProfileRegistry {
  /** Every resource of the folder, in the order of the file names. */
  all(): readonly JsonObject[];
  /** The resource of that type with this canonical, `url` or `url|version`; undefined when it is not here. */
  find(type: string, canonical: string): JsonObject | undefined;
}

/** `folder` holds files `<ResourceType>-<id>.json`. They are read when they are first asked for; throws then when one is no resource. */
export function createProfileRegistry(folder: string): ProfileRegistry {
  let known: readonly JsonObject[] | undefined;
  const all = (): readonly JsonObject[] => (known ??= readFolder(folder));
  return { all, find: (type, canonical) => findCanonical(all(), type, canonical) };
}

/** A registry of resources at hand. */
export function registryOf(resources: readonly JsonObject[]): ProfileRegistry {
  return { all: () => resources, find: (type, canonical) => findCanonical(resources, type, canonical) };
}

/** The registry of the folder that is shipped with this server. */
export const shippedProfiles: ProfileRegistry = createProfileRegistry(profilesFolder());

function findCanonical(resources: readonly JsonObject[], type: string, canonical: string): JsonObject | undefined {
  const [url = '', version] = canonical.split('|');
  return resources.find((one) => one['resourceType'] === type && one['url'] === url && (version === undefined || one['version'] === version));
}

function readFolder(folder: string): JsonObject[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
  return names.map((name) => {
    const resource = parseJson(readFileSync(join(folder, name), 'utf8'));
    if (!isJsonObject(resource)) throw new Error(`${name} holds no resource`);
    return resource;
  });
}

/** Beside package.json, above the sources as above what was built from them. */
function profilesFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, 'profiles');
}
