// `muniment record export`: the log up to its newest checkpoint as files of rows, each leaf with its text, so that it is
// verified without the database. What was begun is gone on with; nothing is exported that does not match its leaf.
import { leafDigest } from '../audit/access-event.ts';
import { RECORD_SCHEMA, printRow, type TextLeaf } from '../audit/record-table.ts';
import { parseCheckpoint } from '../audit/checkpoint.ts';
import { appendLeaves, EMPTY_TREE, treeRoot, type TreeHead } from '../audit/merkle-log.ts';
import { versionLeafText } from '../audit/version-leaf.ts';
import type { Database, Transaction } from '../database/database.ts';
import { PLAN_FOR_VALUES } from '../database/plans.ts';
import { finishExport, isThere, keepProgress, readManifest, readProgress, RowFile, SCHEMA, writeWhole, type ExportManifest } from './export-files.ts';
import { readState } from './log-state.ts';
import { findPurged } from './purged-versions.ts';
import { removedSize } from './read-removal.ts';
import { readVersions } from './read-versions.ts';
import { checkpointAt, newestCheckpoint } from './seal-checkpoint.ts';
import { readHead } from './tree-ranges.ts';
import { readKeys } from './verify-keys.ts';
import { isVersion, LEAVES_AT_ONCE, nameOf, organisationOf, readLeaves, type LeafRow, type VersionRow } from './read-leaves.ts';

/** Leaves in one file: what a killed export loses at most. */
const LEAVES_PER_FILE = 131_072;

/** What keeps an export from being made, in words for people. */
export class ExportError extends Error {}

export interface ExportWish {
  database: Pick<Database, 'workerTransaction'>;
  folder: string;
  /** The export that this one continues. */
  after?: string;
  leavesPerFile?: number;
  onProgress?: (done: number, all: number) => void;
}

const hexOf = (head: TreeHead): string[] => head.peaks.map((peak) => peak.toString('hex'));

/** A new export: from the end of the one before, or from the first leaf, to the newest checkpoint. */
async function plan(tx: Transaction, after: ExportManifest | undefined): Promise<ExportManifest> {
  const { origin } = await readState(tx);
  // What was removed is in exports that were made before.
  const removed = await removedSize(tx);
  const size = after?.end.size ?? removed;
  const newest = await newestCheckpoint(tx);
  if (newest === undefined) throw new ExportError('Nothing is sealed yet: there is no checkpoint to export up to');
  if (after !== undefined && (after.origin !== origin || (await checkpointAt(tx, size))?.note !== after.end.checkpoint)) throw new ExportError('The export before is not the beginning of this log');
  if (size < removed) throw new ExportError(`Accesses below leaf ${removed} were removed: only what follows can be exported`);
  if (newest.size === size) throw new ExportError('Nothing was sealed since the export before');
  return {
    format: 'muniment-record-1', origin, start: { size, peaks: hexOf(await readHead(tx, size)), checkpoint: (await checkpointAt(tx, size))?.note ?? null },
    end: { size: newest.size, checkpoint: newest.note, sealedAt: newest.sealedAt }, keys: await readKeys(tx), files: [],
  };
}

/** The texts of leaves, in their order. Raises ExportError for the first that is not what its leaf is of. */
async function textsOf(tx: Transaction, rows: readonly LeafRow[]): Promise<TextLeaf[]> {
  const versions = rows.filter(isVersion);
  const stored = await readVersions(tx, versions.map(({ org, type, id, version }) => ({ org, type, id, version })), 'of the database');
  const texts = new Map<LeafRow, string>(versions.map((row, position) => [row, versionLeafText({ org: organisationOf(row), reference: nameOf(row), stored: stored[position] })]));
  const others = versions.flatMap((row, position) => (leafDigest(texts.get(row) ?? '') === row.digest ? [] : [{ row, org: organisationOf(row), reference: nameOf(row), stored: stored[position] }]));
  for (const [row, purged] of await findPurged<VersionRow>(tx, others)) texts.set(row, versionLeafText({ org: organisationOf(row), reference: nameOf(row), stored: purged }));
  return rows.map((row) => {
    const text = isVersion(row) ? texts.get(row) : row.body;
    if (typeof text !== 'string' || leafDigest(text) !== row.digest) throw new ExportError(`Leaf ${row.index} is not what was sealed: nothing more is exported, and muniment verify tells what is wrong`);
    return { index: row.index, event: row.event, hash: row.digest, text };
  });
}

/** One file, in one look at the database; answers the head behind it. */
async function writeFile(tx: Transaction, folder: string, head: TreeHead, end: number): Promise<{ head: TreeHead; file: ExportManifest['files'][number] }> {
  const file = await RowFile.open(folder, head.size);
  try {
    let grown = head;
    while (grown.size < end) {
      const rows = (await readLeaves(tx, grown.size)).filter(({ index }) => index < end);
      if (rows.length !== Math.min(LEAVES_AT_ONCE, end - grown.size)) throw new ExportError(`The log lacks leaves after ${grown.size}: muniment verify tells which`);
      const leaves = await textsOf(tx, rows);
      await file.write(leaves.map(printRow));
      grown = appendLeaves(grown, rows.map(({ hash }) => hash));
    }
    return { head: grown, file: await file.close(end) };
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

/** Files that are whole stay; the head behind them is that of the stored tree, and the end is compared with the checkpoint. */
async function begin({ database, folder, after }: ExportWish): Promise<ExportManifest> {
  if (await readManifest(folder) !== undefined) throw new ExportError(`${folder} holds a whole export already: name another folder, and continue this one with --after`);
  const begun = await readProgress(folder);
  if (begun !== undefined) {
    while (begun.files.length > 0 && !await isThere(folder, begun.files.at(-1) as ExportManifest['files'][number])) begun.files.pop();
    return begun;
  }
  const before = after === undefined ? undefined : await readManifest(after);
  if (after !== undefined && before === undefined) throw new ExportError(`${after} holds no whole export`);
  const planned = await database.workerTransaction((tx) => plan(tx, before));
  await writeWhole(folder, SCHEMA, `${JSON.stringify(RECORD_SCHEMA, undefined, 2)}\n`);
  await keepProgress(folder, planned);
  return planned;
}

export async function exportRecord(wish: ExportWish): Promise<ExportManifest> {
  const { database, folder, leavesPerFile = LEAVES_PER_FILE, onProgress } = wish;
  const manifest = await begin(wish);
  let at = manifest.files.at(-1)?.end ?? manifest.start.size;
  let head = at === 0 ? EMPTY_TREE : await database.workerTransaction((tx) => readHead(tx, at));
  while (at < manifest.end.size) {
    const end = Math.min(manifest.end.size, at + leavesPerFile);
    const from = head;
    const written = await database.workerTransaction(async (tx) => {
      await tx.query('set transaction isolation level repeatable read, read only');
      await tx.query(PLAN_FOR_VALUES);
      return writeFile(tx, folder, from, end);
    });
    ({ head } = written);
    manifest.files.push(written.file);
    at = end;
    await keepProgress(folder, manifest);
    onProgress?.(at - manifest.start.size, manifest.end.size - manifest.start.size);
  }
  if (parseCheckpoint(manifest.end.checkpoint)?.root.equals(treeRoot(head)) !== true) throw new ExportError('What was exported is not what was sealed: muniment verify tells what is wrong');
  await finishExport(folder, manifest);
  return manifest;
}
