// Dates as ranges (R4 search.html 3.1.1.5.4): a value of any precision covers all instants that it may mean.

/** Milliseconds since the epoch: `lo` included, `hi` excluded. Infinite where a Period is open. */
export interface DateRange {
  lo: number;
  hi: number;
}

const DATE_TIME = /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)?)?)?)?$/;

/** As Date.UTC, which takes the years 1 to 99 for those of the last century. */
function utc(year: number, month: number, day = 1, hours = 0, minutes = 0, seconds = 0, millis = 0): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date.setUTCHours(hours, minutes, seconds, millis);
}

// FHIR has the years 0001 to 9999. A range that begins or ends outside them is open there.
const FIRST = utc(1, 0);
const END = utc(10_000, 0);

function clamped({ lo, hi }: DateRange): DateRange {
  return { lo: lo < FIRST ? -Infinity : Math.min(lo, END - 1), hi: hi >= END ? Infinity : Math.max(hi, FIRST) };
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const [hours = 0, minutes = 0] = zone.slice(1).split(':').map(Number);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

function isCalendarDay(year: number, month: number, day: number): boolean {
  const date = new Date(utc(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** The range of a date, dateTime or instant; undefined when the text is none. Without a zone UTC is meant. */
export function parseDateRange(text: string): DateRange | undefined {
  const match = DATE_TIME.exec(text);
  if (match === null) return undefined;
  const [, y = '', mo, d, h, mi, s, fraction, zone] = match;
  const [year, month, day] = [Number(y), Number(mo ?? 1), Number(d ?? 1)];
  if (year < 1 || month < 1 || month > 12 || !isCalendarDay(year, month, day)) return undefined;
  if (Number(h ?? 0) > 23 || Number(mi ?? 0) > 59 || Number(s ?? 0) > 60) return undefined;
  if (mo === undefined) return clamped({ lo: utc(year, 0), hi: utc(year + 1, 0) });
  if (d === undefined) return clamped({ lo: utc(year, month - 1), hi: utc(year, month) });
  if (h === undefined) return clamped({ lo: utc(year, month - 1, day), hi: utc(year, month - 1, day + 1) });
  const millis = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, '0'));
  const lo = utc(year, month - 1, day, Number(h), Number(mi), Number(s ?? 0), millis) - offsetMs(zone);
  const width = s === undefined ? 60_000 : fraction === undefined ? 1_000 : 10 ** Math.max(0, 3 - fraction.length);
  return clamped({ lo, hi: lo + width });
}

/** The range of a Period: open ends are infinite. */
export function periodRange(start: string | undefined, end: string | undefined): DateRange | undefined {
  const from = start === undefined ? { lo: -Infinity } : parseDateRange(start);
  const to = end === undefined ? { hi: Infinity } : parseDateRange(end);
  return from === undefined || to === undefined ? undefined : { lo: from.lo, hi: to.hi };
}

/** FHIR instant in UTC with milliseconds. */
export function printInstant(ms: number): string {
  return new Date(ms).toISOString();
}
