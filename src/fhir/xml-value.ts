// The value of a primitive from its text in XML: what JSON has as numbers and booleans (http://hl7.org/fhir/R4/json.html#primitive).
import { JsonNumber, type JsonValue } from './json.ts';

const NUMBERS: ReadonlySet<string> = new Set(['decimal', 'integer', 'unsignedInt', 'positiveInt']);
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** Digit by digit; undefined when the text is no value of that JSON type. */
export function valueOfText(type: string, text: string): JsonValue | undefined {
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined;
  if (!NUMBERS.has(type)) return text;
  if (!NUMBER.test(text)) return undefined;
  return String(Number(text)) === text ? Number(text) : new JsonNumber(text);
}
