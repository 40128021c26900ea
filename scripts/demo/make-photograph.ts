// A photograph as a telephone takes it: JPEG, with EXIF that names the camera and says which way is up.
import sharp from 'sharp';

const [WIDTH, HEIGHT] = [1_600, 1_200];
/** EXIF orientation 6: the camera was turned, the picture is shown after a quarter turn clockwise. */
export const ORIENTATION = 6;
export const CAMERA = 'Demo Camera One';

/** Skin with a lesion, roughly: a gradient, a dark spot, and the grain of a sensor. */
function pixels(): Buffer {
  const raw = Buffer.alloc(WIDTH * HEIGHT * 3);
  let grain = 1;
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      grain = (Math.imul(grain, 1_103_515_245) + 12_345) >>> 0;
      const distance = Math.hypot(x - WIDTH * 0.55, (y - HEIGHT * 0.45) * 1.3);
      const shade = (distance < 170 ? 0.45 : 1) * (0.8 + 0.2 * (x / WIDTH)) + ((grain >>> 24) - 128) / 2_500;
      const at = (y * WIDTH + x) * 3;
      raw[at] = Math.min(255, 226 * shade);
      raw[at + 1] = Math.min(255, 178 * shade);
      raw[at + 2] = Math.min(255, 150 * shade);
    }
  }
  return raw;
}

export async function makePhotograph(): Promise<Buffer> {
  return sharp(pixels(), { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .withMetadata({ orientation: ORIENTATION })
    .withExifMerge({ IFD0: { Make: 'Muniment', Model: CAMERA }, IFD2: { DateTimeOriginal: '2024:05:06 07:08:09' } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

export interface PhotographExif {
  orientation: number | undefined;
  namesCamera: boolean;
}

export async function readExif(jpeg: Buffer): Promise<PhotographExif> {
  const { orientation, exif } = await sharp(jpeg).metadata();
  return { orientation, namesCamera: exif?.includes(CAMERA) ?? false };
}
