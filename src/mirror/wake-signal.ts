// Lets a loop sleep until there is something to do, or until the time of its poll.

export interface WakeSignal {
  /** Ends the running wait, or makes the next one end at once. */
  raise(): void;
  /** Resolves when raised, after `ms` milliseconds at the latest. */
  wait(ms: number): Promise<void>;
}

export function createWakeSignal(): WakeSignal {
  let raised = false;
  let release: () => void = () => {};
  return {
    raise() {
      raised = true;
      release();
    },
    async wait(ms) {
      if (!raised) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          release = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      raised = false;
    },
  };
}
