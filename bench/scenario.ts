// A scenario measures the same work on Muniment and on a yardstick, in turns, so that a noisy moment meets both.
import { median, quantile, runClosedLoop } from './closed-loop.ts';
import type { LoopBounds, Measurement } from './closed-loop.ts';

export interface Subject {
  name: 'muniment' | 'bare' | 'stub' | 'unrecorded' | 'binary' | 'token' | 'singly' | 'search' | 'fhir' | 'pdf' | 'sharp';
  /** One unit of work; rejects when the answer is not the expected one. */
  work(): Promise<void>;
  /** Tidies after a round, outside the measured time. */
  settle?(): Promise<void>;
}

export interface Scenario {
  name: string;
  bounds: LoopBounds;
  /** Bytes that one unit of work moves: the rate is then told in MB/s (10^6 bytes). */
  bytes?: number;
  ours: Subject;
  yardstick: Subject;
}

export interface SubjectResult {
  subject: Subject['name'];
  /** Median over the rounds. */
  rate: number;
  rates: number[];
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  count: number;
  errors: Record<string, number>;
}

export interface ScenarioResult {
  scenario: string;
  unit: '/s' | 'MB/s';
  bounds: LoopBounds;
  subjects: SubjectResult[];
  /** Muniment over the yardstick: median of the rounds' own ratios. */
  ratio: number;
}

export async function runScenario(scenario: Scenario, rounds: number): Promise<ScenarioResult> {
  const measured: [Measurement[], Measurement[]] = [[], []];
  await warmUp(scenario);
  for (let round = 0; round < rounds; round += 1) {
    measured[0].push(await measure(scenario.ours, scenario.bounds));
    measured[1].push(await measure(scenario.yardstick, scenario.bounds));
  }
  const [ours, yardstick] = [summary(scenario, scenario.ours, measured[0]), summary(scenario, scenario.yardstick, measured[1])];
  const ratio = median(ours.rates.map((rate, round) => rate / (yardstick.rates[round] ?? Number.NaN)));
  return { scenario: scenario.name, unit: unitOf(scenario), bounds: scenario.bounds, subjects: [ours, yardstick], ratio };
}

/** A fifth of a round for each: connections are open and code is compiled before anything counts. */
async function warmUp({ bounds, ours, yardstick }: Scenario): Promise<void> {
  const short = { ...bounds, seconds: bounds.seconds / 5, countMax: Math.ceil(bounds.countMax / 5) };
  for (const subject of [ours, yardstick]) {
    const { count, errors } = await measure(subject, short);
    if (count === 0) throw new Error(`${subject.name} did none of its work: ${JSON.stringify(errors)}`);
  }
}

async function measure(subject: Subject, bounds: LoopBounds): Promise<Measurement> {
  const measurement = await runClosedLoop(bounds, () => subject.work());
  await subject.settle?.();
  return measurement;
}

function unitOf(scenario: Scenario): ScenarioResult['unit'] {
  return scenario.bytes === undefined ? '/s' : 'MB/s';
}

function summary(scenario: Scenario, subject: Subject, rounds: Measurement[]): SubjectResult {
  const scale = scenario.bytes === undefined ? 1 : scenario.bytes / 1_000_000;
  const rates = rounds.map(({ count, seconds }) => (count * scale) / seconds);
  const latencies = rounds.flatMap((round) => round.latencies);
  const errors: Record<string, number> = {};
  for (const [text, times] of rounds.flatMap((round) => Object.entries(round.errors))) errors[text] = (errors[text] ?? 0) + times;
  const [p50Ms, p95Ms, p99Ms] = [0.5, 0.95, 0.99].map((share) => quantile(latencies, share)) as [number, number, number];
  return { subject: subject.name, rate: median(rates), rates, p50Ms, p95Ms, p99Ms, count: latencies.length, errors };
}
