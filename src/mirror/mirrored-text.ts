// What a version looks like at the mirror: its exact JSON, with our version in meta.source
// (http://hl7.org/fhir/R4/resource.html#Meta), and for a Binary what it is, and its bytes only where they are given.
import { isJsonObject, parseJson, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';

export interface VersionName {
  orgName: string;
  type: string;
  id: string;
  version: number;
}

/** `urn:muniment:{org}/{Type}/{id}/_history/{version}` */
export function mirrorSource(name: VersionName): string {
  return `${resourceSource(name)}${name.version}`;
}

/**
 * Which version of the same resource `source` names; 'foreign' when another organisation of this kind of server wrote
 * it; undefined when it says nothing of ours: a placeholder, or somebody else's write.
 */
export function sourceVersion(source: string | undefined, name: VersionName): number | 'foreign' | undefined {
  if (source === undefined || !source.startsWith('urn:muniment:')) return undefined;
  const own = resourceSource(name);
  const version = source.startsWith(own) ? source.slice(own.length) : '';
  return /^[0-9]+$/.test(version) ? Number(version) : 'foreign';
}

/** The JSON text to send for `text`. `publicBase` is the FHIR base as clients see it, without a trailing slash; `data` the base64 that goes with a Binary. */
export function mirroredText(name: VersionName, text: string, publicBase: string, data?: string): string {
  const resource = parseJson(text) as JsonObject;
  const body = name.type === 'Binary' ? { ...stub(resource), ...(data === undefined ? {} : { data }) } : resource;
  absoluteUrls(body, publicBase);
  return sourcedText(name, body);
}

/** The text of `resource` with meta.source of `name`. */
export function sourcedText(name: VersionName, resource: JsonObject): string {
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  return printJson({ ...resource, meta: { ...meta, source: mirrorSource(name) } });
}

/** What each meta.source of an organisation begins with. */
export function organisationSource(orgName: string): string {
  return `urn:muniment:${orgName}/`;
}

function resourceSource({ orgName, type, id }: VersionName): string {
  return `${organisationSource(orgName)}${type}/${id}/_history/`;
}

const STUB_ELEMENTS = ['resourceType', 'id', 'meta', 'implicitRules', 'language', 'contentType', 'securityContext'];

function stub(binary: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(binary).filter(([name]) => STUB_ELEMENTS.includes(name)));
}

/** An attachment that names its Binary relative to us would be looked for at the mirror, which has no bytes. */
function absoluteUrls(value: JsonValue, publicBase: string): void {
  if (Array.isArray(value)) {
    for (const item of value) absoluteUrls(item, publicBase);
  } else if (isJsonObject(value)) {
    for (const [name, member] of Object.entries(value)) {
      if (name === 'url' && typeof member === 'string' && member.startsWith('Binary/')) value[name] = `${publicBase}/${member}`;
      else absoluteUrls(member, publicBase);
    }
  }
}
