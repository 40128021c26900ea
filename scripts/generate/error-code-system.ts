// The CodeSystem of the stable error codes, from the table of errors.
import { ERRORS } from '../../src/fhir/fhir-error.ts';
import { ERROR_SYSTEM } from '../../src/fhir/operation-outcome.ts';

export function errorCodeSystemText(): string {
  const codeSystem = {
    resourceType: 'CodeSystem',
    id: 'error',
    url: ERROR_SYSTEM,
    version: '0.1.0',
    name: 'Errors',
    title: 'Errors of this server',
    status: 'active',
    experimental: false,
    date: '2026-11-25',
    publisher: 'Muniment',
    description: 'Stable codes of issue.details in the OperationOutcomes of this server. Each travels with one HTTP status and one code of http://hl7.org/fhir/issue-type; the pages of the project list them. A code is never reused.',
    caseSensitive: true,
    valueSet: 'https://muniment.example/fhir/ValueSet/error',
    content: 'complete',
    count: Object.keys(ERRORS).length,
    property: [
      { code: 'status', description: 'HTTP status of the answer', type: 'integer' },
      { code: 'issue', description: 'Code of http://hl7.org/fhir/issue-type', type: 'code' },
    ],
    concept: Object.entries(ERRORS).map(([code, { status, code: issue, text }]) => ({
      code, display: text, property: [{ code: 'status', valueInteger: status }, { code: 'issue', valueCode: issue }],
    })),
  };
  return `${JSON.stringify(codeSystem, undefined, 2)}\n`;
}
