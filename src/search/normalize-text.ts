// Text as string searches compare it (R4 search.html 3.1.1.5.3): without case, accents and the amount of white space.

const MARKS = /\p{M}+/gu;
const SPACES = /\s+/gu;

/** Compatibility form, marks off, lower case, one blank between words. Twice the same is once. */
export function normalizeText(text: string): string {
  return text.normalize('NFKD').replace(MARKS, '').toLowerCase().normalize('NFKD').replace(MARKS, '').replace(SPACES, ' ').trim();
}

/** Letters of a text that an index row holds; a page of a B-tree has no room for more. */
export const INDEXED_LENGTH = 400;

/** The beginning that an index row holds. Never ends within a surrogate pair. */
export function indexedBeginning(text: string): string {
  if (text.length <= INDEXED_LENGTH) return text;
  const cut = text.charCodeAt(INDEXED_LENGTH - 1);
  return text.slice(0, cut >= 0xd800 && cut <= 0xdbff ? INDEXED_LENGTH - 1 : INDEXED_LENGTH);
}
