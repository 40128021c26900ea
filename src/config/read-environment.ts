// Variables as numbers, addresses and choices.
import type { Environment, VariableName } from './env.ts';
import { readJsonFile, readSecretFile, Secret } from './secrets.ts';

/** Bytes of a unit. */
export const UNITS: Record<string, number> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Those whose value may stand in a file. */
type KeptInFile = { [Name in VariableName]: `${Name}_FILE` extends VariableName ? Name : never }[VariableName];

/** Reads variables, and gathers what is wrong with them; a wrong one counts as unset. */
export class Reader {
  readonly problems: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  text(name: VariableName): string | undefined {
    return this.#environment[name];
  }

  /** Whether the variable is set, or a file in its place. */
  isSet(name: VariableName): boolean {
    return this.text(name) !== undefined || this.#environment[`${name}_FILE` as VariableName] !== undefined;
  }

  secret(name: KeptInFile): Secret | undefined {
    const file = this.text(`${name}_FILE`);
    const value = this.text(name);
    if (file === undefined) return value === undefined ? undefined : new Secret(value);
    return this.#fromFile(name, file, (text) => text);
  }

  /** `read` answers undefined for what is no such value. */
  #fromFile(name: KeptInFile, file: string, read: (text: string) => string | undefined): Secret | undefined {
    if (this.text(name) !== undefined) this.problems.push(`${name} and ${name}_FILE are not set together`);
    const again = (): string | undefined => {
      const text = readSecretFile(file);
      return text === undefined ? undefined : read(text);
    };
    const value = again();
    if (value !== undefined) return new Secret(value, again);
    this.problems.push(`${name}_FILE must name a file with one line that ${name} could be`);
    return undefined;
  }

  /** A file of JSON that holds a secret, read again as it changes. */
  jsonFile(name: VariableName): Secret | undefined {
    const file = this.text(name);
    if (file === undefined) return undefined;
    const text = readJsonFile(file);
    if (text !== undefined) return new Secret(text, () => readJsonFile(file));
    this.problems.push(`${name} must name a file with a JSON object`);
    return undefined;
  }

  port(name: VariableName, fallback: number, min = 1): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (Number.isInteger(number) && number >= min && number <= 65_535) return number;
    this.problems.push(`${name} must be a whole number from ${min} to 65535`);
    return fallback;
  }

  days(name: VariableName, fallback: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    if (/^[1-9]\d{0,3}$/.test(value)) return Number(value);
    this.problems.push(`${name} must be a whole number of days from 1 to 9999`);
    return fallback;
  }

  seconds(name: VariableName, fallback: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    if (/^\d{1,6}$/.test(value)) return Number(value);
    this.problems.push(`${name} must be a whole number of seconds from 0 to 999999`);
    return fallback;
  }

  minutes(name: VariableName, max: number): number {
    const value = this.text(name);
    if (value === undefined) return max;
    if (/^[1-9]\d{0,3}$/.test(value) && Number(value) <= max) return Number(value);
    this.problems.push(`${name} must be a whole number of minutes from 1 to ${max}`);
    return max;
  }

  connections(name: VariableName, fallback: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    if (/^[1-9]\d{0,3}$/.test(value) && Number(value) > 1) return Number(value);
    this.problems.push(`${name} must be a whole number from 2 to 9999`);
    return fallback;
  }

  bytes(name: VariableName, fallback: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const [, digits, unit] = /^(\d+)\s*(|B|KiB|MiB|GiB)$/.exec(value) ?? [];
    const factor = UNITS[unit ?? 'none'];
    if (digits !== undefined && factor !== undefined && Number(digits) > 0) return Number(digits) * factor;
    this.problems.push(`${name} must be a number of bytes such as 37748736 or 36MiB`);
    return fallback;
  }

  choice<Value extends string>(name: VariableName, allowed: readonly Value[], fallback: Value): Value {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const found = allowed.find((candidate) => candidate === value);
    if (found !== undefined) return found;
    this.problems.push(`${name} must be one of ${allowed.join(', ')}`);
    return fallback;
  }

  url(name: VariableName, protocols: readonly string[]): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const address = addressIn(value, protocols);
    if (address !== undefined) return address;
    this.problems.push(`${name} must be an address that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`);
    return undefined;
  }

  /** An address that may hold a password. */
  secretUrl(name: VariableName, protocols: readonly string[]): Secret | undefined {
    const value = this.url(name, protocols);
    return value === undefined ? undefined : new Secret(value);
  }

  /** The same, or the file in its place. */
  keptUrl(name: KeptInFile, protocols: readonly string[]): Secret | undefined {
    const file = this.text(`${name}_FILE`);
    return file === undefined ? this.secretUrl(name, protocols) : this.#fromFile(name, file, (text) => addressIn(text, protocols));
  }
}

/** {org} stands for an organisation's name; any letter does for the check. */
function addressIn(value: string, protocols: readonly string[]): string | undefined {
  const bare = value.replace('{org}', 'o');
  return URL.canParse(bare) && protocols.includes(new URL(bare).protocol) ? value.replace(/\/+$/, '') : undefined;
}
