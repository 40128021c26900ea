// Entity tags (R4 http.html 3.1.0.5): W/"version" for resources; for raw bytes a strong one with version and digest.

export function versionTag(version: number): string {
  return `W/"${version}"`;
}

export function bytesTag(version: number, sha256: Buffer): string {
  return `"${version}.${sha256.toString('hex')}"`;
}

/** The tags of If-Match or If-None-Match; clients send W/"1", "1" and 1. */
export function parseTags(header: string): string[] {
  return header.split(',').map((tag) => tag.trim().replace(/^W\//, '').replace(/^"(.*)"$/, '$1')).filter((tag) => tag !== '');
}

/** True when one of the tags, or `*`, names this version; the tag of bytes counts by its version. */
export function matchesVersion(header: string, version: number): boolean {
  return parseTags(header).some((tag) => tag === '*' || tag.split('.')[0] === String(version));
}
