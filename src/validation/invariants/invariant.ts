// One constraint of R4 (ElementDefinition.constraint), checked in code, and how a check looks into an element.
// A check meets whatever the client sent: values of a wrong JSON type are passed over, for they are told of elsewhere.
import { isJsonObject, JsonNumber, type JsonObject, type JsonValue } from '../../fhir/json.ts';

export interface Invariant {
  /** ElementDefinition.constraint.key */
  key: string;
  /** The structure that it is a rule of: Period, Timing.repeat, List. */
  context: string;
  severity: 'error' | 'warning';
  /** Follows the place of the element: "must have a contentType when it has data". */
  text: string;
  /** True when the element keeps the rule; undefined where the walk itself looks, which knows the container. */
  check: ((element: JsonObject) => boolean) | undefined;
}

type Row = [key: string, context: string, text: string, check?: (element: JsonObject) => boolean];

/** Rows of the table that refuse a resource. */
export function errors(rows: readonly Row[]): Invariant[] {
  return rows.map(([key, context, text, check]) => ({ key, context, severity: 'error', text, check }));
}

/** Rows of the table that are told of and refuse nothing. */
export function warnings(rows: readonly Row[]): Invariant[] {
  return rows.map(([key, context, text, check]) => ({ key, context, severity: 'warning', text, check }));
}

/** FHIRPath's exists(): a value, or only an extension of a primitive one. */
export function has(element: JsonObject, name: string): boolean {
  return element[name] !== undefined || element[`_${name}`] !== undefined;
}

/** exists() of a choice: any of its variants. */
export function hasChoice(element: JsonObject, name: string): boolean {
  for (const key in element) {
    const at = key.startsWith('_') ? 1 : 0;
    if (key.startsWith(name, at) && isUpper(key.charCodeAt(at + name.length))) return true;
  }
  return false;
}

/** How many values an element has. */
export function count(element: JsonObject, name: string): number {
  const value = element[name] ?? element[`_${name}`];
  return Array.isArray(value) ? value.length : value === undefined ? 0 : 1;
}

export function text(element: JsonObject, name: string): string | undefined {
  const value = element[name];
  return typeof value === 'string' ? value : undefined;
}

export function number(element: JsonObject, name: string): number | undefined {
  const value = element[name];
  if (value instanceof JsonNumber) return value.toNumber();
  return typeof value === 'number' ? value : undefined;
}

/** The values of a repeating element, or the one of another. */
export function values(element: JsonObject, name: string): JsonValue[] {
  const value = element[name];
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}

export function objects(element: JsonObject, name: string): JsonObject[] {
  return values(element, name).filter(isJsonObject);
}

export function object(element: JsonObject, name: string): JsonObject | undefined {
  const value = element[name];
  return isJsonObject(value) ? value : undefined;
}

export function isDistinct(items: readonly unknown[]): boolean {
  return new Set(items).size === items.length;
}

/** Whether a CodeableConcept has one of these codes of a system. */
export function isCoded(element: JsonObject, name: string, system: string, codes: readonly string[]): boolean {
  const concept = object(element, name);
  return concept !== undefined && objects(concept, 'coding').some((coding) => coding['system'] === system && codes.includes(text(coding, 'code') ?? ''));
}

function isUpper(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}
