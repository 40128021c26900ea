// RATE_ORG, RATE_CLIENT, RATE_USER: `requests=2000, bytes=512MiB, search=8000`, each per second; what is not named is not limited.
import type { VariableSource } from './network.ts';

/** Per second; Infinity = not limited. */
export interface RateConfig {
  requests: number;
  bytes: number;
  /** Milliseconds. */
  search: number;
}

const MIB = 1024 ** 2;
const UNITS: Record<string, number> = { '': 1, 'KiB': 1024, 'MiB': MIB, 'GiB': 1024 ** 3 };

const RATE_DEFAULTS = {
  RATE_ORG: { requests: 2_000, bytes: 1_024 * MIB, search: 16_000 },
  RATE_CLIENT: { requests: 1_000, bytes: 512 * MIB, search: 8_000 },
  RATE_USER: { requests: 200, bytes: 256 * MIB, search: 4_000 },
} as const satisfies Record<string, RateConfig>;

/** undefined = off. A text that is none of it is `problem`. */
export function readRate(text: string, problem: () => void): RateConfig | undefined {
  if (text === 'off') return undefined;
  const rate: RateConfig = { requests: Infinity, bytes: Infinity, search: Infinity };
  for (const part of text.split(',')) {
    const [, name, digits, unit = ''] = /^\s*(requests|bytes|search)\s*=\s*(\d{1,12})\s*(KiB|MiB|GiB)?\s*$/.exec(part) ?? [];
    const value = Number(digits) * (UNITS[unit] ?? 1);
    if (name === undefined || value === 0 || (unit !== '' && name !== 'bytes')) { problem(); return undefined; }
    rate[name as keyof RateConfig] = value;
  }
  return rate;
}

/** Outside production nobody is limited unless told: tests and demos come from one address. */
function rateOf(reader: VariableSource, name: keyof typeof RATE_DEFAULTS, production: boolean): RateConfig | undefined {
  const text = reader.text(name);
  if (text === undefined) return production ? { ...RATE_DEFAULTS[name] } : undefined;
  return readRate(text, () => reader.problems.push(`${name} must be off or what is allowed in a second, such as requests=200, bytes=256MiB, search=4000`));
}

export function readRates(reader: VariableSource, production: boolean): Record<'org' | 'client' | 'user', RateConfig | undefined> {
  return { org: rateOf(reader, 'RATE_ORG', production), client: rateOf(reader, 'RATE_CLIENT', production), user: rateOf(reader, 'RATE_USER', production) };
}
