// The ways in beside FHIR that this server has.
import type { AdapterGroup } from './adapter-route.ts';

export function buildAdapters(): AdapterGroup[] {
  return [];
}
