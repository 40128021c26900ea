// A Binary as FHIR JSON: its stored text with `data` at the end, encoded while the bytes pass, so that memory does not
// grow with the file.

const HEAD_TAIL = ',"data":""}'.length - 1;

/** Length of the text that base64Resource gives for `size` bytes. */
export function base64ResourceLength(text: string, size: number): number {
  const head = Buffer.byteLength(text);
  return size === 0 ? head : head + HEAD_TAIL + Math.ceil(size / 3) * 4;
}

/** `text` must be a JSON object without data. Zero bytes have no data: R4 has no empty string. */
export async function* base64Resource(text: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let carry = Buffer.alloc(0);
  let started = false;
  for await (const chunk of bytes) {
    const joined = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    const whole = joined.length - (joined.length % 3);
    carry = Buffer.from(joined.subarray(whole));
    const encoded = joined.toString('base64', 0, whole);
    yield Buffer.from(started ? encoded : `${text.slice(0, -1)},"data":"${encoded}`, started ? 'latin1' : 'utf8');
    started = true;
  }
  if (started) yield Buffer.from(`${carry.toString('base64')}"}`, 'latin1');
  else yield Buffer.from(text, 'utf8');
}
