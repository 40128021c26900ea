// Sound logs as an export has them, made without a server or a database: events with versions behind some of them.
import { createHash, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalText, leafHash, type AccessEvent } from '../../src/audit/access-event.ts';
import { printVerifier, signCheckpoint } from '../../src/audit/checkpoint.ts';
import { appendLeaves, EMPTY_TREE, treeRoot } from '../../src/audit/merkle-log.ts';
import { printRow, RECORD_SCHEMA, type TextLeaf } from '../../src/audit/record-table.ts';
import { versionLeafText } from '../../src/audit/version-leaf.ts';
import type { ExportManifest } from '../../src/log/export-files.ts';

export interface MadeLog {
  folder: string;
  leaves: TextLeaf[];
  verifier: string;
  manifest: ExportManifest;
}

function leavesOf(events: readonly AccessEvent[]): TextLeaf[] {
  const texts = events.flatMap((event) => [
    { event: event.id, text: canonicalText(event) },
    ...(event.write?.targets ?? []).map((reference) => ({ event: event.id, text: versionLeafText({ org: event.org, reference, stored: { lastUpdated: event.recorded, method: 'POST', sha256: createHash('sha256').update(reference).digest('hex'), content: undefined } }) })),
  ]);
  return texts.map(({ event, text }, index) => ({ index, event, text, hash: leafHash(text).toString('hex') }));
}

export function makeLog(folder: string, events: readonly AccessEvent[], key: { publicKey: KeyObject; privateKey: KeyObject }, perFile: number): MadeLog {
  const origin = 'muniment.example/log/made';
  const leaves = leavesOf(events);
  const root = treeRoot(appendLeaves(EMPTY_TREE, leaves.map(({ hash }) => Buffer.from(hash, 'hex'))));
  const verifier = printVerifier({ name: origin, publicKey: key.publicKey });
  const manifest: ExportManifest = {
    format: 'muniment-record-1', origin, start: { size: 0, peaks: [], checkpoint: null },
    end: { size: leaves.length, checkpoint: signCheckpoint({ origin, size: leaves.length, root }, key.privateKey), sealedAt: '2026-03-04T10:21:00.000Z' },
    keys: [{ ordinal: 1, verifier, statement: null }], files: [],
  };
  mkdirSync(folder, { recursive: true });
  for (let start = 0; start < leaves.length; start += perFile) {
    const own = leaves.slice(start, start + perFile);
    const text = own.map((leaf) => `${printRow(leaf)}\n`).join('');
    const name = `leaves-${String(start).padStart(15, '0')}.ndjson`;
    writeFileSync(join(folder, name), text);
    manifest.files.push({ name, start, end: start + own.length, bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') });
  }
  writeFileSync(join(folder, 'schema.json'), `${JSON.stringify(RECORD_SCHEMA, undefined, 2)}\n`);
  writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return { folder, leaves, verifier, manifest };
}
