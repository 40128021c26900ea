// A verifier of its own: RFC 9162 2.1.1 as it is written, recursively, and notes by WebCrypto. It shares nothing with the server.
// Standard input: {verifier, leaves: [text], checkpoints: [note]}, or {logs: [such]}; standard output: the verdict on each checkpoint.
import { webcrypto } from 'node:crypto';
import { text } from 'node:stream/consumers';

const sha256 = async (...parts) => Buffer.from(await webcrypto.subtle.digest('SHA-256', Buffer.concat(parts.map((part) => Buffer.from(part)))));

async function treeHash(leaves) {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return sha256([0], leaves[0]);
  const split = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1);
  return sha256([1], await treeHash(leaves.slice(0, split)), await treeHash(leaves.slice(split)));
}

async function verdict(note, leaves, name, id, key) {
  const [body, signatures] = [note.slice(0, note.indexOf('\n\n') + 1), note.slice(note.indexOf('\n\n') + 2)];
  const [origin, size, root] = body.split('\n');
  const line = signatures.split('\n').find((one) => one.startsWith(`— ${name} `));
  const signature = Buffer.from(line?.split(' ')[2] ?? '', 'base64');
  if (signature.subarray(0, 4).toString('hex') !== id || origin !== name) return 'another key or log';
  if (!await webcrypto.subtle.verify('Ed25519', key, signature.subarray(4), Buffer.from(body))) return 'not signed';
  if (Number(size) > leaves.length) return 'leaves missing';
  return (await treeHash(leaves.slice(0, Number(size)))).toString('base64') === root ? 'sound' : 'another tree';
}

async function verdicts({ verifier, leaves, checkpoints }) {
  const [name, id, encoded] = [verifier.split('+')[0], verifier.split('+')[1], verifier.split('+').slice(2).join('+')];
  const key = await webcrypto.subtle.importKey('raw', Buffer.from(encoded, 'base64').subarray(1), 'Ed25519', false, ['verify']);
  const said = [];
  for (const note of checkpoints) said.push(await verdict(note, leaves, name, id, key));
  return said;
}

const input = JSON.parse(await text(process.stdin));
const all = [];
for (const log of input.logs ?? []) all.push(await verdicts(log));
process.stdout.write(JSON.stringify(input.logs === undefined ? await verdicts(input) : all));
