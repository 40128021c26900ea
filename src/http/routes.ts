// THE TABLE: which interactions there are, on which paths, and what they need. CapabilityStatement, Allow headers and
// the walk of the record's tests are read from it; a path that is not here does not exist.
import type { AuthorizationRequest } from '../access/authorize.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import { processBundle } from '../interactions/bundle.ts';
import { create } from '../interactions/create.ts';
import { createBinary } from '../interactions/create-binary.ts';
import { deleteInteraction } from '../interactions/delete.ts';
import { historyInstance } from '../interactions/history-instance.ts';
import type { Perform } from '../gate/perform.ts';
import type { Interaction } from '../interactions/interaction.ts';
import type { OutsideResources } from '../interactions/outside-resources.ts';
import type { DocumentParts } from '../interactions/prepare-document.ts';
import { patch } from '../interactions/patch.ts';
import { read } from '../interactions/read.ts';
import { readBinary } from '../interactions/read-binary.ts';
import { historyRecord, readRecord } from '../interactions/read-record.ts';
import { searchCompartment } from '../interactions/search-compartment.ts';
import { searchSystem } from '../interactions/search-system.ts';
import { searchType } from '../interactions/search-type.ts';
import { update } from '../interactions/update.ts';
import { vread } from '../interactions/vread.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import type { ContentReader } from '../content/read-content.ts';
import { COMPARTMENT_TYPES, compartmentMembers } from '../search/compartment.ts';
import { aim } from './aim.ts';
import { printOutcome } from './error-response.ts';
import { binaryForm } from './media-type.ts';

export type RouteCode = AuthorizationRequest['interaction'];

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the base: names as they stand, [id] and so on for what varies; '' is the base itself. */
  path: string;
  /** The type that the path names; Bundle where it names none, for that is what is sent or answered there. */
  type: ResourceType;
  code: RouteCode;
  interaction: Interaction;
}

export interface RouteParts extends DocumentParts {
  reader: ContentReader;
  newest: NewestLoader;
  uploadBytesMax: number;
  cursorKey: Buffer;
  /** What is passed on from elsewhere; undefined where nothing is. */
  outside?: OutsideResources;
  /** The door; the entries of a batch pass it one by one. */
  perform: Perform;
}

/** Where the interactions of a type stand (R4 http.html 3.1.0.20). */
const SHAPES = {
  'create': ['POST', '[type]'],
  'read': ['GET', '[type]/[id]'],
  'update': ['PUT', '[type]/[id]'],
  'patch': ['PATCH', '[type]/[id]'],
  'delete': ['DELETE', '[type]/[id]'],
  'history-instance': ['GET', '[type]/[id]/_history'],
  'vread': ['GET', '[type]/[id]/_history/[vid]'],
} as const satisfies Partial<Record<RouteCode, readonly [Route['method'], string]>>;

export function buildRoutes(parts: RouteParts): Route[] {
  const { fhirBase } = parts;
  const route = (type: ResourceType, code: keyof typeof SHAPES, interaction: Interaction): Route => {
    const [method, shape] = SHAPES[code];
    return { method, path: shape.replace('[type]', type), type, code, interaction };
  };
  const documents = (['DocumentReference', 'Media', 'List'] as const).flatMap((type) => [
    route(type, 'create', create(parts)),
    route(type, 'read', read(parts.newest)),
    route(type, 'vread', vread()),
    route(type, 'update', update(parts)),
    route(type, 'patch', patch(parts)),
    route(type, 'delete', deleteInteraction(fhirBase)),
    route(type, 'history-instance', historyInstance(fhirBase)),
    // Without an id the criteria in the query name the resource.
    { method: 'PUT' as const, path: type, type, code: 'update' as const, interaction: update(parts) },
    { method: 'PATCH' as const, path: type, type, code: 'patch' as const, interaction: patch(parts) },
    { method: 'DELETE' as const, path: type, type, code: 'delete' as const, interaction: deleteInteraction(fhirBase) },
  ]);
  const records = (['AuditEvent', 'Provenance'] as const).flatMap((type) => [
    route(type, 'read', readRecord('read')),
    route(type, 'vread', readRecord('vread')),
    route(type, 'history-instance', historyRecord(fhirBase)),
  ]);
  const bundle = processBundle({ ...parts, aim: (asked) => aim(routes, asked), printOutcome });
  const routes: Route[] = [
    ...documents,
    route('Binary', 'create', createBinary(parts)),
    route('Binary', 'read', readBinary({ fhirBase, content: parts.reader, form: binaryForm })),
    ...records,
    ...searchRoutes(parts),
    { method: 'POST', path: '', type: 'Bundle', code: 'transaction', interaction: bundle },
    { method: 'POST', path: '', type: 'Bundle', code: 'batch', interaction: bundle },
  ];
  return routes;
}

