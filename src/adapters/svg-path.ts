// SVG path data (SVG 1.1, 8.3) of a drawing on a page: checked to be that, and to stay on the page, whose sides are 1.

/** Arguments of each command. */
const ARGUMENTS: Readonly<Record<string, number>> = { M: 2, L: 2, H: 1, V: 1, C: 6, S: 4, Q: 4, T: 2, A: 7, Z: 0 };
const TOKEN = /\s*,?\s*(?:([MLHVCSQTAZmlhvcsqtaz])|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?))/y;

type Segment = { command: string; values: number[] };

/** Commands with their numbers; undefined where the text is no path. A command that repeats need not be named again. */
function segmentsOf(path: string): Segment[] | undefined {
  const segments: Segment[] = [];
  let current: Segment | undefined;
  TOKEN.lastIndex = 0;
  const end = path.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const [, command, number] = TOKEN.exec(path) ?? [];
    if (command !== undefined) segments.push(current = { command, values: [] });
    else if (number === undefined || current === undefined) return undefined;
    else current.values.push(Number(number));
  }
  const isWhole = ({ command, values }: Segment): boolean => {
    const count = ARGUMENTS[command.toUpperCase()] ?? 0;
    return count === 0 ? values.length === 0 : values.length > 0 && values.length % count === 0;
  };
  return segments[0]?.command.toUpperCase() === 'M' && segments.every(isWhole) ? segments : undefined;
}

interface Place { x: number; y: number }

/** The points that one command names, from where the pen is; the last one is where the pen is then. */
function pointsOf(command: string, args: readonly number[], pen: Place): Place[] {
  const from = command === command.toLowerCase() ? pen : { x: 0, y: 0 };
  const at = (index: number): number => args[index] ?? 0;
  switch (command.toUpperCase()) {
    case 'H': return [{ x: from.x + at(0), y: pen.y }];
    case 'V': return [{ x: pen.x, y: from.y + at(0) }];
    case 'A': return [{ x: from.x + at(5), y: from.y + at(6) }];
    default: return Array.from({ length: args.length / 2 }, (_, index) => ({ x: from.x + at(2 * index), y: from.y + at(2 * index + 1) }));
  }
}

/** Sums of relative steps are not exact. */
const SLACK = 1e-9;
const isOnPage = ({ x, y }: Place): boolean => [x, y].every((value) => value >= -SLACK && value <= 1 + SLACK);

/** What is wrong with a path, for people; undefined = nothing. */
export function pathFault(path: string): string | undefined {
  const segments = segmentsOf(path);
  if (segments === undefined) return 'must be SVG path data that begins with M';
  let pen: Place = { x: 0, y: 0 };
  let start = pen;
  for (const { command, values } of segments) {
    const count = ARGUMENTS[command.toUpperCase()] ?? 0;
    if (count === 0) pen = start;
    for (let at = 0; at < values.length; at += count) {
      const points = pointsOf(command, values.slice(at, at + count), pen);
      if (!points.every(isOnPage)) return 'must stay on the page: its coordinates are 0 to 1';
      pen = points.at(-1) ?? pen;
      if (command.toUpperCase() === 'M' && at === 0) start = pen;
    }
  }
  return undefined;
}
