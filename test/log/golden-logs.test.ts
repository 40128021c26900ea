// Golden logs, and a thousand made ones: both verifiers find the sound ones sound, and each of them what was changed.
// UPDATE_GOLDEN=1 makes what is not there; its key is forgotten then, so nothing of it can be made anew.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readVerifier, type NoteVerifier } from '../../src/audit/checkpoint.ts';
import { readRow } from '../../src/audit/record-table.ts';
import type { ExportManifest } from '../../src/log/export-files.ts';
import { verifyExport } from '../../src/log/verify-export.ts';
import { anyAccessEvent } from '../audit/arbitrary-event.ts';
import { sampleEvents } from '../audit/sample-events.ts';
import { makeLog } from './make-log.ts';

const GOLDEN = new URL('./golden/', import.meta.url).pathname;
const parent = mkdtempSync(join(tmpdir(), 'muniment-logs-'));
afterAll(() => { rmSync(parent, { recursive: true, force: true }); });

const SAMPLES = Object.values(sampleEvents());
const GOLDEN_LOGS: Record<string, typeof SAMPLES> = {
  'one-leaf': SAMPLES.filter(({ interaction }) => interaction === 'read').slice(0, 1), 'every-kind': SAMPLES, 'several-files': [...SAMPLES, ...SAMPLES],
};

interface Judged { verifier: string; leaves: string[]; checkpoints: string[] }

/** What the verifier that shares nothing with the server says of each log. */
const second = (logs: readonly Judged[]): string[] =>
  logs.length === 0 ? [] : (JSON.parse(execFileSync(process.execPath, ['test/log/second-verifier.mjs'], { input: JSON.stringify({ logs }), encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'], maxBuffer: 2 ** 28 })) as string[][]).map((verdicts) => verdicts.join());

function judged(folder: string): Judged {
  const { end, files, keys } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as ExportManifest;
  const leaves = files.flatMap(({ name }) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n')).map((line) => readRow(line)?.text ?? '');
  return { verifier: keys[0]?.verifier ?? '', leaves, checkpoints: [end.checkpoint] };
}

const keyOf = ({ verifier }: Judged): NoteVerifier => readVerifier(verifier) as NoteVerifier;

describe('golden logs', () => {
  it.each(Object.entries(GOLDEN_LOGS))('%s is sound for both verifiers, for ever', async (name, events) => {
    const folder = join(GOLDEN, name);
    if (process.env['UPDATE_GOLDEN'] === '1' && !existsSync(folder)) makeLog(folder, events, generateKeyPairSync('ed25519'), 40);
    const log = judged(folder);
    expect(await verifyExport(folder, [keyOf(log)])).toMatchObject({ findingCount: 0, findings: [], keyGiven: true });
    expect(second([log])).toEqual(['sound']);
  });

  it('have their samples', () => { expect(readdirSync(GOLDEN).sort()).toEqual(Object.keys(GOLDEN_LOGS).sort()); });
});

describe('a thousand logs', () => {
  it('raise no alarm while they are sound, and each is found by both verifiers when one text in it is another', async () => {
    const key = generateKeyPairSync('ed25519');
    const events = fc.sample(anyAccessEvent, { numRuns: 400, seed: 7 });
    const [sound, changed]: [Judged[], Judged[]] = [[], []];
    let alarms = 0;
    const unfound: number[] = [];
    for (let at = 0; at < 1_000; at += 1) {
      const folder = join(parent, 'log');
      const { leaves, manifest } = makeLog(folder, Array.from({ length: 1 + (at % 23) }, (_, position) => events[(at * 31 + position * 7) % events.length] as (typeof events)[number]), key, 8);
      const log = judged(folder);
      sound.push(log);
      alarms += (await verifyExport(folder, [keyOf(log)])).findingCount;
      const place = (at * 7_919) % leaves.length;
      const file = manifest.files[Math.floor(place / 8)] as ExportManifest['files'][number];
      const lines = readFileSync(join(folder, file.name), 'utf8').split('\n');
      const row = JSON.parse(lines[place % 8] ?? '{}') as { text: string };
      lines[place % 8] = JSON.stringify({ ...row, text: `${row.text} ` });
      writeFileSync(join(folder, file.name), lines.join('\n'));
      changed.push(judged(folder));
      const { findings } = await verifyExport(folder, [keyOf(log)]);
      if (!findings.some(({ leaves: range, kind }) => kind === 'row-changed' && range?.start === place)) unfound.push(at);
      rmSync(folder, { recursive: true });
    }
    expect({ alarms, unfound }).toEqual({ alarms: 0, unfound: [] });
    expect(new Set(second(sound))).toEqual(new Set(['sound']));
    expect(new Set(second(changed))).toEqual(new Set(['another tree']));
  }, 180_000);
});
