// An OperationOutcome from issues (http://hl7.org/fhir/R4/operationoutcome.html).
import type { Issue } from './fhir-error.ts';

/** System of our stable codes in issue.details. */
export const ERROR_SYSTEM = 'urn:muniment:error';

/** What a FHIR string may not hold (R4 datatypes.html#string) or XML cannot: controls but tab and line ends, lone surrogates, non-characters. */
const UNPRINTABLE = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** A message may quote what a client sent; each character that cannot stand in a string shows as U+FFFD. */
function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}

/** The issue as an element; its text stands in details, where people look, and in diagnostics, where clients look. */
export function issueElement(issue: Issue): object {
  const { severity, code, detail, expression } = issue;
  const diagnostics = printable(issue.diagnostics);
  return {
    severity,
    code,
    details: { coding: [{ system: ERROR_SYSTEM, code: detail }], text: diagnostics },
    diagnostics,
    ...(expression === undefined ? {} : { expression: [printable(expression)] }),
  };
}

/** An issue that says that something is well. */
export function informationElement(text: string): object {
  const shown = printable(text);
  return { severity: 'information', code: 'informational', details: { text: shown }, diagnostics: shown };
}

/** JSON text; R4 wants one issue at least. */
export function printIssues(issues: readonly object[]): string {
  return JSON.stringify({ resourceType: 'OperationOutcome', issue: issues });
}
