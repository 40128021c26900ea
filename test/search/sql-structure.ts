// What the tests of search ask of an SQL text: which tables it reads, what binds them, and what a predicate answers.

export interface TableUse {
  table: string;
  alias: string;
}

/** Every table that the text reads, with its alias. */
export function tableUses(text: string): TableUse[] {
  return [...text.matchAll(/\b(?:from|join) ([a-z_]+) ([a-z]\d*)\b/g)].map((match) => ({ table: match[1] as string, alias: match[2] as string }));
}

/** The value to which `alias.column` is bound by equality; undefined when nothing binds it. */
export function boundValue(text: string, values: readonly unknown[], alias: string, column: string): unknown {
  const match = new RegExp(`\\b${alias}\\.${column} = (?:\\$(\\d+)|([a-z]\\d*)\\.${column})(?![\\d:])`).exec(text);
  if (match?.[1] !== undefined) return values[Number(match[1]) - 1];
  return match?.[2] === undefined || match[2] === alias ? undefined : boundValue(text, values, match[2], column);
}

/** Numbers of the placeholders in the text, each once, in order. */
export function placeholders(text: string): number[] {
  return [...new Set([...text.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])))].sort((a, b) => a - b);
}

type Columns = Readonly<Record<string, number>>;

const INSTANTS: Record<string, number> = { 'infinity': Infinity, '-infinity': -Infinity };

function operand(text: string, columns: Columns, values: readonly unknown[]): number {
  const placeholder = /^\$(\d+)(?:::timestamptz)?$/.exec(text)?.[1];
  if (placeholder === undefined) return columns[text] ?? NaN;
  const value = String(values[Number(placeholder) - 1]);
  return INSTANTS[value] ?? Date.parse(value);
}

/** What a predicate of comparisons, `and`, `or` and brackets answers for these columns. */
export function evaluate(predicate: string, columns: Columns, values: readonly unknown[]): boolean {
  const tokens = predicate.match(/\(|\)|<=|>=|<|>|=|[^\s()<>=]+/g) ?? [];
  let at = 0;
  const peek = (): string | undefined => tokens[at];

  function either(): boolean {
    let result = both();
    while (peek() === 'or') { at += 1; const next = both(); result = result || next; }
    return result;
  }
  function both(): boolean {
    let result = single();
    while (peek() === 'and') { at += 1; const next = single(); result = result && next; }
    return result;
  }
  function single(): boolean {
    if (peek() === '(') { at += 1; const result = either(); at += 1; return result; }
    const [left = '', sign = '', right = ''] = tokens.slice(at, at + 3);
    at += 3;
    const [a, b] = [operand(left, columns, values), operand(right, columns, values)];
    if (Number.isNaN(a) || Number.isNaN(b)) throw new Error(`Neither a column nor an instant: ${left} ${sign} ${right}`);
    return sign === '<' ? a < b : sign === '<=' ? a <= b : sign === '>' ? a > b : sign === '>=' ? a >= b : a === b;
  }
  return either();
}
