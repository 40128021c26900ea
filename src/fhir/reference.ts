// Literal references (R4 references.html): relative, absolute and versioned forms of one resource have one key.

export interface LocalReference {
  type: string;
  id: string;
  version?: string;
}

export const ID_PATTERN = /^[A-Za-z0-9\-.]{1,64}$/;

const RELATIVE = /^([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/([A-Za-z0-9\-.]{1,64}))?$/;

/** http and https of one address are the same server (R4 http.html 3.1.0.1.1). */
function withoutScheme(url: string): string {
  return url.replace(/^https?:(?=\/\/)/, '');
}

/** The reference when it points into this server's base (or is relative), else undefined. */
export function parseLocalReference(text: string, fhirBase: string): LocalReference | undefined {
  const base = `${withoutScheme(fhirBase)}/`;
  const bare = withoutScheme(text);
  const match = RELATIVE.exec(bare.startsWith(base) ? bare.slice(base.length) : text);
  if (match === null) return undefined;
  const [, type = '', id = '', version] = match;
  return version === undefined ? { type, id } : { type, id, version };
}

/** The key under which a reference is indexed and searched: `Type/id` here, the address without scheme elsewhere. */
export function referenceKey(text: string, fhirBase: string): string {
  const local = parseLocalReference(text, fhirBase);
  if (local !== undefined) return `${local.type}/${local.id}`;
  return withoutScheme(text).replace(/\/_history\/[A-Za-z0-9\-.]{1,64}$/, '');
}
