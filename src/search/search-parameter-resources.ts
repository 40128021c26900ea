// SearchParameter resources (R4 searchparameter.html) of all parameters of the table, which is the one declaration of them.
import type { JsonObject } from '../fhir/json.ts';
import { HL7, type SearchParameter } from './search-parameter.ts';
import { SEARCH_PARAMETERS } from './search-parameters.ts';

interface Declared {
  bases: string[];
  parameter: SearchParameter;
  expressions: string[];
}

/** One for each definition: R4's common ones search several types. */
export function searchParameterResources(): JsonObject[] {
  const byDefinition = new Map<string, Declared>();
  for (const [base, parameters] of Object.entries<readonly SearchParameter[]>(SEARCH_PARAMETERS)) {
    for (const parameter of parameters) {
      const declared = byDefinition.get(parameter.definition) ?? { bases: [], parameter, expressions: [] };
      declared.bases.push(base);
      if (!declared.expressions.includes(parameter.expression)) declared.expressions.push(parameter.expression);
      byDefinition.set(parameter.definition, declared);
    }
  }
  return [...byDefinition.values()].map(resourceOf);
}

function resourceOf({ bases, parameter, expressions }: Declared): JsonObject {
  const { name, type, definition, documentation, targets, components } = parameter;
  const id = definition.split('/').at(-1) ?? name;
  return {
    resourceType: 'SearchParameter',
    id,
    url: definition,
    version: definition.startsWith(HL7) ? '4.0.1' : '0.1.0',
    name: id.split(/[^A-Za-z0-9]+/).map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join(''),
    status: 'active',
    experimental: false,
    date: '2026-11-25',
    publisher: definition.startsWith(HL7) ? 'HL7 International' : 'Muniment',
    description: `${documentation}. As it is served here: for ${bases.join(', ')}.`,
    code: name,
    // R4's common parameters are defined on Resource, where alone their expressions hold; the description says for which types they are served.
    base: parameter.expression.startsWith('Resource.') ? ['Resource'] : bases,
    type,
    expression: expressions.join(' | '),
    xpathUsage: 'normal',
    ...(targets === undefined ? {} : { target: [...targets] }),
    multipleOr: true,
    multipleAnd: true,
    ...(components === undefined ? {} : { component: components.map((component) => ({ definition: component.definition, expression: component.expression })) }),
  };
}
