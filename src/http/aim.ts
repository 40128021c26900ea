// From method and URL to a row of the route table, or to the refusal that stands in its place.
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { preference } from '../fhir/prefer.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { RESOURCE_TYPES, type ResourceType } from '../fhir/resource-type.ts';
import { refusedInteraction, type Passage } from '../interactions/interaction.ts';
import { PUBLIC_PATHS } from './public-routes.ts';
import { matchRoute, type PathParameters, type Route, type RouteCode } from './match-route.ts';
import { queryOf, segmentsOf, splitUrl } from './request-url.ts';
import { NOT_ACCEPTABLE, wishOf } from './wish.ts';

const URL_CHARACTERS_MAX = 16_384;

const BY_METHOD: Record<string, RouteCode> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** A passage that ends in a refusal: identified and recorded like any other. */
function refusing(error: FhirError, method: string, type: ResourceType): Passage {
  const code = BY_METHOD[method] ?? 'read';
  return { interaction: refusedInteraction(code, error), access: { interaction: code, type, refusal: true } };
}

/** What a request is aimed at. What is refused already is a passage too: it is identified and recorded like any other. */
export interface Aimed extends PathParameters {
  passage: Passage;
  type: ResourceType;
  query: readonly [string, string][];
}

/** Method, URL below the base, and headers: of a request, or of an entry of a Bundle. */
export interface Asked {
  method: string;
  url: string;
  header(name: string): string | undefined;
}

/** RFC 7240 4.1: a preference may be passed over, unless the client says that it means it. */
function refusesSynchronous(prefer: string | undefined): boolean {
  return prefer !== undefined && preference(prefer, 'respond-async') !== undefined && preference(prefer, 'handling') === 'strict';
}

export function aim(routes: readonly Route[], request: Asked): Aimed {
  const [path = '', search = ''] = splitUrl(request.url);
  const refuse = (error: FhirError, type: ResourceType = 'DocumentReference'): Aimed => ({ passage: refusing(error, request.method, type), type, id: '', version: '', query: [] });
  if (request.url.length > URL_CHARACTERS_MAX) return refuse(fhirError('uri-too-long', `The URL may have ${URL_CHARACTERS_MAX} characters`));
  const segments = segmentsOf(path);
  const query = queryOf(search);
  if (segments === undefined || query === undefined) return refuse(fhirError('malformed-request', 'The percent-encoding of the URL is broken'));
  const match = matchRoute(routes, request.method, segments);
  if (match.kind === 'unknown') return refuse(PUBLIC_PATHS.has(`/${segments.join('/')}`) ? methodNotAllowed(request.method, ['GET', 'HEAD']) : unknownPath(segments));
  if (match.kind === 'method') return refuse(methodNotAllowed(request.method, match.allow), match.type);
  const { kind: _kind, route, ...parameters } = match;
  const { id, compartment } = parameters;
  if (compartment !== undefined && !ID_PATTERN.test(compartment.id)) return refuse(fhirError('not-found', 'There is no such compartment'), route.type);
  if (id !== '' && !ID_PATTERN.test(id)) {
    const error = route.method === 'PUT' ? fhirError('invalid-value', 'An id has 1 to 64 characters of A-Z a-z 0-9 - .') : fhirError('not-found', 'There is no such id');
    return refuse(error, route.type);
  }
  const free = (route.type === 'Binary' && (route.code === 'read' || route.code === 'vread')) || route.answersAlso?.(query, request.header('accept')) === true;
  if (!free && wishOf(request).format === undefined) return refuse(fhirError('not-acceptable', NOT_ACCEPTABLE), route.type);
  if (refusesSynchronous(request.header('prefer'))) return refuse(fhirError('invalid-parameter', 'Prefer: respond-async is not offered here; the answer comes at once'), route.type);
  const byCriteria = ['update', 'patch', 'delete'].includes(route.code) && !route.path.includes('[id]');
  const conditional = byCriteria || (route.code === 'create' && request.header('if-none-exist') !== undefined);
  return { passage: { interaction: route.interaction, access: { interaction: route.code, type: route.type, ...(conditional ? { conditional } : {}) } }, type: route.type, ...parameters, query };
}

function methodNotAllowed(method: string, allow: readonly string[]): FhirError {
  return fhirError('method-not-allowed', `${method} is not offered here`, { headers: { Allow: [...allow, 'OPTIONS'].join(', ') } });
}

function unknownPath(segments: readonly string[]): FhirError {
  const [type = ''] = segments;
  const known = Object.hasOwn(RESOURCE_TYPES, type);
  return fhirError('unknown-type', known ? 'There is no such interaction here' : `This server does not have the resource type ${type.slice(0, 64)}`);
}
