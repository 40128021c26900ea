// The Prefer header (RFC 7240): several preferences in a list, several headers joined; the first of a name counts.

/** The value of a preference, in lower case names: `handling` of `return=minimal, handling=strict`. '' when it has none. */
export function preference(header: string | undefined, name: string): string | undefined {
  for (const part of (header ?? '').split(',')) {
    const [, token = '', quoted, bare = ''] = /^\s*([^\s=;]+)\s*(?:=\s*(?:"([^"]*)"|([^\s;]*)))?/.exec(part) ?? [];
    if (token.toLowerCase() === name) return quoted ?? bare;
  }
  return undefined;
}
