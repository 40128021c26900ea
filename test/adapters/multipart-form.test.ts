// Forms as streams: what comes out does not depend on how the bytes come in, and no name leads out of a folder.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fileNameOf } from '../../src/adapters/file-name.ts';
import { readMultipart, type ReadForm } from '../../src/adapters/multipart-form.ts';
import type { RequestBody } from '../../src/interactions/interaction.ts';

const LIMITS = { bytesMax: 1_000_000, filesMax: 20, fieldsMax: 20, fieldBytesMax: 1_000 };

function bodyOf(bytes: Buffer, pieceLength: number): RequestBody {
  return {
    contentType: 'multipart/form-data; boundary=b', contentEncoding: undefined, length: bytes.length,
    async* stream() { for (let at = 0; at < bytes.length; at += pieceLength) yield bytes.subarray(at, at + pieceLength); },
    text: async () => '', digest: () => Buffer.alloc(0),
  };
}

const formOf = (files: readonly Buffer[]): Buffer => Buffer.concat([
  Buffer.from('--b\r\nContent-Disposition: form-data; name="n"\r\n\r\nväl\r\n'),
  ...files.flatMap((bytes) => [Buffer.from('--b\r\nContent-Disposition: form-data; name="files"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'), bytes, Buffer.from('\r\n')]),
  Buffer.from('--b--\r\n'),
]);

async function collect(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a form', () => {
  it('gives the same files and fields however it comes in pieces', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 8 }), fc.integer({ min: 1, max: 4_000 }), async (contents, pieceLength) => {
      const files = contents.map((content) => Buffer.from(content));
      fc.pre(!files.some((file) => file.includes('--b')));
      const { fields, files: read } = await readMultipart(bodyOf(formOf(files), pieceLength), LIMITS, (file) => collect(file.bytes));
      expect(fields).toEqual([['n', 'väl']]);
      expect(read).toEqual(files);
    }), { numRuns: 50 });
  });

  it('is read on past a file that nobody takes, and past large ones that wait for their turn', async () => {
    const files = Array.from({ length: 12 }, (_, at) => Buffer.alloc(70_000, at));
    const read: ReadForm<number> = await readMultipart(bodyOf(formOf(files), 65_536), LIMITS, async (file) => (file.index % 2 === 0 ? -1 : (await collect(file.bytes)).length));
    expect(read.files).toEqual(files.map((file, at) => (at % 2 === 0 ? -1 : file.length)));
  });

  it('ends with the first failure, after all that was begun has ended', async () => {
    let running = 0;
    const failing = readMultipart(bodyOf(formOf(Array.from({ length: 8 }, () => Buffer.alloc(70_000, 1))), 1_000), LIMITS, async (file) => {
      running += 1;
      try {
        await collect(file.bytes);
        if (file.index === 3) throw new Error('no room');
      } finally { running -= 1; }
    });
    await expect(failing).rejects.toThrow('no room');
    expect(running).toBe(0);
  });
});

describe('the name of a file', () => {
  it.each([['a.pdf', 'a.pdf'], ['/etc/passwd', 'passwd'], ['..\\..\\a.txt', 'a.txt'], ['..', undefined], ['', undefined], ['a\u202eb.pdf', 'ab.pdf'], ['  a b.pdf ', 'a b.pdf'], ['Müller 你好.pdf', 'Müller 你好.pdf'], [undefined, undefined]])('%j becomes %j', (sent, shown) => {
    expect(fileNameOf(sent)).toBe(shown);
  });

  it.each(['a\u0000b', 'a\nb', 'a\u0085b', 'a\ufffdb', 'a\ud800b'])('%j is refused', (sent) => {
    expect(() => fileNameOf(sent)).toThrow('must be UTF-8 without control characters');
  });
});
