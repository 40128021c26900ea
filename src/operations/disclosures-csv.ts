// The accounting of disclosures as a table for people (RFC 4180): date, who received it, what, and why.
import type { AccessEvent } from '../audit/access-event.ts';
import { shownText } from '../audit/shown-text.ts';
import { touchedData } from '../audit/touched-references.ts';

export const CSV_TYPE = 'text/csv; charset=utf-8; header=present';

const COLUMNS: readonly (readonly [name: string, value: (event: AccessEvent) => string | undefined])[] = [
  ['date', ({ recorded }) => recorded],
  ['recipient', ({ agent }) => agent.name ?? agent.user ?? agent.subject],
  ['recipient_reference', ({ agent }) => agent.user],
  ['recipient_issuer', ({ agent }) => agent.issuer],
  ['recipient_subject', ({ agent }) => agent.subject],
  ['recipient_roles', ({ agent }) => agent.roles?.join(' ')],
  ['client', ({ agent }) => agent.client],
  ['address', ({ address }) => address],
  ['organisation', ({ org }) => org],
  ['interaction', ({ interaction }) => interaction],
  ['disclosed', (event) => touchedData(event).join(' ')],
  ['purpose', ({ agent }) => agent.purposeOfUse?.join(' ')],
  ['request_id', ({ requestId }) => requestId],
  ['audit_event', ({ id }) => `AuditEvent/${id}`],
];

/** A cell that a spreadsheet would take for a formula is shown as the text that it is. */
function cell(value: string | undefined): string {
  const text = shownText(value) ?? '';
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

export function printDisclosuresCsv(events: readonly AccessEvent[]): string {
  const lines = [COLUMNS.map(([name]) => name), ...events.map((event) => COLUMNS.map(([, value]) => cell(value(event))))];
  return lines.map((line) => `${line.join(',')}\r\n`).join('');
}
