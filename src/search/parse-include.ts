// `_include` and `_revinclude` (R4 search.html 3.1.1.5.10): which references are followed from the matches, and which
// resources that refer to them come along. Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { isResourceType } from '../fhir/structure.ts';
import { isRecord } from './record-type.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchableType, type SearchParameter } from './search-parameters.ts';

export interface IncludeText {
  name: '_include' | '_revinclude';
  /** `:iterate`: applied to what was included as well. */
  iterate: boolean;
  text: string;
}

export interface Include {
  /** From the resource that is there to the one it refers to, or from the one referred to back to those that refer to it. */
  reverse: boolean;
  iterate: boolean;
  /** The type that has the reference. */
  source: SearchableType;
  parameter: SearchParameter;
  /** The type referred to; undefined = any. */
  target: string | undefined;
}

/** Includes of one search at most, as sent: each is looked for on each page. */
export const INCLUDES_MAX = 30;

const TYPE_NAMES = Object.keys(SEARCH_PARAMETERS) as SearchableType[];

/** What rows of the record are found by backwards: their own index. */
const REVERSE_OF_RECORDS: Record<string, string> = { Provenance: 'target', AuditEvent: 'entity' };

const pointsTo = ({ targets }: SearchParameter, type: string): boolean => targets === undefined || targets.includes(type);

/** Parameters of `source` whose references can be followed. */
export function includable(source: SearchableType): SearchParameter[] {
  return SEARCH_PARAMETERS[source].filter((parameter) => parameter.type === 'reference');
}

/** The includes that bring what refers to resources of `target`. */
export function reverseIncludable(target: SearchableType): { source: SearchableType; parameter: SearchParameter }[] {
  return TYPE_NAMES.flatMap((source) => includable(source)
    .filter((parameter) => pointsTo(parameter, target) && (!isRecord(source) || REVERSE_OF_RECORDS[source] === parameter.name))
    .map((parameter) => ({ source, parameter })));
}

/** Whether following `parameter` can lead to one of `types`. */
export function leadsTo(parameter: SearchParameter, types: readonly string[]): boolean {
  return types.some((type) => pointsTo(parameter, type));
}

function everything(include: IncludeText, searched: readonly SearchableType[]): Include[] {
  const shared = { reverse: include.name === '_revinclude', iterate: include.iterate, target: undefined };
  if (shared.reverse) return searched.flatMap((target) => reverseIncludable(target).map((one) => ({ ...shared, ...one, target })));
  return (include.iterate ? TYPE_NAMES : searched).flatMap((source) => includable(source).map((parameter) => ({ ...shared, source, parameter })));
}

function parseOne(include: IncludeText, searched: readonly SearchableType[]): Include[] | undefined {
  if (include.text === '*') return everything(include, searched);
  const [source = '', name = '', target, ...rest] = include.text.split(':');
  if (!isSearchable(source) || rest.length > 0) return undefined;
  if (name === '*' && include.name === '_include') return everything(include, [source]).filter((one) => one.source === source);
  const parameter = includable(source).find((candidate) => candidate.name === name);
  if (parameter === undefined || (target !== undefined && !(isResourceType(target) && pointsTo(parameter, target)))) return undefined;
  const reverse = include.name === '_revinclude';
  if (reverse && isRecord(source) && REVERSE_OF_RECORDS[source] !== name) return undefined;
  return [{ reverse, iterate: include.iterate, source, parameter, target }];
}

/** Repetition adds; the same twice is once. What this server does not declare stands in `ignored`. Raises 400 `too-costly` past INCLUDES_MAX. */
export function parseIncludes(texts: readonly IncludeText[], searched: readonly SearchableType[]): { includes: Include[]; ignored: string[]; used: [string, string][] } {
  if (texts.length > INCLUDES_MAX) throw fhirError('too-costly', `A search takes ${INCLUDES_MAX} includes`);
  const includes = new Map<string, Include>();
  const ignored: string[] = [];
  const used: [string, string][] = [];
  for (const text of texts) {
    const name = `${text.name}${text.iterate ? ':iterate' : ''}`;
    const parsed = parseOne(text, searched);
    if (parsed === undefined) { ignored.push(`${name}=${text.text.slice(0, 80)}`); continue; }
    for (const one of parsed) includes.set(JSON.stringify([one.reverse, one.iterate, one.source, one.parameter.name, one.target]), one);
    used.push([name, text.text]);
  }
  return { includes: [...includes.values()], ignored, used };
}
