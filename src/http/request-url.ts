// The URL of a request in its parts.

/** Path and query, without the question mark. */
export function splitUrl(url: string): [string, string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

/** Path segments below the base; undefined when the percent-encoding is broken or a control character hides in it. */
export function segmentsOf(path: string): string[] | undefined {
  try {
    const segments = path.split('/').filter((segment) => segment !== '').map(decodeURIComponent);
    return segments.some((segment) => /[\u0000-\u001f\u007f]/.test(segment)) ? undefined : segments;
  } catch {
    return undefined;
  }
}

/** Names and values of a query; undefined when the percent-encoding is broken. */
export function queryOf(search: string): [string, string][] | undefined {
  try {
    decodeURIComponent(search.replaceAll('+', ' '));
    return [...new URLSearchParams(search)];
  } catch {
    return undefined;
  }
}
