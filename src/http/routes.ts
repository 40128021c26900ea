// THE TABLE: which interactions there are, on which paths, and what they need. CapabilityStatement, Allow headers and
// the walk of the record's tests are read from it; a path that is not here does not exist.
import type { AuthorizationRequest } from '../access/authorize.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import { create } from '../interactions/create.ts';
import { createBinary } from '../interactions/create-binary.ts';
import { deleteInteraction } from '../interactions/delete.ts';
import { historyInstance } from '../interactions/history-instance.ts';
import type { Interaction } from '../interactions/interaction.ts';
import type { DocumentParts } from '../interactions/prepare-document.ts';
import { read } from '../interactions/read.ts';
import { readBinary } from '../interactions/read-binary.ts';
import { historyRecord, readRecord } from '../interactions/read-record.ts';
import { searchRecord } from '../interactions/search-record.ts';
import { searchType } from '../interactions/search-type.ts';
import { update } from '../interactions/update.ts';
import { vread } from '../interactions/vread.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import type { ContentReader } from '../content/read-content.ts';
import { binaryForm } from './media-type.ts';

export type RouteCode = AuthorizationRequest['interaction'];

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  type: ResourceType;
  code: RouteCode;
  interaction: Interaction;
}

export interface RouteParts extends DocumentParts {
  reader: ContentReader;
  newest: NewestLoader;
  uploadBytesMax: number;
  cursorKey: Buffer;
}

/** Where each interaction stands below the base (R4 http.html 3.1.0.20). */
const SHAPES: Record<RouteCode, { method: Route['method']; segments: 1 | 2 | 3 | 4 }> = {
  'create': { method: 'POST', segments: 1 },
  'search-type': { method: 'GET', segments: 1 },
  'read': { method: 'GET', segments: 2 },
  'update': { method: 'PUT', segments: 2 },
  'delete': { method: 'DELETE', segments: 2 },
  'history-instance': { method: 'GET', segments: 3 },
  'vread': { method: 'GET', segments: 4 },
};

export function buildRoutes(parts: RouteParts): Route[] {
  const { fhirBase, cursorKey } = parts;
  const route = (type: ResourceType, code: RouteCode, interaction: Interaction): Route => ({ method: SHAPES[code].method, type, code, interaction });
  const documents = (['DocumentReference', 'Media'] as const).flatMap((type) => [
    route(type, 'create', create(parts)),
    route(type, 'read', read(parts.newest)),
    route(type, 'vread', vread()),
    route(type, 'update', update(parts)),
    route(type, 'delete', deleteInteraction(fhirBase)),
    route(type, 'history-instance', historyInstance(fhirBase)),
    route(type, 'search-type', searchType(fhirBase, cursorKey)),
  ]);
  const records = (['AuditEvent', 'Provenance'] as const).flatMap((type) => [
    route(type, 'read', readRecord('read')),
    route(type, 'vread', readRecord('vread')),
    route(type, 'history-instance', historyRecord(fhirBase)),
    route(type, 'search-type', searchRecord(fhirBase, cursorKey)),
  ]);
  return [
    ...documents,
    route('Binary', 'create', createBinary(parts)),
    route('Binary', 'read', readBinary({ fhirBase, content: parts.reader, form: binaryForm })),
    ...records,
  ];
}

export type Match =
  | { kind: 'route'; route: Route; id: string; version: string }
  /** The path is known, the method is not: what is allowed there. */
  | { kind: 'method'; type: ResourceType; allow: string[] }
  | { kind: 'unknown' };

/** `segments` are those below the FHIR base, decoded. */
export function matchRoute(routes: readonly Route[], method: string, segments: readonly string[]): Match {
  const [type = '', id = '', keyword, version = ''] = segments;
  if (segments.length < 1 || segments.length > 4 || (keyword !== undefined && keyword !== '_history')) return { kind: 'unknown' };
  const here = routes.filter((route) => route.type === type && SHAPES[route.code].segments === segments.length);
  const first = here[0];
  if (first === undefined) return { kind: 'unknown' };
  const asked = method === 'HEAD' ? 'GET' : method;
  const route = here.find((candidate) => candidate.method === asked);
  if (route !== undefined) return { kind: 'route', route, id, version };
  return { kind: 'method', type: first.type, allow: [...new Set(here.flatMap((one) => (one.method === 'GET' ? ['GET', 'HEAD'] : [one.method])))] };
}
