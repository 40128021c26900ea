// `muniment verify --export DIR`: an export against its signed checkpoints, with public keys alone and without a database.
// Each row is made anew from the text of its leaf, each leaf from its text, the tree from the leaves.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { leafHash } from '../audit/access-event.ts';
import { openCheckpoint, parseCheckpoint } from '../audit/checkpoint.ts';
import { appendLeaves, isTreeHead, treeRoot, type TreeHead } from '../audit/merkle-log.ts';
import { printRow, readRow, RECORD_SCHEMA } from '../audit/record-table.ts';
import { readManifest, SCHEMA, type ExportedFile, type ExportManifest } from './export-files.ts';
import { Findings, leavesText, type Finding } from './findings.ts';
import { trustOf, type Trust, type TrustedKey } from './verify-keys.ts';

export interface ExportReport {
  origin: string;
  start: number;
  size: number;
  events: number;
  versions: number;
  /** The checkpoint that covers all of it, where a trusted key signed it. */
  sealed: { size: number; at: string } | undefined;
  keyGiven: boolean;
  findingCount: number;
  findings: Finding[];
}

/** Longer than any text that a server records, with room for what JSON adds. */
const LINE_BYTES_MAX = 64 * 1024 ** 2;

interface Read { bytes: number; sha256: string; unended: boolean }

