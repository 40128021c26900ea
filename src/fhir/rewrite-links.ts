// Links between the entries of a transaction (R4 http.html 3.1.0.11.2): every Reference, uri, url, oid and uuid, and the
// href and src of narratives, that names an entry gets the address that the entry has now. A canonical names a
// definition and stays.
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { isResourceType, structureOf, type ElementRule } from './structure.ts';

/** The new text of a link; undefined leaves it as it is. `expression` is where it stands. */
export type Rewrite = (link: string, kind: 'reference' | 'uri', expression: string) => string | undefined;

const LINKS = new Set(['uri', 'url', 'oid', 'uuid']);
const XHTML_LINK = /(\s(?:href|src)\s*=\s*)("[^"<]*"|'[^'<]*')/g;

/** Rewrites the links of `resource` where they stand. */
export function rewriteLinks(resource: JsonObject, type: string, rewrite: Rewrite): void {
  if (isResourceType(type)) walk(resource, type, type, rewrite);
}

function walk(object: JsonObject, structure: string, path: string, rewrite: Rewrite): void {
  const { elements } = structureOf(structure);
  for (const name of Object.keys(object)) {
    const rule = elements.get(name);
    const value = object[name];
    if (rule === undefined || value === undefined) continue;
    const expression = `${path}.${rule.path}`;
    if (Array.isArray(value)) value.forEach((item, at) => { value[at] = rewritten(item, rule, structure, `${expression}[${at}]`, rewrite); });
    else object[name] = rewritten(value, rule, structure, expression, rewrite);
  }
}

function rewritten(value: JsonValue, rule: ElementRule, structure: string, expression: string, rewrite: Rewrite): JsonValue {
  if (typeof value === 'string') {
    if (structure === 'Reference' && rule.name === 'reference') return rewrite(value, 'reference', expression) ?? value;
    if (LINKS.has(rule.type) && rule.name !== 'implicitRules') return rewrite(value, 'uri', expression) ?? value;
    return rule.type === 'xhtml' ? rewriteXhtml(value, expression, rewrite) : value;
  }
  if (!isJsonObject(value)) return value;
  const inner = rule.type === 'Resource' ? value['resourceType'] : rule.type;
  if (typeof inner === 'string' && (rule.type !== 'Resource' || isResourceType(inner))) walk(value, inner, expression, rewrite);
  return value;
}

function rewriteXhtml(xhtml: string, expression: string, rewrite: Rewrite): string {
  return xhtml.replace(XHTML_LINK, (whole, head: string, quoted: string) => {
    const link = rewrite(quoted.slice(1, -1), 'uri', expression);
    return link === undefined ? whole : `${head}${quoted[0]}${link}${quoted[0]}`;
  });
}
