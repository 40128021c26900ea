// If-Match and If-None-Match against the revision of a draft (RFC 9110 13.1): compared as whole tags, weak or not.
const TAG = /(?:W\/)?"([^"]*)"/g;

export function etagMatches(condition: string, revision: number): boolean {
  return condition.trim() === '*' || [...condition.matchAll(TAG)].some(([, tag]) => tag === String(revision));
}
