import { afterEach, describe, expect, it } from '@jest/globals';
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { createPictureMaker, PICTURE_LIMITS, PictureError, type PictureMaker, type PictureWish } from '../../src/content/pictures.ts';

const WHOLE: PictureWish = { edge: 256, shape: 'whole', form: 'webp' };
const SQUARE: PictureWish = { edge: 96, shape: 'square', form: 'jpeg' };

let maker: PictureMaker | undefined;
afterEach(async () => { await maker?.stop(); });

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
}

const draw = (bytes: Buffer, wishes: PictureWish[] = [WHOLE]): ReturnType<PictureMaker['draw']> => (maker as PictureMaker).draw(pieces(bytes), bytes.length, wishes);
const failure = async (work: Promise<unknown>): Promise<PictureError> => work.then(() => { throw new Error('It succeeded'); }, (error: unknown) => error as PictureError);
const photo = (width: number, height: number): Sharp => sharp({ create: { width, height, channels: 3, background: '#336699' } });

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** A PNG of little size that unfolds to as many pixels as one likes, of one bit each, or of 32 where it must be held whole. */
function bomb(width: number, height: number, interlaced = false): Buffer {
  const row = interlaced ? width * 4 + 1 : Math.ceil(width / 8) + 1;
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set(interlaced ? [8, 6, 0, 0, 1] : [1, 0, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.alloc(row * height))), chunk('IEND', Buffer.alloc(0))]);
}

describe('the process that draws', () => {
  it('makes pictures of JPEG, PNG and WebP, upright and without metadata, and shows them whole or as a square', async () => {
    maker = createPictureMaker();
    const turned = await photo(400, 200).withExif({ IFD0: { Artist: 'A name' } }).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const [whole, square] = await draw(turned, [WHOLE, SQUARE]);
    expect(await sharp(whole?.bytes).metadata()).toMatchObject({ format: 'webp', width: 128, height: 256 });
    expect(await sharp(square?.bytes).metadata()).toMatchObject({ format: 'jpeg', width: 96, height: 96 });
    for (const picture of [whole, square]) {
      const { exif, orientation } = await sharp(picture?.bytes).metadata();
      expect([exif, orientation]).toEqual([undefined, undefined]);
    }
    for (const bytes of [await photo(300, 300).png().toBuffer(), await photo(300, 300).webp().toBuffer()]) {
      expect((await draw(bytes))[0]).toMatchObject({ width: 256, height: 256 });
    }
    expect((await draw(await photo(10, 20).png().toBuffer()))[0]).toMatchObject({ width: 10, height: 20 });
  });

  it('tells what is wrong with a truncated image, one of too many pixels and one of another format, and draws the next', async () => {
    maker = createPictureMaker();
    const good = await sharp({ create: { width: 800, height: 800, channels: 3, background: '#000', noise: { type: 'gaussian', mean: 128, sigma: 60 } } }).jpeg().toBuffer();
    for (const bad of [
      good.subarray(0, good.length / 2), bomb(12_000, 12_000), Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), Buffer.from('no image'), good.subarray(0, 20),
      await photo(9, 9).gif().toBuffer(), await photo(9, 9).tiff().toBuffer(),
    ]) {
      expect(await failure(draw(bad))).toMatchObject({ kind: 'image', message: expect.stringMatching(/./) });
    }
    expect((await draw(good))[0]).toMatchObject({ width: 256 });
  });

  it('is ended when an image takes too long or too much memory, and those beside it are drawn by the next', async () => {
    maker = createPictureMaker({ ...PICTURE_LIMITS, timeMs: 3_000 });
    const small = await photo(50, 50).png().toBuffer();
    const large = await photo(9_000, 9_000).png().toBuffer();
    const slow = failure(draw(large, Array.from({ length: 500 }, () => SQUARE)));
    expect(await failure(draw(small))).toMatchObject({ kind: 'process' });
    expect(await slow).toMatchObject({ kind: 'limit', message: 'It takes more than 3 s' });
    expect((await draw(small))[0]).toMatchObject({ width: 50 });
    await maker.stop();
    maker = createPictureMaker({ ...PICTURE_LIMITS, memoryBytes: 170 * 1024 * 1024 });
    expect(await failure(draw(bomb(6_000, 6_000, true)))).toMatchObject({ kind: 'limit', message: 'It takes more than 170 MiB of memory' });
    expect((await draw(small))[0]).toMatchObject({ width: 50 });
  });

  it('takes nothing more once it was stopped', async () => {
    maker = createPictureMaker();
    await maker.stop();
    expect(await failure(draw(await photo(5, 5).png().toBuffer()))).toMatchObject({ kind: 'process' });
  });
});
