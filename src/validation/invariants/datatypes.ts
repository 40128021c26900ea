// Constraints of the data types, and those that all resources share
// (http://hl7.org/fhir/R4/datatypes.html, http://hl7.org/fhir/R4/domainresource.html#invs).
import { parseDateRange } from '../../fhir/instant.ts';
import { JsonNumber, type JsonObject } from '../../fhir/json.ts';
import { count, errors, has, hasChoice, number, object, text, values, warnings, type Invariant } from './invariant.ts';

const UCUM = 'http://unitsofmeasure.org';
/** A day without a zone may have begun 14 hours before that day in UTC. */
const ZONES_MS = 14 * 3_600_000;

export const DATA_TYPE_INVARIANTS: readonly Invariant[] = [
  ...errors([
    ['ele-1', 'Element', 'must have a value or children; an id alone says nothing'],
    ['ext-1', 'Extension', 'must have either extensions or a value, not both and not neither'],
    ['dom-2', 'DomainResource', 'may not occur: a contained resource contains no other'],
    ['dom-3', 'DomainResource', 'is not referred to from the resource that contains it, and does not refer to it'],
    ['dom-4', 'DomainResource', 'may not occur in a contained resource, which has no version of its own'],
    ['dom-5', 'DomainResource', 'may not occur in a contained resource: its labels are those of the resource that contains it'],
    ['ref-1', 'Reference', 'refers to a contained resource that is not there'],
    ['txt-1', 'Narrative', 'may hold basic formatting only'],
    ['txt-2', 'Narrative', 'must have a div with some text or an image', hasNarrativeContent],
    ['per-1', 'Period', 'must not end before it starts', periodIsInOrder],
    ['att-1', 'Attachment', 'must have a contentType when it has data', (e) => !has(e, 'data') || has(e, 'contentType')],
    ['cpt-2', 'ContactPoint', 'must have a system when it has a value', (e) => !has(e, 'value') || has(e, 'system')],
    ['exp-1', 'Expression', 'must have an expression or a reference', (e) => has(e, 'expression') || has(e, 'reference')],
    ...['Quantity', 'Age', 'Count', 'Distance', 'Duration'].map((type): [string, string, string, (e: JsonObject) => boolean] =>
      ['qty-3', type, 'must have a system when it has a code for the unit', (e) => !has(e, 'code') || has(e, 'system')]),
    ['age-1', 'Age', 'must have a UCUM code of time and a positive value', (e) => hasUcumUnit(e) && (number(e, 'value') === undefined || (number(e, 'value') ?? 0) > 0)],
    ['cnt-3', 'Count', 'must be a whole number with the UCUM code 1', (e) => hasUcumUnit(e) && [undefined, '1'].includes(text(e, 'code')) && isWhole(e)],
    ['dis-1', 'Distance', 'must have a UCUM code of length', hasUcumUnit],
    ['drt-1', 'Duration', 'must have a value and the system of UCUM when it has a code', (e) => !has(e, 'code') || ([undefined, UCUM].includes(text(e, 'system')) && has(e, 'value'))],
    ['rng-2', 'Range', 'must have a low that is not over its high', rangeIsInOrder],
    ['sqty-1', 'Range', 'may have no comparator in low and high', (e) => !hasComparator(e, 'low') && !hasComparator(e, 'high')],
    ['sqty-1', 'SampledData', 'may have no comparator in its origin', (e) => !hasComparator(e, 'origin')],
    ['sqty-1', 'Observation.referenceRange', 'may have no comparator in low and high', (e) => !hasComparator(e, 'low') && !hasComparator(e, 'high')],
    ['rat-1', 'Ratio', 'must have numerator and denominator, or neither and an extension',
      (e) => has(e, 'numerator') === has(e, 'denominator') && (has(e, 'numerator') || has(e, 'extension'))],
    ['tim-1', 'Timing.repeat', 'must have a durationUnit when it has a duration', (e) => !has(e, 'duration') || has(e, 'durationUnit')],
    ['tim-2', 'Timing.repeat', 'must have a periodUnit when it has a period', (e) => !has(e, 'period') || has(e, 'periodUnit')],
    ['tim-4', 'Timing.repeat', 'may have no negative duration', (e) => (number(e, 'duration') ?? 0) >= 0],
    ['tim-5', 'Timing.repeat', 'may have no negative period', (e) => (number(e, 'period') ?? 0) >= 0],
    ['tim-6', 'Timing.repeat', 'must have a period when it has a periodMax', (e) => !has(e, 'periodMax') || has(e, 'period')],
    ['tim-7', 'Timing.repeat', 'must have a duration when it has a durationMax', (e) => !has(e, 'durationMax') || has(e, 'duration')],
    ['tim-8', 'Timing.repeat', 'must have a count when it has a countMax', (e) => !has(e, 'countMax') || has(e, 'count')],
    ['tim-9', 'Timing.repeat', 'must have a when other than C, CM, CD and CV when it has an offset',
      (e) => !has(e, 'offset') || (has(e, 'when') && !values(e, 'when').some((when) => typeof when === 'string' && ['C', 'CM', 'CD', 'CV'].includes(when)))],
    ['tim-10', 'Timing.repeat', 'may have timeOfDay or when, not both', (e) => !has(e, 'timeOfDay') || !has(e, 'when')],
    ['drq-1', 'DataRequirement.codeFilter', 'must have either a path or a searchParam', (e) => has(e, 'path') !== has(e, 'searchParam')],
    ['drq-2', 'DataRequirement.dateFilter', 'must have either a path or a searchParam', (e) => has(e, 'path') !== has(e, 'searchParam')],
    ['trd-1', 'TriggerDefinition', 'may have timing or data, not both', (e) => !has(e, 'data') || !hasChoice(e, 'timing')],
    ['trd-2', 'TriggerDefinition', 'must have data when it has a condition', (e) => !has(e, 'condition') || has(e, 'data')],
    ['trd-3', 'TriggerDefinition', 'must have what its type needs: a name, a timing or data', triggerIsComplete],
  ]),
  ...warnings([
    ['dom-6', 'DomainResource', 'should have a narrative, so that people can read it wherever it goes', (e) => object(e, 'text')?.['div'] !== undefined],
  ]),
];

