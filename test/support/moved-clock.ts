// The clock of this process, set forward or back: for the servers in it, their libraries included. Timers run on as they did.
const Real = Date;

/** Answers what sets it right again. */
export function moveClock(ms: number): () => void {
  class Moved extends Real {
    constructor(...given: unknown[]) {
      if (given.length === 0) super(Real.now() + ms);
      else super(...given as [number]);
    }

    static override now(): number { return Real.now() + ms; }
  }
  globalThis.Date = Moved as DateConstructor;
  return () => { globalThis.Date = Real; };
}
