// Uris as they are compared (R4 search.html 3.1.1.5.7): exactly, but for the two forms of an address of this server.

const RELATIVE = /^[A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/;
const withoutScheme = (uri: string): string => uri.replace(/^https?:(?=\/\/)/, '');

/** The absolute form of an address of this server, whatever its scheme; any other uri as it is. */
export function absoluteUri(uri: string, fhirBase: string): string {
  if (RELATIVE.test(uri)) return `${fhirBase}/${uri}`;
  const bare = withoutScheme(uri);
  return bare !== uri && bare.startsWith(`${withoutScheme(fhirBase)}/`) ? `${fhirBase}${bare.slice(withoutScheme(fhirBase).length)}` : uri;
}

/** A canonical with its version, and without: a search that names no version finds each. */
export function canonicalForms(uri: string): string[] {
  const bar = uri.indexOf('|');
  return bar > 0 ? [uri, uri.slice(0, bar)] : [uri];
}

const isUrl = (uri: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(uri);

/** What `:below` finds: the uri itself, and everything that its path leads to. The path of a URN leads nowhere. */
export function uriBelow(uri: string): { exact: string[]; prefixes: string[] } {
  if (!isUrl(uri)) return { exact: [uri], prefixes: [] };
  return uri.endsWith('/') ? { exact: [uri.slice(0, -1)], prefixes: [uri] } : { exact: [uri], prefixes: [`${uri}/`] };
}

/** What `:above` finds: the uri itself, and what it lies below. */
export function uriAbove(uri: string): string[] {
  const found = [uri];
  if (!isUrl(uri)) return found;
  const start = uri.indexOf('://') + 3;
  for (let slash = uri.lastIndexOf('/'); slash >= start; slash = uri.lastIndexOf('/', slash - 1)) found.push(uri.slice(0, slash + 1), uri.slice(0, slash));
  return [...new Set(found)];
}

/** What `:below` finds of media types: text/xml with its parameters; `text`, `text/` and text/* all of them. */
export function mimeBelow(type: string): { exact: string[]; prefixes: string[] } {
  const family = /^([^/;]+)(?:\/\*?)?$/.exec(type)?.[1];
  return family === undefined ? { exact: [type], prefixes: [`${type};`, `${type} `] } : { exact: [family], prefixes: [`${family}/`] };
}

/** What `:above` finds of media types: the type itself, without its parameters, and its family. */
export function mimeAbove(type: string): string[] {
  const [bare = type] = type.split(/\s*;/);
  return [...new Set([type, bare, `${bare.split('/')[0] ?? ''}/*`])];
}
