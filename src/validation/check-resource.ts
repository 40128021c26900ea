// All that is known to be wrong with a resource: base R4, then each profile that it declares in meta.profile.
import { issueOf, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import { isResourceType } from '../fhir/structure.ts';
import { shippedProfiles, type ProfileRegistry } from './profile-registry.ts';
import { inspectResource } from './validate-resource.ts';

/** More profiles than these are not looked at. */
const PROFILES_MAX = 20;
const CORE = 'http://hl7.org/fhir/StructureDefinition/';

/** Every issue of the resource, errors and warnings: those of base R4, and where it has no error those of its profiles and of `more`. */
export async function checkResource(resource: JsonObject, type: string, more: readonly string[] = [], registry: ProfileRegistry = shippedProfiles): Promise<Issue[]> {
  const issues = inspectResource(resource, type);
  return issues.some(({ severity }) => severity === 'error') ? issues : [...issues, ...await profileIssues(resource, type, more, registry)];
}

/**
 * The issues of a valid resource against each profile that it declares, and against `more`. A profile that is not in the registry is a
 * warning, `unknown-profile`. The code of profiles is loaded by the first resource that has a known one.
 */
export async function profileIssues(resource: JsonObject, type: string, more: readonly string[] = [], registry: ProfileRegistry = shippedProfiles): Promise<Issue[]> {
  const declared = declaredProfiles(resource);
  const issues: Issue[] = [];
  for (const [at, url] of declared.entries()) issues.push(...await issuesOf(resource, type, url, `${type}.meta.profile[${at}]`, registry));
  for (const url of more.filter((one) => !declared.includes(one))) issues.push(...await issuesOf(resource, type, url, type, registry));
  return issues;
}

function declaredProfiles(resource: JsonObject): string[] {
  const { meta } = resource;
  const profiles = isJsonObject(meta) ? meta['profile'] : undefined;
  return Array.isArray(profiles) ? profiles.filter((url) => typeof url === 'string').slice(0, PROFILES_MAX) : [];
}

async function issuesOf(resource: JsonObject, type: string, url: string, place: string, registry: ProfileRegistry): Promise<Issue[]> {
  const base = (url.split('|')[0] ?? url).replace(CORE, '');
  if (url.startsWith(CORE) && isResourceType(base)) {
    return base === type ? [] : [issueOf('profile', `${place} is the definition of ${base}, which ${type} is not`, place)];
  }
  const definition = registry.find('StructureDefinition', url);
  if (definition === undefined) {
    return [{ ...issueOf('unknown-profile', `${place} is not known here, so it was not checked: ${url.slice(0, 200)}`, place), severity: 'warning' }];
  }
  const { checkProfile } = await import('./profiles/check-profile.ts');
  return checkProfile(resource, definition, registry);
}
