// Long values of base64 are taken out of an XML text before a parser reads it character by character, and put back into what
// was read: none of their characters means anything to XML.

/** Stands for a value, with its number between two of them; a text that has it itself is left as it is. */
const MARK = '\ue000';
const MARKED = /\ue000([0-9]+)\ue000/g;
/** Shorter ones cost no more than the search for them. */
const LENGTH_MIN = 65_536;
/** A search for one foreign character needs no memory of what it passed, whatever the length. */
const FOREIGN = /[^A-Za-z0-9+/=]/g;

export class LongValues {
  /** The text without them. */
  readonly text: string;
  private readonly values: { value: string; at: number; token: string }[] = [];

  constructor(text: string) {
    if (text.length < LENGTH_MIN || text.includes(MARK)) {
      this.text = text;
      return;
    }
    let short = '';
    let done = 0;
    for (let open = text.indexOf('"'); open >= 0;) {
      const close = text.indexOf('"', open + 1);
      if (close < 0) break;
      if (close - open > LENGTH_MIN && isBase64(text, open + 1, close)) {
        short += text.slice(done, open + 1);
        const token = `${MARK}${this.values.length}${MARK}`;
        this.values.push({ value: text.slice(open + 1, close), at: short.length, token });
        short += token;
        done = close;
      }
      open = close;
    }
    this.text = short + text.slice(done);
  }

  /** What was read, with its values. */
  restore(read: string): string {
    if (this.values.length === 0 || !read.includes(MARK)) return read;
    return read.replace(MARKED, (token, index: string) => this.values[Number(index)]?.value ?? token);
  }

  /** How many characters stood before the place `at` of the short text, from the place `from` on, that are not in it. */
  lengthBetween(from: number, at: number): number {
    return this.values.reduce((sum, one) => (one.at >= from && one.at + one.token.length <= at ? sum + one.value.length - one.token.length : sum), 0);
  }
}

function isBase64(text: string, start: number, end: number): boolean {
  FOREIGN.lastIndex = start;
  const found = FOREIGN.exec(text);
  return found === null || found.index >= end;
}
