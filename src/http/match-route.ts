// Which row of the route table a method and path belong to (R4 http.html 3.1.0.20).
import type { AuthorizationRequest } from '../access/authorize.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import type { Interaction } from '../interactions/interaction.ts';

export type RouteCode = AuthorizationRequest['interaction'];

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the base: names as they stand, [id] and so on for what varies; '' is the base itself. */
  path: string;
  /** The type that the path names; Bundle where it names none, for that is what is sent or answered there. */
  type: ResourceType;
  code: RouteCode;
  interaction: Interaction;
  /** Whether a request wishes something besides FHIR that is answered here. */
  answersAlso?(query: readonly [string, string][], accept: string | undefined): boolean;
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

/** By number of segments and the first of them, which is a name in every row: a request looks at the rows of its type alone. */
type Patterns = ReadonlyMap<string, readonly Pattern[]>;

const compiled = new WeakMap<readonly Route[], Patterns>();

function bucketOf(segments: readonly string[]): string {
  return `${segments.length} ${segments[0] ?? ''}`;
}

function patternsOf(routes: readonly Route[]): Patterns {
  const known = compiled.get(routes);
  if (known !== undefined) return known;
  const patterns = new Map<string, Pattern[]>();
  for (const route of routes) {
    const segments = route.path === '' ? [] : route.path.split('/');
    if (segments[0]?.startsWith('[') === true) throw new Error(`The path ${route.path} does not begin with a name`);
    const bucket = bucketOf(segments);
    patterns.set(bucket, [...patterns.get(bucket) ?? [], { route, segments, literals: segments.filter((part) => !part.startsWith('[')).length }]);
  }
  compiled.set(routes, patterns);
  return patterns;
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return pattern.every((part, at) => part.startsWith('[') || part === segments[at]);
}

function pathParameters(pattern: readonly string[], segments: readonly string[]): PathParameters {
  const at = (name: string): string | undefined => (pattern.includes(name) ? segments[pattern.indexOf(name)] : undefined);
  const compartment = at('[compartment-id]');
  return { id: at('[id]') ?? '', version: at('[vid]') ?? '', ...(compartment === undefined ? {} : { compartment: { type: segments[0] ?? '', id: compartment } }) };
}

/** `segments` are those below the FHIR base, decoded. Names as they stand come before what varies: DocumentReference/_history is not the id `_history`. */
export function matchRoute(routes: readonly Route[], method: string, segments: readonly string[]): Match {
  const fitting = (patternsOf(routes).get(bucketOf(segments)) ?? []).filter((pattern) => fits(pattern.segments, segments));
  const most = Math.max(...fitting.map((pattern) => pattern.literals));
  const here = fitting.filter((pattern) => pattern.literals === most);
  const [first] = here;
  if (first === undefined) return { kind: 'unknown' };
  const asked = method === 'HEAD' ? 'GET' : method;
  const match = here.find(({ route }) => route.method === asked);
  if (match !== undefined) return { kind: 'route', route: match.route, ...pathParameters(match.segments, segments) };
  return { kind: 'method', type: first.route.type, allow: [...new Set(here.flatMap(({ route }) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method])))] };
}