/** The lines of a file, a few at a time, and what the file is as a whole. Raises RangeError for a line without end. */
async function* readLines(path: string): AsyncGenerator<string[], Read> {
  const sha256 = createHash('sha256');
  let bytes = 0;
  let rest = Buffer.alloc(0);
  for await (const piece of createReadStream(path, { highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>) {
    sha256.update(piece);
    bytes += piece.length;
    const held = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const end = held.lastIndexOf(0x0a);
    if (end < 0 && held.length > LINE_BYTES_MAX) throw new RangeError('A line has no end');
    if (end >= 0) yield held.toString('utf8', 0, end).split('\n');
    rest = Buffer.from(held.subarray(end + 1));
  }
  return { bytes, sha256: sha256.digest('hex'), unended: rest.length > 0 };
}

class ExportCheck {
  head: TreeHead;
  events = 0;
  versions = 0;
  readonly #findings: Findings;
  #event = '';
  /** The tree cannot be told any more, and why was said. */
  #lost: boolean;

  constructor(head: TreeHead, findings: Findings) {
    this.head = head;
    this.#findings = findings;
    this.#lost = !isTreeHead(head);
  }

  #add(line: string, name: string): void {
    const index = this.head.size;
    const row = readRow(line);
    const place = { leaves: { start: index, end: index + 1 } };
    if (row === undefined) {
      this.#findings.add({ kind: 'row-changed', what: `${name}: where leaf ${index} should be is no row`, ...place });
      return;
    }
    const hash = leafHash(row.text);
    this.head = this.#lost ? { ...this.head, size: index + 1 } : appendLeaves(this.head, [hash]);
    if (row.kind === 'version') this.versions += 1;
    else this.events += 1;
    const fault = this.#fault(line, { ...row, index, hash: hash.toString('hex') }, row);
    if (fault !== undefined) this.#findings.add({ kind: 'row-changed', what: `${name}: leaf ${index}: ${fault}`, reference: `AuditEvent/${row.event}`, ...place });
    this.#event = row.event;
  }

  #fault(line: string, demanded: Parameters<typeof printRow>[0], row: { index: number; event: string; kind: string; hash: string }): string | undefined {
    if (row.index !== demanded.index) return `it says to be leaf ${row.index}`;
    if (row.hash !== demanded.hash) return 'its text is not the one that its hash is of';
    if (row.kind === 'version' && row.event !== this.#event) return 'it does not stand behind the event that it names';
    try {
      if (row.kind === 'event' && (JSON.parse(demanded.text) as { id?: unknown }).id !== row.event) return 'it stands under another id';
      return printRow(demanded) === line ? undefined : 'its columns are not those of its text';
    } catch { return 'its text is no JSON'; }
  }

  async read(folder: string, { bytes, end, name, sha256, start }: ExportedFile): Promise<void> {
    if (start !== this.head.size) this.#findings.add({ kind: 'leaves-missing', what: `${name} begins with leaf ${start} and not with ${this.head.size}` });
    const lines = readLines(join(folder, name));
    try {
      for (let next = await lines.next(); ; next = await lines.next()) {
        if (next.done === true) {
          const { value } = next;
          if (value.unended || value.bytes !== bytes || value.sha256 !== sha256) this.#findings.add({ kind: 'file-damaged', what: `${name} is not the file that was written: ${value.bytes} bytes instead of ${bytes}, or other ones` });
          break;
        }
        for (const line of next.value) this.#add(line, name);
      }
    } catch (error) {
      const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      this.#findings.add({ kind: gone ? 'file-missing' : 'file-damaged', what: gone ? `${name} is missing: ${leavesText({ start, end })}` : `${name}: ${(error as Error).message}`, leaves: { start, end } });
    }
    if (this.head.size !== end) {
      this.#findings.add({ kind: 'leaves-missing', what: `${name} ends before leaf ${this.head.size}, and should before ${end}` });
      // What follows is compared row by row, and the tree is said to be another at the end.
      this.#lost = true;
      this.head = { ...this.head, size: end };
    }
  }
}

/** The head that the export begins with: nothing, or what a checkpoint sealed. */
function headOf({ origin, start }: ExportManifest, { verifiers }: Trust, findings: Findings): TreeHead {
  const head: TreeHead = { size: start.size, peaks: start.peaks.map((peak) => Buffer.from(peak, 'hex')) };
  const sealed = start.checkpoint === null ? undefined : openCheckpoint(start.checkpoint, verifiers);
  const sound = isTreeHead(head) && (start.size === 0 ? start.checkpoint === null : sealed?.origin === origin && sealed.size === start.size && sealed.root.equals(treeRoot(head)));
  if (!sound) findings.add({ kind: 'checkpoint-changed', what: `The ${start.size} leaves before this export are not what a trusted key sealed` });
  return head;
}

async function checkSchema(folder: string, findings: Findings): Promise<void> {
  const text = await readFile(join(folder, SCHEMA), 'utf8').catch(() => undefined);
  if (text !== `${JSON.stringify(RECORD_SCHEMA, undefined, 2)}\n`) findings.add({ kind: text === undefined ? 'file-missing' : 'file-damaged', what: `${SCHEMA} is ${text === undefined ? 'missing' : 'not that of this format'}` });
}

const isManifest = (value: ExportManifest): boolean => {
  const { end, files, format, keys, origin, start } = value as Partial<ExportManifest>;
  const isFile = ({ bytes, end: to, name, sha256, start: from }: Partial<ExportedFile>): boolean =>
    /^leaves-\d{15}\.ndjson$/.test(name ?? '') && [bytes, from, to].every(Number.isSafeInteger) && typeof sha256 === 'string';
  return format === 'muniment-record-1' && typeof origin === 'string' && Array.isArray(start?.peaks) && Number.isSafeInteger(start.size) && Number.isSafeInteger(end?.size) && typeof end?.checkpoint === 'string'
    && Array.isArray(keys) && Array.isArray(files) && files.every(isFile);
};

/** Throws an Error for people where the folder holds no export. Memory does not grow with it. */
export async function verifyExport(folder: string, keys: readonly TrustedKey[], onProgress?: (done: number, all: number) => void): Promise<ExportReport> {
  const manifest = await readManifest(folder);
  if (manifest === undefined || !isManifest(manifest)) throw new Error(`${folder} holds no whole export of a record`);
  const findings = new Findings();
  const trust = trustOf(manifest.keys, manifest.origin, keys, findings);
  await checkSchema(folder, findings);
  const check = new ExportCheck(headOf(manifest, trust, findings), findings);
  for (const file of manifest.files) {
    await check.read(folder, file);
    onProgress?.(check.head.size - manifest.start.size, manifest.end.size - manifest.start.size);
  }
  const { end, origin, start } = manifest;
  const signed = openCheckpoint(end.checkpoint, trust.verifiers);
  const said = parseCheckpoint(end.checkpoint);
  if (signed === undefined) findings.add({ kind: 'checkpoint-unsigned', what: `No trusted key signed the checkpoint over ${end.size} leaves` });
  if (check.head.size !== end.size) findings.add({ kind: 'tail-missing', what: `The export ends after ${check.head.size} leaves, and ${end.size} were sealed` });
  else if (said?.size !== end.size || said.origin !== origin || !isTreeHead(check.head) || !said.root.equals(treeRoot(check.head))) {
    findings.add({ kind: 'leaves-changed', what: `Among ${leavesText({ start: start.size, end: end.size })} is one that was not sealed there`, leaves: { start: start.size, end: end.size } });
  }
  return {
    origin, start: start.size, size: check.head.size, events: check.events, versions: check.versions, sealed: signed === undefined ? undefined : { size: signed.size, at: end.sealedAt },
    keyGiven: trust.given, findingCount: findings.count, findings: findings.named,
  };
}
