// search-type of the conformance resources that this server defines: few, in memory, so that pages are counted.
import { fhirError } from '../fhir/fhir-error.ts';
import { printJson } from '../fhir/json.ts';
import { preference } from '../fhir/prefer.ts';
import { summarise } from '../fhir/summary.ts';
import { searchConformance } from '../resources/conformance-resources.ts';
import { CONFORMANCE_PARAMETERS, type ConformanceParameter, type ConformanceType } from '../search/conformance-parameters.ts';
import { takeResultParameters } from '../search/result-parameters.ts';
import { ignoredNotes, printSearchset, searchUrl, type SearchLink } from '../search/searchset.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { FHIR_JSON_TYPE } from './representation.ts';

const COUNT = 20;
const COUNT_MAX = 1_000;

type Pairs = [string, string][];

export function searchConformanceType(type: ConformanceType, fhirBase: string): Interaction {
  return defineInteraction({
    code: 'search-type',
    kind: 'read',
    async run(_tx, { request }) {
      const { rest, summary, form, used } = takeResultParameters(request.query);
      const paging = rest.filter(([name]) => name === '_count' || name === '_offset');
      const asked = rest.filter(([name]) => name !== '_count' && name !== '_offset');
      const parameters: readonly ConformanceParameter[] = CONFORMANCE_PARAMETERS[type];
      const isKnown = ([name]: [string, string]): boolean => parameters.some((parameter) => parameter.name === name);
      const ignored = asked.filter((pair) => !isKnown(pair)).map(([name]) => name);
      requireUnderstood(ignored, parameters, preference(request.header('prefer'), 'handling') === 'strict');
      const criteria = asked.filter(isKnown);
      const count = summary?.kind === 'count' ? 0 : Math.min(wholeNumber(paging, '_count') ?? COUNT, COUNT_MAX);
      const offset = wholeNumber(paging, '_offset') ?? 0;
      const found = searchConformance(type, criteria);
      const page = found.slice(offset, offset + count);
      const body = printSearchset({
        links: links(`${fhirBase}/${type}`, [...criteria, ...used, ...form, ['_count', String(count)]], { offset, count, total: found.length }),
        total: found.length,
        entries: page.map(({ id, resource }) => ({ fullUrl: `${fhirBase}/${type}/${id}`, text: printJson(summary === undefined ? resource : summarise(resource, summary)) })),
        notes: ignoredNotes(ignored),
      });
      return { response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body }, entities: page.map(({ id, version }) => ({ reference: `${type}/${id}/_history/${version}`, role: 'data' as const })) };
    },
  });
}

/** A modifier is refused always, an unknown parameter under strict handling. */
function requireUnderstood(ignored: readonly string[], parameters: readonly ConformanceParameter[], strict: boolean): void {
  const modified = ignored.find((name) => name.includes(':') && parameters.some((parameter) => parameter.name === name.split(':')[0]));
  if (modified !== undefined) throw fhirError('invalid-parameter', `Modifiers are not supported here: ${modified.slice(0, 60)}`);
  if (strict && ignored.length > 0) throw fhirError('invalid-parameter', `Unknown search parameter ${ignored[0]?.slice(0, 60)}`);
}

function wholeNumber(pairs: Pairs, name: string): number | undefined {
  const text = pairs.find(([key]) => key === name)?.[1];
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) throw fhirError('invalid-parameter', `${name} must be a whole number from 0 on`);
  return Number(text);
}

function links(base: string, parameters: Pairs, page: { offset: number; count: number; total: number }): SearchLink[] {
  const at = (offset: number): string => searchUrl(base, offset === 0 ? parameters : [...parameters, ['_offset', String(offset)]]);
  const { offset, count, total } = page;
  return [
    { relation: 'self', url: at(offset) },
    ...(count > 0 && offset > 0 ? [{ relation: 'previous' as const, url: at(Math.max(0, offset - count)) }] : []),
    ...(count > 0 && offset + count < total ? [{ relation: 'next' as const, url: at(offset + count) }] : []),
  ];
}
