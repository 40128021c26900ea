// A Binary as FHIR JSON or XML: its stored text with `data` at the end, encoded while the bytes pass, so that memory does not
// grow with the file.
import { parseJson, type JsonObject } from '../fhir/json.ts';
import { printXml } from '../fhir/print-xml.ts';

/** The text around the base64, and the text of a Binary without any: zero bytes have no data, for R4 has no empty string. */
export interface Base64Frame {
  before: string;
  after: string;
  empty: string;
}

/** `text` must be a JSON object without data. */
export function jsonFrame(text: string): Base64Frame {
  return { before: `${text.slice(0, -1)},"data":"`, after: '"}', empty: text };
}

/** In XML data is the last element of a Binary too. */
export function xmlFrame(text: string): Base64Frame {
  const empty = printXml(parseJson(text) as JsonObject);
  const end = empty.lastIndexOf('</');
  return { before: `${empty.slice(0, end)}<data value="`, after: `"/>${empty.slice(end)}`, empty };
}

/** Bytes of the text that base64Resource gives for `size` bytes of content. */
export function base64ResourceLength(frame: Base64Frame, size: number): number {
  if (size === 0) return Buffer.byteLength(frame.empty);
  return Buffer.byteLength(frame.before) + Math.ceil(size / 3) * 4 + Buffer.byteLength(frame.after);
}

export async function* base64Resource(frame: Base64Frame, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let carry = Buffer.alloc(0);
  let started = false;
  for await (const chunk of bytes) {
    const joined = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    const whole = joined.length - (joined.length % 3);
    carry = Buffer.from(joined.subarray(whole));
    const encoded = joined.toString('base64', 0, whole);
    yield Buffer.from(started ? encoded : frame.before + encoded, started ? 'latin1' : 'utf8');
    started = true;
  }
  yield Buffer.from(started ? carry.toString('base64') + frame.after : frame.empty, 'utf8');
}
