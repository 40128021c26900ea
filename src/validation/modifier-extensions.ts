// THE TABLE of modifier extensions that this server knows (http://hl7.org/fhir/R4/extensibility.html#modifierExtension):
// one that is not here could turn the meaning of what is stored, so a resource that holds it is refused.

/** By url: what the extension changes, and why the server may process a resource that has it. R4 defines none for what is stored here. */
export const KNOWN_MODIFIER_EXTENSIONS: ReadonlyMap<string, string> = new Map();

export function isKnownModifierExtension(url: string): boolean {
  return KNOWN_MODIFIER_EXTENSIONS.has(url);
}
