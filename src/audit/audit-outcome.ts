// How a failed access is told: the OperationOutcome that the client was shown, contained in its AuditEvent.
import type { IssueCode } from '../fhir/fhir-error.ts';
import type { AccessEvent } from './access-event.ts';
import { ERROR } from './coding.ts';
import { shownText } from './shown-text.ts';
import { withoutUndefined } from './without-undefined.ts';

/** `AuditEvent.contained` of a failure; entities refer to it as `#outcome`. */
export type ContainedOutcome = {
  resourceType: 'OperationOutcome';
  id: typeof OUTCOME_ID;
  issue: {
    severity: 'error';
    code: IssueCode;
    details?: { coding: { system: string; code: string }[] };
    diagnostics?: string;
  }[];
};

export const OUTCOME_ID = 'outcome';

/** Issue codes of statuses whose row names no issue. */
const STATUS_CODES: Record<number, IssueCode> = {
  0: 'incomplete', 400: 'invalid', 401: 'login', 403: 'forbidden', 404: 'not-found', 405: 'not-supported', 406: 'not-supported',
  409: 'conflict', 410: 'deleted', 412: 'conflict', 413: 'too-long', 414: 'too-long', 415: 'not-supported', 416: 'value',
  422: 'processing', 429: 'throttled', 503: 'transient', 507: 'no-store',
};

export function containedOutcome(event: AccessEvent): ContainedOutcome {
  const { issue, status } = event;
  const code = issue?.code ?? STATUS_CODES[status] ?? (status >= 400 && status < 500 ? 'processing' : 'exception');
  const details = issue === undefined ? undefined : { coding: [{ system: ERROR, code: issue.detail }] };
  const diagnostics = outcomeText(event);
  return { resourceType: 'OperationOutcome', id: OUTCOME_ID, issue: [withoutUndefined({ severity: 'error' as const, code, details, diagnostics })] };
}

/** `AuditEvent.outcomeDesc`: what the client was told, and how many equal refusals this row stands for. */
export function outcomeText(event: AccessEvent): string | undefined {
  const text = shownText(event.outcomeDesc);
  if (event.count === undefined) return text;
  const counted = `${event.count} equal refusals`;
  return text === undefined ? counted : `${text} (${counted})`;
}
