// An OperationOutcome from issues (http://hl7.org/fhir/R4/operationoutcome.html).
import type { Issue } from './fhir-error.ts';
import { asFhirString } from './fhir-string.ts';

/** System of our stable codes in issue.details. */
export const ERROR_SYSTEM = 'urn:muniment:error';

/** The issue as an element; its text stands in details, where people look, and in diagnostics, where clients look. */
export function issueElement(issue: Issue): object {
  const { severity, code, detail, diagnostics, expression } = issue;
  return {
    severity,
    code,
    details: { coding: [{ system: ERROR_SYSTEM, code: detail }], text: diagnostics },
    diagnostics,
    ...(expression === undefined ? {} : { expression: [expression] }),
  };
}

/** An issue that says that something is well. */
export function informationElement(text: string): object {
  const shown = asFhirString(text);
  return { severity: 'information', code: 'informational', details: { text: shown }, diagnostics: shown };
}

/** JSON text; R4 wants one issue at least. */
export function printIssues(issues: readonly object[]): string {
  return JSON.stringify({ resourceType: 'OperationOutcome', issue: issues });
}
