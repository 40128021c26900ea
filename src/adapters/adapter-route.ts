// The ways in beside FHIR: groups of rows below a prefix of the server's root. Each row translates to interactions and passes
// the same doorway, so that access, integrity, record and mirror hold there as well.
import type { AuthorizationRequest } from '../access/authorize.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import { defineInteraction, type Interaction, type Passage } from '../interactions/interaction.ts';
import { declaredStatuses, type RowDescription } from './row-description.ts';

export interface AdapterRoute {
  /** A row of GET answers HEAD as well, unless HEAD has one of its own. */
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the group's prefix: names as they stand, [name] for what varies (`request.parameters`); '' is the prefix itself. */
  path: string;
  interaction: Interaction;
  /** The right that it needs. */
  access: Omit<AuthorizationRequest, 'type'>;
  /** The type that the right is for, and that the record names. */
  type: ResourceType;
  /** Who asks, where the credential is no bearer token. */
  identify?: NonNullable<Passage['identify']>;
  /** What the document of the API says of it. */
  says?: RowDescription;
  /** Tells its progress by server-sent events to whoever accepts them. */
  tellsProgress?: true;
}

export interface AdapterGroup {
  /** The first segments of the path: `documents`, `api/medical-records`. */
  prefix: string;
  routes: readonly AdapterRoute[];
  /** Whether pages of other origins may call. */
  crossOrigin: boolean;
  /** The path is a credential: neither it nor the query may stand in a record. */
  secretPath?: boolean;
  /** Headers of every answer of this group, and of OPTIONS alone. */
  headers?: Record<string, string>;
  options?: Record<string, string>;
}

export interface AdapterAim {
  passage: Passage;
  type: ResourceType;
  parameters: Record<string, string>;
  /** The statuses that the row declares; undefined for what is in no row. */
  declared?: ReadonlySet<number>;
  tellsProgress?: true;
}

const isVariable = (segment: string): boolean => segment.startsWith('[');

function refusing(error: Error): AdapterAim {
  const interaction = defineInteraction({ code: 'operation', kind: 'read', run: () => Promise.reject(error) });
  return { passage: { interaction, access: { interaction: 'operation', type: 'DocumentReference', refusal: true } }, type: 'DocumentReference', parameters: {} };
}

/** Names as they stand come before what varies. */
function fittingRoutes(routes: readonly AdapterRoute[], segments: readonly string[]): readonly AdapterRoute[] {
  const patterns = routes.map((route) => ({ route, pattern: route.path === '' ? [] : route.path.split('/') }));
  const fitting = patterns.filter(({ pattern }) => pattern.length === segments.length && pattern.every((part, at) => (isVariable(part) ? segments[at] !== '' : part === segments[at])));
  const literals = (pattern: readonly string[]): number => pattern.filter((part) => !isVariable(part)).length;
  const most = Math.max(...fitting.map(({ pattern }) => literals(pattern)));
  return fitting.filter(({ pattern }) => literals(pattern) === most).map(({ route }) => route);
}

/** `segments` are those below the prefix, decoded; undefined when their encoding is broken. What is not in the table is a passage too: it is identified and recorded like any other. */
export function aimAdapter(group: AdapterGroup, method: string, segments: readonly string[] | undefined): AdapterAim {
  if (segments === undefined) return refusing(fhirError('malformed-request', 'The percent-encoding of the URL is broken'));
  const here = fittingRoutes(group.routes, segments);
  if (here.length === 0) return refusing(fhirError('unknown-type', `There is nothing here below /${group.prefix}`));
  const route = here.find((row) => row.method === method) ?? (method === 'HEAD' ? here.find((row) => row.method === 'GET') : undefined);
  if (route === undefined) {
    const methods = here.flatMap((row) => (row.method === 'GET' ? ['GET', 'HEAD'] : [row.method]));
    return refusing(fhirError('method-not-allowed', `${method} is not offered here`, { headers: { Allow: [...new Set([...methods, 'OPTIONS'])].join(', ') } }));
  }
  const parameters = Object.fromEntries(route.path.split('/').flatMap((part, at) => (isVariable(part) ? [[part.slice(1, -1), segments[at] ?? '']] : [])));
  const { interaction, access, type, identify, tellsProgress } = route;
  return { passage: { interaction, access: { ...access, type }, ...(identify === undefined ? {} : { identify }) }, type, parameters, declared: declaredStatuses(route), ...(tellsProgress === undefined ? {} : { tellsProgress }) };
}