const SEARCHED = ['DocumentReference', 'Media', 'List', 'AuditEvent', 'Provenance'] as const;

/** Each search stands on two paths: by GET, and by POST to _search (R4 http.html 3.1.0.11). */
function searchRoutes(parts: RouteParts): Route[] {
  const both = (path: string, type: ResourceType, code: 'search-type' | 'search-system', interaction: Interaction): Route[] => [
    { method: 'GET', path, type, code, interaction },
    { method: 'POST', path: path === '' ? '_search' : `${path}/_search`, type, code, interaction },
  ];
  const compartments = COMPARTMENT_TYPES.flatMap((compartment) => [
    ...compartmentMembers(compartment).filter((type) => (SEARCHED as readonly string[]).includes(type)).flatMap((type) => both(`${compartment}/[compartment-id]/${type}`, type, 'search-type', searchCompartment(parts, compartment, type, SEARCHED))),
    ...both(`${compartment}/[compartment-id]/*`, 'Bundle', 'search-system', searchCompartment(parts, compartment, '*', SEARCHED)),
  ]);
  return [...SEARCHED.flatMap((type) => both(type, type, 'search-type', searchType(parts))), ...both('', 'Bundle', 'search-system', searchSystem(parts, SEARCHED)), ...compartments];
}

/** What varies in a path: the logical id, the version id, and the id of a compartment. */
export interface PathParameters {
  id: string;
  version: string;
  /** The compartment that the path begins with: Patient/1/DocumentReference. */
  compartment?: { type: string; id: string };
}

export type Match =
  | ({ kind: 'route'; route: Route } & PathParameters)
  /** The path is known, the method is not: what is allowed there. */
  | { kind: 'method'; type: ResourceType; allow: string[] }
  | { kind: 'unknown' };

interface Pattern {
  route: Route;
  segments: readonly string[];
  /** How many of them are names as they stand. */
  literals: number;
}

const patterns = new WeakMap<readonly Route[], readonly Pattern[]>();

function patternsOf(routes: readonly Route[]): readonly Pattern[] {
  const known = patterns.get(routes);
  if (known !== undefined) return known;
  const compiled = routes.map((route): Pattern => {
    const segments = route.path === '' ? [] : route.path.split('/');
    return { route, segments, literals: segments.filter((part) => !part.startsWith('[')).length };
  });
  patterns.set(routes, compiled);
  return compiled;
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return pattern.length === segments.length && pattern.every((part, at) => part.startsWith('[') || part === segments[at]);
}

function pathParameters(pattern: readonly string[], segments: readonly string[]): PathParameters {
  const at = (name: string): string | undefined => (pattern.includes(name) ? segments[pattern.indexOf(name)] : undefined);
  const compartment = at('[compartment-id]');
  return { id: at('[id]') ?? '', version: at('[vid]') ?? '', ...(compartment === undefined ? {} : { compartment: { type: segments[0] ?? '', id: compartment } }) };
}

/** `segments` are those below the FHIR base, decoded. Names as they stand come before what varies: DocumentReference/_history is not the id `_history`. */
export function matchRoute(routes: readonly Route[], method: string, segments: readonly string[]): Match {
  const fitting = patternsOf(routes).filter((pattern) => fits(pattern.segments, segments));
  const most = Math.max(...fitting.map((pattern) => pattern.literals));
  const here = fitting.filter((pattern) => pattern.literals === most);
  const [first] = here;
  if (first === undefined) return { kind: 'unknown' };
  const asked = method === 'HEAD' ? 'GET' : method;
  const match = here.find(({ route }) => route.method === asked);
  if (match !== undefined) return { kind: 'route', route: match.route, ...pathParameters(match.segments, segments) };
  return { kind: 'method', type: first.route.type, allow: [...new Set(here.flatMap(({ route }) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method])))] };
}
