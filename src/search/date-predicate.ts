// Dates as ranges in SQL (R4 search.html 3.1.1.5.4): a prefix and the range of a value against the range [lo, hi) of a
// resource.
import type { DateRange } from '../fhir/instant.ts';
import { LONG_RANGE_MS } from './extract-index-values.ts';
import type { DatePrefix } from './parse-clause.ts';

/** Makes a placeholder of milliseconds. */
type AddInstant = (ms: number) => string;

export function datePredicate(lo: string, hi: string, prefix: DatePrefix, range: DateRange, add: AddInstant): string {
  const from = (): string => add(range.lo);
  const to = (): string => add(range.hi);
  switch (prefix) {
    case 'eq': return `(${lo} >= ${from()} and ${hi} <= ${to()})`;
    case 'ne': return `(${lo} < ${from()} or ${hi} > ${to()})`;
    case 'gt': return `(${hi} > ${to()})`;
    case 'lt': return `(${lo} < ${from()})`;
    case 'ge': return `(${hi} > ${to()} or (${lo} >= ${from()} and ${hi} <= ${to()}))`;
    case 'le': return `(${lo} < ${from()} or (${lo} >= ${from()} and ${hi} <= ${to()}))`;
    case 'sa': return `(${lo} >= ${to()})`;
    case 'eb': return `(${hi} <= ${from()})`;
    case 'ap': return `(${lo} < ${to()} and ${hi} > ${from()})`;
  }
}

/** The same for a column that holds one instant: a point, so that one comparison on the index says it. */
export function instantPredicate(column: string, prefix: DatePrefix, range: DateRange, add: AddInstant): string {
  switch (prefix) {
    case 'eq': case 'ap': return `(${column} >= ${add(range.lo)} and ${column} < ${add(range.hi)})`;
    case 'ne': return `(${column} < ${add(range.lo)} or ${column} >= ${add(range.hi)})`;
    case 'gt': case 'sa': return `(${column} >= ${add(range.hi)})`;
    case 'lt': case 'eb': return `(${column} < ${add(range.lo)})`;
    case 'ge': return `(${column} >= ${add(range.lo)})`;
    case 'le': return `(${column} < ${add(range.hi)})`;
  }
}

/** Bounds of `lo`, in milliseconds: from `min` on, up to but without `max`. */
export interface Bounds {
  min?: number;
  max?: number;
}

/** Bounds of ranges that are not long, or of all, by their begin; and of long ones by their end. */
export interface DateBounds {
  lo: Bounds;
  longEnd?: Bounds;
}

/** Where everything lies that a date finds, in each way that an index can bound it; none = nearly everywhere. */
export function dateBounds(prefix: DatePrefix, { lo, hi }: DateRange): DateBounds[] {
  switch (prefix) {
    case 'ne': return [];
    case 'eq': return [{ lo: { min: lo, max: hi } }];
    case 'lt': return [{ lo: { max: lo } }];
    case 'eb': return [{ lo: { max: lo } }];
    case 'le': return [{ lo: { max: hi } }];
    case 'sa': return [{ lo: { min: hi } }];
    case 'gt': return [{ lo: { min: hi - LONG_RANGE_MS }, longEnd: { min: hi } }];
    case 'ge': return [{ lo: { min: Math.min(lo, hi - LONG_RANGE_MS) }, longEnd: { min: hi } }];
    // Near the first begin the begins are few, near the last end the ends are.
    case 'ap': return [{ lo: { min: lo - LONG_RANGE_MS, max: hi }, longEnd: { min: lo } }, { lo: { max: hi } }];
  }
}

export function boundsPredicate(column: string, bounds: Bounds, add: AddInstant): string {
  const parts = [
    ...(bounds.min === undefined ? [] : [`${column} >= ${add(bounds.min)}`]),
    ...(bounds.max === undefined ? [] : [`${column} < ${add(bounds.max)}`]),
  ];
  return parts.length === 0 ? 'true' : parts.join(' and ');
}
