// What HAPI holds, as we show it: our addresses in place of HAPI's, and none of the placeholders that HAPI makes where a
// reference points to nothing.
import { isJsonObject, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { ID_PATTERN, parseLocalReference } from '../fhir/reference.ts';
import { summarise, type SummaryForm } from '../fhir/summary.ts';
import { isPassed, type PassedType } from '../search/passed-parameters.ts';

export interface ShownResource {
  type: PassedType;
  id: string;
  /** HAPI's version. */
  version: string;
  /** Milliseconds; undefined where HAPI does not say. */
  lastUpdated: number | undefined;
  /** `Patient/id` of the patient whom it is about. */
  patient: string | undefined;
  text: string;
}

export interface ShowingOptions {
  /** Bases under which HAPI is known: the configured one, and the one that it names itself. */
  addresses: readonly string[];
  /** Our own FHIR base, without a trailing slash. */
  publicBase: string;
  /** How much of it is shown; undefined = the whole. */
  form: SummaryForm | undefined;
}

const PLACEHOLDER = 'http://hapifhir.io/fhir/StructureDefinition/resource-placeholder';

/** The element that names the patient. Others of these types are about nobody, or are the patient. */
const PATIENT_ELEMENTS: Partial<Record<PassedType, string>> = { Encounter: 'subject', RelatedPerson: 'patient', Device: 'patient' };

/** Made by HAPI so that a reference has a target: it says nothing about anybody, and only whoever wrote the reference knows of it. */
export function isPlaceholder(resource: JsonObject): boolean {
  const extensions = Array.isArray(resource['extension']) ? resource['extension'].filter(isJsonObject) : [];
  return extensions.some(({ url, valueBoolean }) => url === PLACEHOLDER && valueBoolean === true);
}

/** The resource as it is shown; undefined for a placeholder, for a type that is not passed on, and for what has no identity. */
export function showResource(resource: JsonValue | undefined, options: ShowingOptions): ShownResource | undefined {
  if (!isJsonObject(resource) || isPlaceholder(resource)) return undefined;
  const { resourceType: type, id } = resource;
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  const version = meta['versionId'];
  if (typeof type !== 'string' || !isPassed(type) || !isId(id) || !isId(version)) return undefined;
  const shown = readdress(resource, addressPattern(options.addresses), options.publicBase) as JsonObject;
  const patient = patientOf(shown, type, id, options.publicBase);
  const lastUpdated = typeof meta['lastUpdated'] === 'string' ? Date.parse(meta['lastUpdated']) : NaN;
  return { type, id, version, lastUpdated: Number.isNaN(lastUpdated) ? undefined : lastUpdated, patient, text: printJson(options.form === undefined ? shown : summarise(shown, options.form)) };
}

function isId(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && ID_PATTERN.test(value);
}

function patientOf(resource: JsonObject, type: PassedType, id: string, publicBase: string): string | undefined {
  if (type === 'Patient') return `Patient/${id}`;
  const element = resource[PATIENT_ELEMENTS[type] ?? ''];
  const reference = isJsonObject(element) ? element['reference'] : undefined;
  const local = typeof reference === 'string' ? parseLocalReference(reference, publicBase) : undefined;
  return local?.type === 'Patient' ? `Patient/${local.id}` : undefined;
}

/** Matches the addresses with either scheme, where nothing follows that would make another address of it. */
export function addressPattern(addresses: readonly string[]): RegExp {
  const bare = addresses.map((address) => address.replace(/^https?:\/\//, '').replace(/\/+$/, '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`https?://(?:${bare.join('|')})(?![.:]?[A-Za-z0-9_~%-])`, 'g');
}

/** In references, attachments, narrative and wherever else it stands: nobody but us reaches HAPI. Nothing is changed in place. */
function readdress(value: JsonValue, pattern: RegExp, publicBase: string): JsonValue {
  if (typeof value === 'string') return value.includes('://') ? value.replace(pattern, publicBase) : value;
  if (Array.isArray(value)) return value.map((item) => readdress(item, pattern, publicBase));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, readdress(member, pattern, publicBase)]));
}
