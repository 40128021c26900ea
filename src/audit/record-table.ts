// The log as a flat table: one row for each leaf, columns of one type each, so that NDJSON of it loads into Parquet and into
// any warehouse as it is. A row is made of the leaf's text alone, so whoever has the text can tell whether the row is its own.
import type { AccessEvent } from './access-event.ts';
import { touchedData, touchedPatients } from './touched-references.ts';
import type { StoredVersion } from './version-leaf.ts';

/** A leaf with the text that it is the hash of, behind a zero byte. */
export interface TextLeaf {
  index: number;
  /** The event, or the event whose write made the version. */
  event: string;
  /** Hexadecimal. */
  hash: string;
  text: string;
}

type Cell = string | number | null;
type ColumnType = 'int32' | 'int64' | 'string' | 'timestamp[ms, UTC]';

type VersionText = { kind: 'version'; org: string; reference: string; absent?: true } & Partial<Omit<StoredVersion, 'content'>> & { content?: NonNullable<StoredVersion['content']> };

interface Source {
  leaf: TextLeaf;
  access: AccessEvent | undefined;
  version: VersionText | undefined;
}

interface Column {
  name: string;
  type: ColumnType;
  nullable: boolean;
  description: string;
  value: (source: Source) => Cell | undefined;
}

const leafColumn = (name: string, type: ColumnType, description: string, value: Column['value']): Column => ({ name, type, nullable: false, description, value });
const eventColumn = (name: string, type: ColumnType, description: string, value: (event: AccessEvent) => Cell | undefined): Column =>
  ({ name, type, nullable: true, description, value: ({ access }) => (access === undefined ? null : value(access)) });
const versionColumn = (name: string, type: ColumnType, description: string, value: (version: VersionText) => Cell | undefined): Column =>
  ({ name, type, nullable: true, description, value: ({ version }) => (version === undefined ? null : value(version)) });
const list = (values: readonly string[] | undefined): string | null => (values === undefined || values.length === 0 ? null : values.join(' '));

const COLUMNS: readonly Column[] = [
  leafColumn('index', 'int64', 'Place in the log, from 0 on, without a gap', ({ leaf }) => leaf.index),
  leafColumn('kind', 'string', 'event or version', ({ version }) => (version === undefined ? 'event' : 'version')),
  leafColumn('event', 'string', 'Id of the AuditEvent and Provenance; of a version: of the write that made it', ({ leaf }) => leaf.event),
  leafColumn('organisation', 'string', 'As in tokens', ({ access, version }) => access?.org ?? version?.org),
  leafColumn('hash', 'string', 'SHA-256 over a zero byte and the text, hexadecimal', ({ leaf }) => leaf.hash),
  eventColumn('recorded', 'timestamp[ms, UTC]', 'Instant of the access', ({ recorded }) => recorded),
  eventColumn('interaction', 'string', 'http://hl7.org/fhir/restful-interaction', ({ interaction }) => interaction),
  eventColumn('action', 'string', 'http://hl7.org/fhir/audit-event-action', ({ action }) => action),
  eventColumn('outcome', 'int32', 'http://hl7.org/fhir/audit-event-outcome', ({ outcome }) => outcome),
  eventColumn('status', 'int32', 'HTTP status; 0 where the transfer ended before there was one', ({ status }) => status),
  eventColumn('outcome_description', 'string', 'What the client was told of a failure', ({ outcomeDesc }) => outcomeDesc),
  eventColumn('request_id', 'string', 'X-Request-Id', ({ requestId }) => requestId),
  eventColumn('method', 'string', 'Of the request', ({ request }) => request.method),
  eventColumn('url', 'string', 'Below the base, with the query', ({ request }) => request.url),
  eventColumn('agent_user', 'string', 'fhirUser', ({ agent }) => agent.user),
  eventColumn('agent_issuer', 'string', 'iss of the token', ({ agent }) => agent.issuer),
  eventColumn('agent_subject', 'string', 'sub of the token', ({ agent }) => agent.subject),
  eventColumn('agent_name', 'string', 'As the token names the user', ({ agent }) => agent.name),
  eventColumn('agent_roles', 'string', 'Separated by spaces', ({ agent }) => list(agent.roles)),
  eventColumn('agent_client', 'string', 'client_id', ({ agent }) => agent.client),
  eventColumn('token_id', 'string', 'jti of the token', ({ agent }) => agent.jti),
  eventColumn('purpose_of_use', 'string', 'v3-ActReason, separated by spaces', ({ agent }) => list(agent.purposeOfUse)),
  eventColumn('address', 'string', 'Of the client', ({ address }) => address),
  eventColumn('observer', 'string', 'The server', ({ observer }) => observer),
  eventColumn('patients', 'string', 'References, separated by spaces', (event) => list(touchedPatients(event))),
  eventColumn('touched', 'string', 'References with versions, separated by spaces', (event) => list(touchedData(event))),
  eventColumn('write_activity', 'string', 'v3-DataOperation of a write', ({ write }) => write?.activity),
  eventColumn('bytes_sent', 'int64', 'Of a transfer that ended early', ({ bytes }) => bytes?.sent),
  versionColumn('reference', 'string', 'Type/id/_history/version', ({ reference }) => reference),
  versionColumn('version_method', 'string', 'POST, PUT, PATCH or DELETE', ({ method }) => method),
  versionColumn('last_updated', 'timestamp[ms, UTC]', 'meta.lastUpdated', ({ lastUpdated }) => lastUpdated),
  versionColumn('version_sha256', 'string', 'Of the stored text, hexadecimal', ({ sha256 }) => sha256),
  versionColumn('content_id', 'string', 'The bytes of a Binary', ({ content }) => content?.id),
  versionColumn('content_sha256', 'string', 'Of the bytes, hexadecimal', ({ content }) => content?.sha256),
  versionColumn('content_size', 'int64', 'Of the bytes', ({ content }) => content?.size),
  leafColumn('text', 'string', 'What the hash is over, behind a zero byte', ({ leaf }) => leaf.text),
];

/** The description of the table that goes with it. */
export const RECORD_SCHEMA = {
  format: 'muniment-record-1',
  rows: 'One JSON object a line, all columns in this order in each; null where nullable. Timestamps are RFC 3339 in UTC with milliseconds.',
  columns: COLUMNS.map(({ name, type, nullable, description }) => ({ name, type, nullable, description })),
} as const;

/** The row as its line, without the end of the line. Raises SyntaxError where the text is no JSON. */
export function printRow(leaf: TextLeaf): string {
  const value = JSON.parse(leaf.text) as AccessEvent | VersionText;
  const source: Source = 'kind' in value ? { leaf, access: undefined, version: value } : { leaf, access: value, version: undefined };
  return JSON.stringify(Object.fromEntries(COLUMNS.map((column) => [column.name, column.value(source) ?? null])));
}

/** undefined for a line that is none of this table. */
export function readRow(line: string): (TextLeaf & { kind: string }) | undefined {
  try {
    const { event, hash, index, kind, text } = JSON.parse(line) as Record<string, unknown>;
    const whole = typeof event === 'string' && typeof hash === 'string' && typeof index === 'number' && typeof kind === 'string' && typeof text === 'string';
    return whole ? { event, hash, index, kind, text } : undefined;
  } catch { return undefined; }
}
