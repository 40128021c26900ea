// JSON Merge Patch (RFC 7396): members of the patch take the place of those of the target, null removes one.
import type { PlainJson, PlainObject } from '../resources/medical-records.ts';

export const isPlainObject = (value: PlainJson | undefined): value is PlainObject => typeof value === 'object' && value !== null && !Array.isArray(value);

export function mergePatch(target: PlainJson | undefined, patch: PlainJson): PlainJson {
  if (!isPlainObject(patch)) return patch;
  const merged = new Map(isPlainObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}
