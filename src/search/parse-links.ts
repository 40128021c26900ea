// Parameters that reach another resource: chains (subject:Patient.name, R4 search.html 3.1.1.5.8) and _has (3.1.1.5.9).
// Pure: the resources that they reach are found one floor up.
import { fhirError } from '../fhir/fhir-error.ts';
import { isPassed, passedParameters } from './passed-parameters.ts';
import { isRecord } from './record-type.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchableType, type SearchParameter } from './search-parameters.ts';

/** A question to one type: which of its resources have this parameter, or chain, with this value. */
export interface LinkQuestion {
  type: string;
  name: string;
  value: string;
}

export type Link =
  /**
   * The parameter refers to what answers one of the questions. An identifier may also stand in the reference itself, and
   * names in a contained resource, where `contained` finds them.
   */
  | { kind: 'chain'; key: string; value: string; parameter: SearchParameter; questions: LinkQuestion[]; logical: boolean; contained: SearchParameter | undefined }
  /** What answers the question refers, by `parameter`, to the resource. */
  | { kind: 'has'; key: string; value: string; parameter: SearchParameter; question: LinkQuestion & { type: SearchableType } };

/** Where links may lead. */
export interface Reachable {
  /** Types that can be searched, here or elsewhere. */
  types: readonly string[];
  /** Whether the caller may search a type. */
  permits(type: string): boolean;
}

/** Steps from resource to resource, at most. */
export const LINK_DEPTH_MAX = 3;

/** Chains, _has and _list of one search at most. */
export const LINKS_MAX = 10;

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

const parametersOf = (type: string): readonly SearchParameter[] => (isSearchable(type) ? SEARCH_PARAMETERS[type] : []);

/** Whether a type declares a parameter of that name, seen without its modifier and what follows. */
function declares(type: string, name: string): boolean {
  if (name.startsWith('_has:')) return isSearchable(type);
  const [whole = ''] = name.split(':', 1);
  const [first = ''] = name.split(/[.:]/, 1);
  if (parametersOf(type).some((parameter) => parameter.name === whole || parameter.name === first)) return true;
  return isPassed(type) && passedParameters(type).some((parameter) => parameter.name === first);
}

function parseHas(type: string, key: string, value: string): Link {
  const [, source = '', name = '', ...rest] = key.split(':');
  const parameter = parametersOf(source).find((candidate) => candidate.name === name && candidate.type === 'reference');
  if (!isSearchable(source) || parameter === undefined) throw invalid(`${key.slice(0, 80)}: after _has come a type of this server and a parameter of it that is a reference`);
  if (!(parameter.targets?.includes(type) ?? true)) throw invalid(`${key.slice(0, 80)}: ${source}.${name} never refers to a ${type}`);
  if (rest.length === 0 || !declares(source, rest.join(':'))) throw invalid(`${key.slice(0, 80)}: ${source} has no such search parameter`);
  return { kind: 'has', key, value, parameter, question: { type: source, name: rest.join(':'), value } };
}

/** Types that are asked. A reference to anything asks the record only where it is named: there is too much of it. */
function askedTypes({ targets }: SearchParameter, target: string | undefined, { types }: Reachable): string[] {
  return types.filter((type) => (target === undefined ? targets !== undefined || !isRecord(type) : type === target) && (targets?.includes(type) ?? true));
}

/** A type that is named must be permitted; of several that may be meant, those that are not are left out. */
function permittedTypes(candidates: readonly string[], otherwiseFound: boolean, reachable: Reachable): string[] {
  const permitted = candidates.filter((type) => reachable.permits(type));
  if (permitted.length === 0 && candidates.length > 0 && !otherwiseFound) throw fhirError('forbidden', `The scope or the role does not allow a search of ${candidates.join(', ')}`);
  return permitted;
}

function parseChain(type: string, parameter: SearchParameter, target: string | undefined, rest: string, key: string, value: string, reachable: Reachable): Link & { kind: 'chain' } {
  if (parameter.type !== 'reference') throw invalid(`${key.slice(0, 80)}: ${parameter.name} is no reference`);
  if (target !== undefined && !(parameter.targets?.includes(target) ?? true)) throw invalid(`${key.slice(0, 80)}: ${parameter.name} never refers to a ${target}`);
  const candidates = askedTypes(parameter, target, reachable).filter((candidate) => declares(candidate, rest));
  // A logical reference has the identifier in itself (R4 references.html#logical): it is found although nothing is reached.
  const logical = rest === 'identifier' && !isRecord(type);
  const contained = parametersOf(type).find((candidate) => candidate.name === `${parameter.name}.${rest.split(':', 1)[0] ?? ''}`);
  const otherwiseFound = logical || contained !== undefined;
  if (candidates.length === 0 && !otherwiseFound) throw invalid(`${key.slice(0, 80)}: no type that ${parameter.name} refers to and that is searched here has the parameter ${rest.slice(0, 40)}`);
  const questions = permittedTypes(candidates, target === undefined && otherwiseFound, reachable).map((asked) => ({ type: asked, name: rest, value }));
  return { kind: 'chain', key, value, parameter, questions, logical, contained };
}

/**
 * Parts what reaches another resource from what does not. `reachable` says where they may lead. Raises 400
 * `invalid-parameter` for a chain that is not declared, `too-costly` past LINKS_MAX; a name that no parameter begins is left to whom it may concern.
 */
export function parseLinks(type: string, pairs: readonly (readonly [string, string])[], reachable: Reachable): { links: Link[]; rest: [string, string][] } {
  const links: Link[] = [];
  const rest: [string, string][] = [];
  for (const [key, value] of pairs) {
    const [, name = '', target, chained] = /^([^.:]+)(?::([A-Z][A-Za-z]*))?\.(.+)$/s.exec(key) ?? [];
    const parameter = parametersOf(type).find((candidate) => candidate.name === name);
    // Records have parameters of their own for what is logical in them.
    const ofRecord = isRecord(type) && parametersOf(type).some((candidate) => candidate.name === `${name}.${chained?.split(':', 1)[0] ?? ''}`);
    if (value === '') continue;
    if (key === '_has' || key.startsWith('_has:')) links.push(parseHas(type, key, value));
    else if (key === '_list') links.push({ ...parseHas(type, '_has:List:item:_id', value), key });
    else if (chained !== undefined && parameter !== undefined && !ofRecord) links.push(parseChain(type, parameter, target, chained, key, value, reachable));
    else rest.push([key, value]);
  }
  if (links.length > LINKS_MAX) throw fhirError('too-costly', `A search takes ${LINKS_MAX} parameters that reach another resource`);
  return { links, rest };
}

/** The questions to types that are not searched here, however deep they stand. Raises 400 past LINK_DEPTH_MAX. */
export function outsideQuestions(type: string, pairs: readonly (readonly [string, string])[], reachable: Reachable, depth = 1): LinkQuestion[] {
  return parseLinks(type, pairs, reachable).links.flatMap((link) => {
    if (depth > LINK_DEPTH_MAX) throw invalid(`${link.key.slice(0, 80)}: at most ${LINK_DEPTH_MAX} steps are followed`);
    const questions = link.kind === 'has' ? [link.question] : link.questions;
    return questions.flatMap((question) => (isSearchable(question.type) ? outsideQuestions(question.type, [[question.name, question.value]], reachable, depth + 1) : [question]));
  });
}

export function questionKey({ type, name, value }: LinkQuestion): string {
  return JSON.stringify([type, name, value]);
}
