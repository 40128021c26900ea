// Two implementations of one log agree: on what is sound, and on what is not.
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { leafHash } from '../../src/audit/access-event.ts';
import { printVerifier, signCheckpoint } from '../../src/audit/checkpoint.ts';
import { appendLeaves, EMPTY_TREE, treeRoot } from '../../src/audit/merkle-log.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const NAME = 'muniment.example/log/second';
const verifier = printVerifier({ name: NAME, publicKey: createPublicKey(privateKey) });
const SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 255, 256, 257];
const LEAVES = Array.from({ length: 257 }, (_, at) => `{"event":${at},"name":"Müller \u2014"}`);

const notesOf = (leaves: readonly string[], key = privateKey): string[] =>
  SIZES.map((size) => signCheckpoint({ origin: NAME, size, root: treeRoot(appendLeaves(EMPTY_TREE, leaves.slice(0, size).map(leafHash))) }, key));

const judged = (leaves: readonly string[], checkpoints: readonly string[]): string[] =>
  JSON.parse(execFileSync(process.execPath, ['test/log/second-verifier.mjs'], { input: JSON.stringify({ verifier, leaves, checkpoints }), encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] })) as string[];

it('a verifier that shares nothing with the server finds the checkpoints of the server sound, and says of each tampered one what is wrong', () => {
  const notes = notesOf(LEAVES);
  expect(judged(LEAVES, notes)).toEqual(SIZES.map(() => 'sound'));
  const edited = LEAVES.map((leaf, at) => (at === 8 ? `${leaf} ` : leaf));
  expect(judged(edited, notes)).toEqual(SIZES.map((size) => (size > 8 ? 'another tree' : 'sound')));
  expect(judged(LEAVES.slice(0, 100), notes)).toEqual(SIZES.map((size) => (size > 100 ? 'leaves missing' : 'sound')));
  expect(judged(LEAVES, notes.map((note) => note.replace(/\n\d+\n/, '\n6\n')))).toEqual(SIZES.map(() => 'not signed'));
  expect(judged(LEAVES, notesOf(LEAVES, generateKeyPairSync('ed25519').privateKey))).toEqual(SIZES.map(() => 'another key or log'));
});
