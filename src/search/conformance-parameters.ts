// Search parameters of the conformance resources that are served (R4 structuredefinition.html and its like): few resources
// in memory, so they have no rows in the index tables.
import { HL7 } from './search-parameter.ts';

export interface ConformanceParameter {
  name: string;
  type: 'token' | 'string' | 'uri';
  /** The element of the resource, a code, text, boolean or uri; or several of them. */
  element: string;
  definition: string;
  documentation: string;
}

const SHARED: readonly ConformanceParameter[] = [
  { name: '_id', type: 'token', element: 'id', definition: `${HL7}/Resource-id`, documentation: 'Logical id' },
  { name: 'url', type: 'uri', element: 'url', definition: `${HL7}/conformance-url`, documentation: 'Canonical URL' },
  { name: 'version', type: 'token', element: 'version', definition: `${HL7}/conformance-version`, documentation: 'Business version' },
  { name: 'name', type: 'string', element: 'name', definition: `${HL7}/conformance-name`, documentation: 'Name for programs' },
  { name: 'status', type: 'token', element: 'status', definition: `${HL7}/conformance-status`, documentation: 'draft, active, retired' },
];

export const CONFORMANCE_PARAMETERS = {
  StructureDefinition: [...SHARED, { name: 'type', type: 'uri', element: 'type', definition: `${HL7}/StructureDefinition-type`, documentation: 'The type that it defines or constrains' }],
  SearchParameter: [
    ...SHARED,
    { name: 'type', type: 'token', element: 'type', definition: `${HL7}/SearchParameter-type`, documentation: 'token, reference, date, string, uri, composite' },
    { name: 'base', type: 'token', element: 'base', definition: `${HL7}/SearchParameter-base`, documentation: 'The types that it searches' },
    { name: 'code', type: 'token', element: 'code', definition: `${HL7}/SearchParameter-code`, documentation: 'Its name in a URL' },
  ],
  CodeSystem: SHARED,
  ValueSet: SHARED,
  OperationDefinition: [
    ...SHARED,
    { name: 'type', type: 'token', element: 'type', definition: `${HL7}/OperationDefinition-type`, documentation: 'Whether it is called on a type' },
    { name: 'code', type: 'token', element: 'code', definition: `${HL7}/OperationDefinition-code`, documentation: 'Its name in a URL' },
  ],
} as const satisfies Record<string, readonly ConformanceParameter[]>;

export type ConformanceType = keyof typeof CONFORMANCE_PARAMETERS;

export const CONFORMANCE_TYPES = Object.keys(CONFORMANCE_PARAMETERS) as ConformanceType[];

export function isConformanceType(type: string): type is ConformanceType {
  return Object.hasOwn(CONFORMANCE_PARAMETERS, type);
}
