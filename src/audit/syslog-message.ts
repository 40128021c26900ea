// A syslog message (RFC 5424) with a DICOM audit message in it (PS3.15 A.6), framed for TLS (RFC 5425 4.3).
import type { AccessEvent } from './access-event.ts';
import { printDicomAuditMessage } from './dicom-audit-message.ts';

/** Facility 10, security and authorization messages (RFC 5424 6.2.1). */
const FACILITY = 10;
const SEVERITY = { success: 5, minor: 4, serious: 3 } as const;
const BOM = '\ufeff';

/** PRINTUSASCII of the header's length; "-" for nothing. */
const headerText = (text: string, charactersMax: number): string => text.replace(/[^\x21-\x7e]/g, '_').slice(0, charactersMax) || '-';

/** The octets of one message with their count before them. */
export function syslogFrame(event: AccessEvent): Buffer {
  const severity = event.outcome === 0 ? SEVERITY.success : event.outcome === 4 ? SEVERITY.minor : SEVERITY.serious;
  const header = `<${FACILITY * 8 + severity}>1 ${event.recorded} ${headerText(event.observer, 255)} muniment - DICOM+RFC3881 -`;
  const message = Buffer.from(`${header} ${BOM}${printDicomAuditMessage(event)}`);
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}
