// What stands behind the placeholders of one SQL text.

/** Collects values and answers their placeholders. */
export class Values {
  readonly list: unknown[] = [];

  add(value: unknown, cast = ''): string {
    this.list.push(value);
    return `$${this.list.length}${cast}`;
  }

  instant(ms: number): string {
    const text = Number.isFinite(ms) ? new Date(ms).toISOString() : ms > 0 ? 'infinity' : '-infinity';
    return this.add(text, '::timestamptz');
  }
}
