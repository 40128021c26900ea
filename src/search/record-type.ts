// The types that this server renders from its record instead of storing them.

export type RecordType = 'AuditEvent' | 'Provenance';

export function isRecord(type: string): type is RecordType {
  return type === 'AuditEvent' || type === 'Provenance';
}
