// A single byte range (RFC 9110 14.1.2 and 14.2). Several ranges, another unit or bad syntax mean: no range was asked for,
// which a server may say of any; the whole is then one answer whose digest the client can check.

export type ByteRange = { kind: 'whole' } | { kind: 'part'; start: number; length: number } | { kind: 'unsatisfiable' };

const WHOLE: ByteRange = { kind: 'whole' };

/** The one range that a header names; a list may have empty members (RFC 9110 5.6.1). */
function onlyMember(header: string | undefined): string | undefined {
  const list = header === undefined ? undefined : /^bytes=(.*)$/is.exec(header.trim())?.[1];
  const members = list?.split(',').map((member) => member.trim()).filter((member) => member !== '');
  return members?.length === 1 ? members[0] : undefined;
}

export function parseByteRange(header: string | undefined, size: number): ByteRange {
  const match = /^(\d*)-(\d*)$/.exec(onlyMember(header) ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return WHOLE;
  const [, first = '', last = ''] = match;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? { kind: 'unsatisfiable' } : { kind: 'part', start: size - length, length };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && BigInt(last) < BigInt(first)) return WHOLE;
  return start >= size ? { kind: 'unsatisfiable' } : { kind: 'part', start, length: end - start + 1 };
}
