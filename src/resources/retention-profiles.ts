// How long documents are kept, as data: classes with a period from their last activity. When the period is over a document is
// shown for review; nothing is ever deleted for its age alone.
import { isJsonObject, type JsonObject } from '../fhir/json.ts';

export interface RetentionClass {
  /** Code of CodeSystem retention-class. */
  code: string;
  /** From the last activity on; undefined = until somebody gives it another class. */
  period: { hours: number } | { days: number } | { years: number } | undefined;
  /** What it is for. */
  text: string;
}

export const RETENTION_TAG_SYSTEM = 'https://muniment.example/fhir/CodeSystem/retention-class';

export const UNLINKED_CLASS = 'unlinked';

/** Bytes that no document has used; their class cannot be chosen. */
const UNLINKED: RetentionClass = { code: UNLINKED_CLASS, period: { days: 7 }, text: 'Bytes that no document uses' };
const TEMPORARY: RetentionClass = { code: 'temporary', period: { hours: 24 }, text: 'What was brought in for a moment' };
const PERMANENT: RetentionClass = { code: 'permanent', period: undefined, text: 'Kept for good, or until its class is changed' };

/**
 * `uk` follows the retention schedule of the NHS Records Management Code of Practice (2021), as far as a document itself can
 * say: birth and death are not known here, so that children's records are counted from their last activity.
 */
export const RETENTION_PROFILES = {
  'uk': [
    TEMPORARY, UNLINKED, PERMANENT,
    { code: 'clinical', period: { years: 8 }, text: 'Adult health records; what has no other class' },
    { code: 'mental-health', period: { years: 20 }, text: 'Mental health records' },
    { code: 'child', period: { years: 25 }, text: 'Records of children: to the 25th birthday at the earliest' },
    { code: 'obstetric', period: { years: 25 }, text: 'Obstetric, maternity and neonatal records' },
    { code: 'oncology', period: { years: 30 }, text: 'Cancer and oncology records' },
    { code: 'general-practice', period: undefined, text: 'Records of general practice: 10 years after death, which is not known here' },
  ],
  'seven-years': [
    TEMPORARY, UNLINKED, PERMANENT,
    { code: 'clinical', period: { years: 7 }, text: 'Every other document' },
  ],
} as const satisfies Record<string, readonly RetentionClass[]>;

export type RetentionProfile = keyof typeof RETENTION_PROFILES;

export const isRetentionProfile = (name: unknown): name is RetentionProfile => typeof name === 'string' && Object.hasOwn(RETENTION_PROFILES, name);

/** The class of a code; `clinical` for one that the profile does not have. */
export function retentionClass(profile: RetentionProfile, code: string | undefined): RetentionClass {
  const classes: readonly RetentionClass[] = RETENTION_PROFILES[profile];
  return classes.find((one) => one.code === code) ?? classes.find((one) => one.code === 'clinical') as RetentionClass;
}

const KNOWN_CLASSES = new Set<string>(Object.values(RETENTION_PROFILES).flatMap((classes) => classes.map(({ code }) => code)));

/** The class that a document chooses by its tag. */
export function classTag(resource: JsonObject): string | undefined {
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  const tags = Array.isArray(meta['tag']) ? meta['tag'].filter(isJsonObject) : [];
  const code = tags.find(({ system }) => system === RETENTION_TAG_SYSTEM)?.['code'];
  return typeof code === 'string' && code !== UNLINKED_CLASS ? code : undefined;
}

/** The code under which a document is kept in the table, whatever the profile of its organisation. */
export const knownClass = (code: string | undefined): string => (code !== undefined && KNOWN_CLASSES.has(code) ? code : 'clinical');

/** What had its last activity until then may be over at `now` (milliseconds); what is younger is not. */
function latestOver(now: number, period: NonNullable<RetentionClass['period']>): number {
  if ('hours' in period) return now - period.hours * 3_600_000;
  if ('days' in period) return now - period.days * 86_400_000;
  const latest = new Date(now);
  latest.setUTCFullYear(latest.getUTCFullYear() - period.years);
  return latest.getTime();
}

/** Codes of the table with a period in a profile, and the last activity (milliseconds) at which that may be over at `now`. */
export function classesOver(profile: RetentionProfile, now: number): { code: string; latest: number }[] {
  return [...KNOWN_CLASSES].flatMap((code) => {
    const { period } = retentionClass(profile, code);
    return period === undefined ? [] : [{ code, latest: latestOver(now, period) }];
  });
}

/** When a period that begins at `from` (milliseconds) is over; a year ends on the same day, the 29th of February on the 1st of March. */
export function periodEnd(from: number, period: NonNullable<RetentionClass['period']>): number {
  if ('hours' in period) return from + period.hours * 3_600_000;
  if ('days' in period) return from + period.days * 86_400_000;
  const end = new Date(from);
  end.setUTCFullYear(end.getUTCFullYear() + period.years);
  return end.getTime();
}
