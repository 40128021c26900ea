// Text of a request as the record may show it: never a credential (IHE BALP 3.1), and a string of R4.

const CREDENTIALS: readonly [RegExp, string][] = [
  [/\b(?:bearer|basic|dpop)(?:\s|%20|\+)+[^\s&"',;]+/gi, '[credentials]'],
  // A JSON Web Token begins with the base64url of `{"`.
  [/eyJ[\w-]{4,}(?:(?:\.|%2e)[\w-]*)*/gi, '[token]'],
  [/((?:^|[?&;])(?:access_token|id_token|refresh_token|token|client_secret|client_assertion|assertion|code_verifier|password)=)[^&;\s]+/gi, '$1[token]'],
  // The path of a signed file is the credential itself.
  [/^(\/?files\/)[^/?#\s]+/i, '$1[token]'],
];

const PLAIN = /^[\w.@-]+$/;

/** The text with tokens, passwords and the like taken out, in a URL, a form body or a sentence. */
export function withoutCredentials(text: string): string {
  return CREDENTIALS.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), text);
}

/** The text as an R4 string (`[ \r\n\t\S]+`, no control character), without credentials; undefined when nothing is left. */
export function shownText(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  // Most texts are names and ids, in which nothing of all this can be.
  if (PLAIN.test(text) && !/eyJ/i.test(text)) return text;
  const printable = withoutCredentials(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '\ufffd').replace(/[^ \r\n\t\S]/g, ' ');
  return printable.trim() === '' ? undefined : printable;
}

/** The text as an R4 uri, in which white space has no place. */
export function shownUri(text: string | undefined): string | undefined {
  return shownText(text)?.replace(/\s/g, encodeURIComponent);
}
