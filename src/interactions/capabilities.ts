// capabilities (R4 http.html 3.1.0.13): the CapabilityStatement, generated from the route table and the table of
// search parameters, so that it lists what works and nothing else.
import { includable, leadsTo, reverseIncludable } from '../search/parse-include.ts';
import { PATCH_FORMATS } from './read-patch.ts';
import { isPassed, passedParameters } from '../search/passed-parameters.ts';
import { CONFORMANCE_PARAMETERS, isConformanceType } from '../search/conformance-parameters.ts';
import { CANONICAL_BASE, isSearchable, SEARCH_PARAMETERS } from '../search/search-parameters.ts';

export interface CapabilityParts {
  fhirBase: string;
  softwareVersion: string;
  /** Instant at which this server's set of capabilities was made. */
  date: string;
  routes: readonly { type: string; code: string; path: string }[];
  /** The document of /.well-known/smart-configuration. */
  smart: Readonly<Record<string, unknown>>;
}

const ORDER = ['read', 'vread', 'update', 'patch', 'delete', 'history-instance', 'history-type', 'create', 'search-type'];
/** Interactions of the whole system; their rows of the route table stand under Bundle. */
const SYSTEM_ORDER = ['transaction', 'batch', 'search-system', 'history-system'];

function searchParams(type: string): object[] {
  const parameters = isSearchable(type) ? SEARCH_PARAMETERS[type] : isPassed(type) ? passedParameters(type) : isConformanceType(type) ? CONFORMANCE_PARAMETERS[type] : [];
  return parameters.map(({ name, definition, type: kind, documentation }) => ({ name, definition, type: kind, documentation }));
}

/** Operations of one type or of several, on whatever level; each has its OperationDefinition in profiles/. */
function operations(routes: CapabilityParts['routes'], types: readonly string[]): object {
  const names = routes.filter((route) => types.includes(route.type) && route.code === 'operation').map(({ path }) => path.split('$')[1] ?? '');
  if (names.length === 0) return {};
  return { operation: [...new Set(names)].map((name) => ({ name, definition: `${CANONICAL_BASE}/OperationDefinition/${name}` })) };
}

/** What `_include` and `_revinclude` can bring, among the types that are served. */
function includes(type: string, served: readonly string[]): object {
  if (isPassed(type)) return { searchInclude: passedParameters(type).filter(({ targets }) => targets?.some(isPassed)).map(({ name }) => `${type}:${name}`) };
  if (!isSearchable(type)) return {};
  const forward = includable(type).filter((parameter) => leadsTo(parameter, served)).map(({ name }) => `${type}:${name}`);
  const back = reverseIncludable(type).filter(({ source }) => served.includes(source)).map(({ source, parameter }) => `${source}:${parameter.name}`);
  return { ...(forward.length === 0 ? {} : { searchInclude: forward }), ...(back.length === 0 ? {} : { searchRevInclude: back }) };
}

const NOTES: Record<string, string> = {
  Binary: 'Raw bytes of any media type of the allow-list, or the resource in FHIR JSON or XML. Read answers the bytes unless Accept asks for application/fhir+json or application/fhir+xml; single byte ranges are served. Readable by whoever may read a document that points to it. While one does, neither changed nor deleted (409). Its history leaves the bytes out.',
  AuditEvent: 'Written by this server alone: one for each access.',
  Provenance: 'Written by this server alone: one for each access.',
  DocumentReference: 'Inline attachment.data is moved to a Binary and answered as url, size, hash (SHA-1) and alternate-hash (SHA-256).',
  List: 'Folders and submission sets of documents.',
  StructureDefinition: 'What this server defines, and the profiles that it knows: a resource that declares one is checked against it.',
  SearchParameter: 'All parameters of the types that are searched here.',
  CodeSystem: 'What this server defines.',
  ValueSet: 'What this server defines.',
  OperationDefinition: 'What this server offers.',
  Media: 'Inline content.data is moved to a Binary, as for DocumentReference.',
};

const PASSED_NOTE = 'Passed on from the HAPI server beside this one, with the addresses of this one: read and search alone. 503 while it does not answer.';