/** Markup alone, or an image. */
function hasNarrativeContent(narrative: JsonObject): boolean {
  const div = text(narrative, 'div');
  if (div === undefined) return true;
  for (let at = 0; at < div.length;) {
    const open = div.indexOf('<', at);
    const end = open < 0 ? div.length : open;
    if (div.slice(at, end).trim() !== '' || div.startsWith('<img', end)) return true;
    const close = div.indexOf('>', end);
    at = close < 0 ? div.length : close + 1;
  }
  return false;
}

/** What is not certainly in the wrong order is in order: 2024-02 may end after it starts at 2024-02-15. */
function periodIsInOrder(period: JsonObject): boolean {
  const [start, end] = [text(period, 'start'), text(period, 'end')];
  if (start === undefined || end === undefined) return true;
  const [from, to] = [parseDateRange(start), parseDateRange(end)];
  if (from === undefined || to === undefined) return true;
  const slack = start.includes('T') === end.includes('T') ? 0 : ZONES_MS;
  return from.lo < to.hi + slack;
}

function rangeIsInOrder(range: JsonObject): boolean {
  const [low, high] = [object(range, 'low'), object(range, 'high')];
  if (low === undefined || high === undefined || ['unit', 'system', 'code'].some((name) => low[name] !== high[name])) return true;
  const [from, to] = [number(low, 'value'), number(high, 'value')];
  return from === undefined || to === undefined || from <= to;
}

function hasComparator(element: JsonObject, name: string): boolean {
  const quantity = object(element, name);
  return quantity !== undefined && has(quantity, 'comparator');
}

/** A unit code beside a value; the system, where there is one, is UCUM. */
function hasUcumUnit(quantity: JsonObject): boolean {
  return (has(quantity, 'code') || !has(quantity, 'value')) && (!has(quantity, 'system') || text(quantity, 'system') === UCUM);
}

function isWhole(quantity: JsonObject): boolean {
  const value = quantity['value'];
  // A JsonNumber may be written as 1.0, which is a decimal.
  return typeof value === 'number' ? Number.isInteger(value) : !(value instanceof JsonNumber) || /^-?[0-9]+$/.test(value.text);
}

function triggerIsComplete(trigger: JsonObject): boolean {
  const type = text(trigger, 'type') ?? '';
  if (type === 'named-event') return has(trigger, 'name');
  if (type === 'periodic') return hasChoice(trigger, 'timing');
  return !type.startsWith('data-') || count(trigger, 'data') > 0;
}
