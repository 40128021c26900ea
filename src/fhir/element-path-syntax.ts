// The syntax of the FHIRPath subset that patches use (http://hl7.org/fhirpath/N1, grammar): text to steps. Bounded, and
// nothing of it is ever evaluated as code.
import { fhirError } from './fhir-error.ts';
import { JsonNumber, type JsonValue } from './json.ts';

export type PathStep =
  | { kind: 'name'; name: string; argument?: undefined }
  | { kind: 'function'; name: string; argument: PathExpression | undefined }
  | { kind: 'index'; index: number };

export type PathExpression =
  | { kind: 'path'; steps: PathStep[] }
  | { kind: 'literal'; value: JsonValue }
  | { kind: 'operator'; operator: '=' | '!=' | 'and' | 'or'; left: PathExpression; right: PathExpression };

const CHARACTERS_MAX = 2_000;
const DEPTH_MAX = 16;
const TOKEN = /\s*(?:('(?:[^'\\]|\\.)*')|(`(?:[^`\\]|\\.)+`)|(-?(?:0|[1-9]\d*)(?:\.\d+)?)|(\$this|[A-Za-z_][A-Za-z0-9_]*)|(!=|[=.()[\]]))/y;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', f: '\f' };

interface Token {
  kind: 'string' | 'quoted' | 'number' | 'name' | 'sign' | 'end';
  text: string;
}

const fault = (text: string): Error => fhirError('structure', `The path of a patch cannot be read: ${text}`);

function unescape(text: string): string {
  return text.slice(1, -1).replace(/\\(?:u([0-9A-Fa-f]{4})|(.))/gs, (_, code: string | undefined, character: string | undefined) =>
    (code === undefined ? ESCAPES[character ?? ''] ?? character ?? '' : String.fromCharCode(Number.parseInt(code, 16))));
}

function tokensOf(text: string): Token[] {
  if (text.length > CHARACTERS_MAX) throw fault(`it may have ${CHARACTERS_MAX} characters`);
  const tokens: Token[] = [];
  for (let at = 0; text.slice(at).trim() !== '';) {
    TOKEN.lastIndex = at;
    const [, string, quoted, number, name, sign] = TOKEN.exec(text) ?? [];
    if (TOKEN.lastIndex === 0) throw fault(`at ${JSON.stringify(text.slice(at, at + 20))}`);
    at = TOKEN.lastIndex;
    if (string !== undefined) tokens.push({ kind: 'string', text: unescape(string) });
    else if (quoted !== undefined) tokens.push({ kind: 'quoted', text: unescape(quoted) });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else tokens.push(name === undefined ? { kind: 'sign', text: sign ?? '' } : { kind: 'name', text: name });
  }
  return tokens;
}

class PathReader {
  private at = 0;
  private depth = 0;
  private readonly tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  whole(): PathExpression {
    const expression = this.operators(['or']);
    if (this.peek().kind !== 'end') throw fault(`${this.peek().text.slice(0, 20)} is not expected there`);
    return expression;
  }

  private peek(): Token {
    return this.tokens[this.at] ?? { kind: 'end', text: 'the end' };
  }

  private isSign(text: string): boolean {
    const token = this.peek();
    return token.kind === 'sign' && token.text === text;
  }

  private expect(text: string): void {
    if (!this.isSign(text)) throw fault(`${text} is missing before ${this.peek().text.slice(0, 20)}`);
    this.at += 1;
  }

  /** `or` binds weaker than `and`, `and` weaker than the comparisons. */
  private operators(names: ['or'] | ['and'] | ['=', '!=']): PathExpression {
    const operand = (): PathExpression => (names[0] === 'or' ? this.operators(['and']) : names[0] === 'and' ? this.operators(['=', '!=']) : this.term());
    let left = operand();
    for (;;) {
      const { kind, text } = this.peek();
      const operator = (names as readonly string[]).includes(text) && (kind === 'name' || kind === 'sign') ? text as (typeof names)[number] : undefined;
      if (operator === undefined) return left;
      this.at += 1;
      left = { kind: 'operator', operator, left, right: operand() };
    }
  }

  private term(): PathExpression {
    this.depth += 1;
    if (this.depth > DEPTH_MAX) throw fault('it is nested too deep');
    try {
      const token = this.peek();
      if (token.kind === 'string') { this.at += 1; return { kind: 'literal', value: token.text }; }
      if (token.kind === 'number') { this.at += 1; return { kind: 'literal', value: new JsonNumber(token.text) }; }
      if (token.kind === 'name' && (token.text === 'true' || token.text === 'false')) { this.at += 1; return { kind: 'literal', value: token.text === 'true' }; }
      if (this.isSign('(')) return this.parenthesis();
      return { kind: 'path', steps: this.steps() };
    } finally {
      this.depth -= 1;
    }
  }

  private parenthesis(): PathExpression {
    this.expect('(');
    const inner = this.operators(['or']);
    this.expect(')');
    if (!this.isSign('.') && !this.isSign('[')) return inner;
    if (inner.kind !== 'path') throw fault('only a path goes on after a parenthesis');
    return { kind: 'path', steps: [...inner.steps, ...this.further()] };
  }

  private steps(): PathStep[] {
    return [...this.invocation(), ...this.further()];
  }

  private further(): PathStep[] {
    const steps: PathStep[] = this.indexes();
    while (this.isSign('.')) {
      this.at += 1;
      steps.push(...this.invocation());
    }
    return steps;
  }

  private invocation(): PathStep[] {
    const token = this.peek();
    if (token.kind !== 'name' && token.kind !== 'quoted') throw fault(`a name is missing before ${token.text.slice(0, 20)}`);
    this.at += 1;
    if (!this.isSign('(')) return [{ kind: 'name', name: token.text }, ...this.indexes()];
    this.at += 1;
    const argument = this.isSign(')') ? undefined : this.operators(['or']);
    this.expect(')');
    return [{ kind: 'function', name: token.text, argument }, ...this.indexes()];
  }

  private indexes(): PathStep[] {
    const steps: PathStep[] = [];
    while (this.isSign('[')) {
      this.at += 1;
      const token = this.peek();
      if (token.kind !== 'number' || !/^\d{1,9}$/.test(token.text)) throw fault('an index is a whole number');
      this.at += 1;
      this.expect(']');
      steps.push({ kind: 'index', index: Number(token.text) });
    }
    return steps;
  }
}

/** Raises 400 `structure` for what is not in the subset. */
export function parsePath(text: string): PathExpression {
  return new PathReader(tokensOf(text)).whole();
}
