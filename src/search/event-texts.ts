// The texts of many events, made here of what their rows keep: the database would make each by a call of its own.
import { knownShape, type KnownShape } from '../audit/shaped-event.ts';
import { joinText, NO_SHAPE } from '../audit/shaped-text.ts';
import type { Transaction } from '../database/database.ts';

/** Columns of `access_event` that a text is made of; all null where there is no row. */
const keptText = (alias: string): string => `${alias}.shape, ${alias}.parts, (extract(epoch from ${alias}.recorded) * 1000)::float8 as instant`;
export const KEPT_TEXT = keptText('e');
/** All columns of a KeptText. */
export const keptRow = (alias: string): string => `${alias}.org, ${alias}.id as event, ${keptText(alias)}`;

export interface KeptText {
  org: number;
  /** Id of the event. */
  event: string;
  shape: string | null;
  parts: string | null;
  /** Milliseconds. */
  instant: number | null;
}

export type Shapes = Map<number, Map<string, KnownShape>>;

/** As each transaction sees them: a later one believes nothing that an earlier one read. */
const seen = new WeakMap<Transaction, Shapes>();

const shapeOf = (shapes: Shapes, { org, shape }: KeptText): KnownShape | undefined => (shape === null ? undefined : shapes.get(org)?.get(shape));

/** The shapes of these rows, and those that the transaction saw before. */
export async function readShapes(tx: Transaction, rows: readonly KeptText[]): Promise<Shapes> {
  const shapes = seen.get(tx) ?? new Map<number, Map<string, KnownShape>>();
  seen.set(tx, shapes);
  const lacking = new Map<string, KeptText>();
  for (const row of rows) if (row.shape !== null && row.shape !== NO_SHAPE && shapeOf(shapes, row) === undefined) lacking.set(`${row.org} ${row.shape}`, row);
  if (lacking.size === 0) return shapes;
  const { rows: found } = await tx.query<{ org: number; shape: string; text: string }>({
    name: 'read-shapes', text: 'select s.org, s.id as shape, s.text from unnest($1::int[], $2::bigint[]) t (org, id) join access_shape s on s.org = t.org and s.id = t.id',
    values: [[...lacking.values()].map(({ org }) => org), [...lacking.values()].map(({ shape }) => shape)],
  });
  for (const { org, shape, text } of found) {
    const own = shapes.get(org) ?? new Map<string, KnownShape>();
    shapes.set(org, own.set(shape, knownShape(text)));
  }
  return shapes;
}

export interface MadeText {
  text: string;
  recorded: string;
  /** undefined for a text that is kept whole. */
  shape: KnownShape | undefined;
}

/** undefined where there is no row, or its shape is not there or not one of its own. */
export function makeText(shapes: Shapes, row: KeptText): MadeText | undefined {
  const { event, instant, parts, shape } = row;
  if (shape === null || parts === null || instant === null) return undefined;
  const recorded = new Date(instant).toISOString();
  if (shape === NO_SHAPE) return { text: parts, recorded, shape: undefined };
  const known = shapeOf(shapes, row);
  const text = known === undefined ? undefined : joinText(known.open, { id: event, recorded }, parts);
  return text === undefined ? undefined : { text, recorded, shape: known };
}

/** In the order of the rows; null where no text can be made. */
export async function readTexts(tx: Transaction, rows: readonly KeptText[]): Promise<(string | null)[]> {
  const shapes = await readShapes(tx, rows);
  return rows.map((row) => makeText(shapes, row)?.text ?? null);
}

/** The same for whoever shows them: an event whose shape is gone is not left out, for that something is missing has to be seen. */
export async function requireTexts(tx: Transaction, rows: readonly KeptText[]): Promise<string[]> {
  return (await readTexts(tx, rows)).map((text) => {
    if (text === null) throw new Error('The text of an event cannot be made: its shape is gone');
    return text;
  });
}
