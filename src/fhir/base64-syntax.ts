// The syntax of base64Binary (RFC 4648 section 4), for values of tens of megabytes: one pass, nothing copied.

/** Outside the alphabet. A search for one such character needs no backtracking, whatever the length. */
const FOREIGN = /[^A-Za-z0-9+/]/;

/** True of complete groups of four with their padding; white space may stand anywhere, as R4's regular expression allows between groups. */
export function isBase64(text: string): boolean {
  const end = text.search(FOREIGN);
  if (end < 0) return text.length % 4 === 0;
  const padding = text.length - end;
  if (text.length % 4 === 0 && (padding === 1 || padding === 2) && text.endsWith('='.repeat(padding))) return true;
  return isSpacedBase64(text, end);
}

const SPACE = 2;
const PAD = 3;

/** 1 = of the alphabet, SPACE, PAD; 0 = foreign. By character code. */
const KIND = new Uint8Array(128);
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/') KIND[character.charCodeAt(0)] = 1;
for (const character of ' \t\n\r') KIND[character.charCodeAt(0)] = SPACE;
KIND['='.charCodeAt(0)] = PAD;

function isSpacedBase64(text: string, from: number): boolean {
  let letters = from;
  let pads = 0;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const kind = code < 128 ? KIND[code] : 0;
    if (kind === PAD) pads++;
    else if (kind === 1 && pads === 0) letters++;
    else if (kind !== SPACE) return false;
  }
  return letters > 0 && pads <= 2 && (letters + pads) % 4 === 0;
}
