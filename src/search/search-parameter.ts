// What one search parameter is (R4 searchparameter.html): the shape of a row of the table.

export type SearchParameterType = 'token' | 'reference' | 'date' | 'string' | 'uri' | 'composite';

/** Where the values stand: a column of `resource`, or rows of the index table of the parameter's type. */
export type SearchColumn = 'id' | 'last_updated' | 'status' | 'patient' | 'date';

export interface SearchParameter {
  name: string;
  type: SearchParameterType;
  /** Its name in the index tables; never reused. */
  number: number;
  /** R4's FHIRPath. */
  expression: string;
  /** Canonical of the SearchParameter resource. */
  definition: string;
  column?: SearchColumn;
  /** For references: the types that they may point to; without it, any. */
  targets?: readonly string[];
  /** For codes without a system of their own: the system that R4 implies. */
  system?: string;
  /** A date of an element that has at most one value. */
  single?: true;
  /** A token that is an Identifier. */
  identifier?: true;
  /** A token that is a media type: found by its beginning as well. */
  mime?: true;
  /** For composites: the parameters whose values are bound to one element, with the path from there. */
  components?: readonly { name: string; type: 'token' | 'reference'; definition: string; expression: string }[];
  documentation: string;
}

/** Where R4's own parameters are defined. */
export const HL7 = 'http://hl7.org/fhir/SearchParameter';
export const CANONICAL_BASE = 'https://muniment.example/fhir';
