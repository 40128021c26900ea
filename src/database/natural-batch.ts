// Natural batching: the first question leaves when this turn of the event loop is done, with all that came in it; those
// that come while it is under way leave together. On a busy server one message then serves many requests, and each message
// is a process that has to be woken (decision 0007); on an idle one nobody waits.

interface Waiting<Key, Answer> {
  key: Key;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

interface Lane<Key, Answer> {
  waiting: Waiting<Key, Answer>[];
  running: number;
}

const KEYS_PER_BATCH = 64;

/** The end of this turn of the event loop: what other sockets had sent by now was read before it. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}

/** `ask` answers a batch of keys of one lane, in their order; so many batches of a lane are under way at once. */
export function createNaturalBatch<Key, Answer>(ask: (lane: string, keys: Key[]) => Promise<Answer[]>, atOnce = 1): (lane: string, key: Key) => Promise<Answer> {
  const lanes = new Map<string, Lane<Key, Answer>>();

  async function work(name: string, lane: Lane<Key, Answer>): Promise<void> {
    lane.running += 1;
    await endOfTurn();
    while (lane.waiting.length > 0) {
      const batch = lane.waiting.splice(0, KEYS_PER_BATCH);
      try {
        const answers = await ask(name, batch.map((one) => one.key));
        batch.forEach((one, position) => one.resolve(answers[position] as Answer));
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    lane.running -= 1;
    if (lane.running === 0) lanes.delete(name);
  }

  return (name, key) => new Promise((resolve, reject) => {
    const lane = lanes.get(name) ?? { waiting: [], running: 0 };
    lanes.set(name, lane);
    lane.waiting.push({ key, resolve, reject });
    if (lane.running < atOnce) void work(name, lane);
  });
}
