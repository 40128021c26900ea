import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hash } from 'node:crypto';
import { appendLeaves, consistencyRanges, EMPTY_TREE, fullSubtrees, inclusionRanges, isTreeHead, nodeHash, treeRoot, verifyConsistency, verifyInclusion, type LeafRange } from '../../src/audit/merkle-log.ts';

const leaf = (bytes: Uint8Array): Buffer => hash('sha256', Buffer.concat([Buffer.from([0]), bytes]), 'buffer');

// The leaves and roots of the reference implementation of RFC 6962 (certificate-transparency, merkle_tree_test).
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) => leaf(Buffer.from(hex, 'hex')));
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** The definition of RFC 9162 2.1.1, word by word. */
function plainRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return hash('sha256', '', 'buffer');
  if (leaves.length === 1) return leaves[0] as Buffer;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(plainRoot(leaves.slice(0, split)), plainRoot(leaves.slice(split)));
}

const leavesOf = (count: number): Buffer[] => Array.from({ length: count }, (_, index) => leaf(Buffer.from(String(index))));
const rootsOf = (leaves: readonly Buffer[], ranges: readonly LeafRange[]): Buffer[] => ranges.map(({ start, end }) => plainRoot(leaves.slice(start, end)));
const SIZE = fc.integer({ min: 1, max: 70 });

describe('the Merkle tree', () => {
  test.each(ROOTS.map((root, size) => [size, root] as const))('has the published root at %i leaves', (size, root) => {
    expect(treeRoot(appendLeaves(EMPTY_TREE, INPUTS.slice(0, size))).toString('hex')).toBe(root);
  });

  test.each([
    [0, 1, []],
    [0, 8, ['96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7', '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e', '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4']],
    [5, 8, ['bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b', 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0', 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7']],
    [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
    [1, 5, ['6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e', 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b']],
  ])('gives the published inclusion proof of leaf %i in %i leaves', (index, size, proof) => {
    expect(rootsOf(INPUTS, inclusionRanges(index, size)).map((node) => node.toString('hex'))).toEqual(proof);
  });

  test.each([
    [1, 1, []],
    [1, 8, ['96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7', '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e', '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4']],
    [6, 8, ['0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a', 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0', 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7']],
    [2, 5, ['5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e', 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b']],
  ])('gives the published consistency proof from %i to %i leaves', (first, second, proof) => {
    expect(rootsOf(INPUTS, consistencyRanges(first, second)).map((node) => node.toString('hex'))).toEqual(proof);
  });

  test('has the root of its definition, however its leaves were cut into batches, and says each full subtree once', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 8 }), (batches) => {
      const leaves = leavesOf(batches.reduce((sum, count) => sum + count, 0));
      let head = EMPTY_TREE;
      const told: string[] = [];
      for (const count of batches) {
        head = appendLeaves(head, leaves.slice(head.size, head.size + count), ({ height, position, root }) => {
          expect(root).toEqual(plainRoot(leaves.slice(position * 2 ** height, (position + 1) * 2 ** height)));
          told.push(`${height}/${position}`);
        });
        expect(isTreeHead(head)).toBe(true);
      }
      expect(treeRoot(head)).toEqual(plainRoot(leaves));
      const full = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((height) => Array.from({ length: Math.floor(leaves.length / 2 ** height) }, (_, position) => `${height}/${position}`));
      expect([...told].sort()).toEqual(full.sort());
    }));
  });

  test('proves each leaf of each tree, and nothing else: not another leaf, place, size or root, nor with a proof that was changed, cut or lengthened', () => {
    fc.assert(fc.property(SIZE, fc.nat(), fc.nat(), (size, seed, other) => {
      const leaves = leavesOf(size);
      const index = seed % size;
      const root = plainRoot(leaves);
      const own = leaves[index] as Buffer;
      const proof = rootsOf(leaves, inclusionRanges(index, size));
      expect(verifyInclusion(index, size, own, proof, root)).toBe(true);
      const wrong = leaf(Buffer.from('wrong'));
      expect(verifyInclusion(index, size, wrong, proof, root)).toBe(false);
      expect(verifyInclusion(index, size, own, proof, wrong)).toBe(false);
      expect(verifyInclusion(index, size, own, [...proof, wrong], root)).toBe(false);
      if (proof.length > 0) {
        expect(verifyInclusion(index, size, own, proof.slice(1), root)).toBe(false);
        expect(verifyInclusion(index, size, own, proof.with(other % proof.length, wrong), root)).toBe(false);
      }
      for (let place = 0; place < size; place += 1) if (place !== index) expect(verifyInclusion(place, size, own, proof, root)).toBe(false);
      for (const place of [-1, size, 0.5, Number.NaN]) expect(verifyInclusion(place, size, own, proof, root)).toBe(false);
    }));
  });

  test('proves each beginning of each tree, and nothing else', () => {
    fc.assert(fc.property(SIZE, fc.nat(), fc.nat(), (second, seed, other) => {
      const leaves = leavesOf(second);
      const first = seed % (second + 1);
      const [before, after] = [plainRoot(leaves.slice(0, first)), plainRoot(leaves)];
      const proof = rootsOf(leaves, consistencyRanges(first, second));
      expect(verifyConsistency(first, second, before, after, proof)).toBe(true);
      const wrong = leaf(Buffer.from('wrong'));
      expect(verifyConsistency(first, second, wrong, after, proof)).toBe(false);
      if (first > 0) expect(verifyConsistency(first, second, before, wrong, proof)).toBe(false);
      expect(verifyConsistency(first, second, before, after, [...proof, wrong])).toBe(false);
      if (proof.length > 0) {
        expect(verifyConsistency(first, second, before, after, proof.slice(1))).toBe(false);
        expect(verifyConsistency(first, second, before, after, proof.with(other % proof.length, wrong))).toBe(false);
      }
      expect(verifyConsistency(second + 1, second, before, after, proof)).toBe(false);
    }));
  });

  test('each range of a proof is made of full subtrees joined from the right, also past 32 bits', () => {
    fc.assert(fc.property(SIZE, fc.nat(), (size, seed) => {
      const leaves = leavesOf(size);
      for (const range of inclusionRanges(seed % size, size)) {
        const roots = fullSubtrees(range).map(({ height, position }) => plainRoot(leaves.slice(position * 2 ** height, (position + 1) * 2 ** height)));
        expect(roots.reduceRight((right, left) => nodeHash(left, right))).toEqual(plainRoot(leaves.slice(range.start, range.end)));
      }
    }));
    expect(fullSubtrees({ start: 2 ** 40, end: 2 ** 40 + 3 })).toEqual([{ height: 1, position: 2 ** 39 }, { height: 0, position: 2 ** 40 + 2 }]);
    expect(inclusionRanges(2 ** 40, 2 ** 40 + 1)).toEqual([{ start: 0, end: 2 ** 40 }]);
  });
});