function resourceOf(type: string, codes: ReadonlySet<string>, conditional: ReadonlySet<string>, served: readonly string[]): object {
  const params = searchParams(type);
  return {
    type,
    ...(NOTES[type] === undefined ? {} : { documentation: NOTES[type] }),
    ...(isPassed(type) ? { documentation: PASSED_NOTE } : {}),
    interaction: ORDER.filter((code) => codes.has(code)).map((code) => ({ code })),
    versioning: codes.has('update') ? 'versioned-update' : isConformanceType(type) ? 'no-version' : 'versioned',
    readHistory: codes.has('vread'),
    updateCreate: codes.has('update'),
    conditionalCreate: codes.has('create') && params.length > 0,
    conditionalRead: codes.has('read') ? 'full-support' : 'not-supported',
    conditionalUpdate: conditional.has('update'),
    conditionalDelete: conditional.has('delete') ? 'single' : 'not-supported',
    referencePolicy: ['literal', 'logical'],
    ...(params.length === 0 ? {} : { ...includes(type, served), searchParam: params }),
  };
}

/** Interactions of a type whose path has no id. */
function byCriteria(routes: CapabilityParts['routes'], type: string): ReadonlySet<string> {
  return new Set(routes.filter(({ path }) => path === type).map(({ code }) => code));
}

/** Canonicals of R4's CompartmentDefinitions, of the compartments that the routes begin with. */
function compartments(routes: CapabilityParts['routes']): string[] {
  const names = routes.filter(({ path }) => path.includes('/[compartment-id]/')).map(({ path }) => path.split('/')[0] ?? '');
  return [...new Set(names)].map((name) => `http://hl7.org/fhir/CompartmentDefinition/${name.charAt(0).toLowerCase()}${name.slice(1)}`);
}

/** Parameters of a search over several types: those that every type has. */
function systemSearchParams(types: readonly string[]): object[] {
  const [first = [], ...others] = types.filter(isSearchable).map(searchParams) as { name: string }[][];
  return first.filter(({ name }) => name.startsWith('_') && others.every((params) => params.some((param) => param.name === name)));
}

const OAUTH_URIS = 'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris';
// The parts that the extension has in R4's own definition; smart-configuration names the other endpoints.
const OAUTH_ENDPOINTS: readonly (readonly [name: string, member: string])[] = [
  ['authorize', 'authorization_endpoint'], ['token', 'token_endpoint'], ['register', 'registration_endpoint'],
];

/** SMART's extension for clients that read no smart-configuration; without an authorization server there is nothing to say. */
function oauthUris(smart: Readonly<Record<string, unknown>>): { extension?: object[] } {
  const extension = OAUTH_ENDPOINTS.flatMap(([url, member]) => (smart[member] === undefined ? [] : [{ url, valueUri: smart[member] }]));
  return extension.length === 0 ? {} : { extension: [{ url: OAUTH_URIS, extension }] };
}

/** The statement as JSON text. */
export function printCapabilities(parts: CapabilityParts): string {
  const byType = new Map<string, Set<string>>();
  for (const { type, code } of parts.routes) byType.set(type, (byType.get(type) ?? new Set()).add(code));
  // A type that has nothing but an operation is not a resource of this server: its operation is named apart.
  const types = [...byType.keys()].filter((type) => type !== 'Bundle' && byType.get(type)?.has('read'));
  const others = [...byType.keys()].filter((type) => !types.includes(type));
  const served = types.filter((type) => type !== 'Binary');
  const system = SYSTEM_ORDER.filter((code) => byType.get('Bundle')?.has(code));
  return JSON.stringify({
    resourceType: 'CapabilityStatement',
    url: `${CANONICAL_BASE}/CapabilityStatement/muniment`,
    version: parts.softwareVersion,
    name: 'Muniment',
    title: 'Muniment FHIR server for clinical documents',
    status: 'active',
    date: parts.date,
    kind: 'instance',
    software: { name: 'Muniment', version: parts.softwareVersion },
    implementation: { description: 'Clinical documents with proof of what is held and who saw it', url: parts.fhirBase },
    fhirVersion: '4.0.1',
    format: ['application/fhir+json', 'application/fhir+xml', 'json', 'xml'],
    patchFormat: PATCH_FORMATS,
    rest: [{
      mode: 'server',
      security: {
        cors: true,
        service: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/restful-security-service', code: 'SMART-on-FHIR' }], text: 'Bearer tokens with SMART scopes patient/, user/ and system/, with search parameters' }],
        ...oauthUris(parts.smart),
      },
      resource: types.map((type) => ({ ...resourceOf(type, byType.get(type) ?? new Set(), byCriteria(parts.routes, type), served), ...operations(parts.routes, [type]) })),
      ...(system.length === 0 ? {} : { interaction: system.map((code) => ({ code })) }),
      ...(system.includes('search-system') ? { searchParam: systemSearchParams([...byType.keys()]) } : {}),
      ...operations(parts.routes, others),
      compartment: compartments(parts.routes),
    }],
  });
}
