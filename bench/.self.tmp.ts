import { openByteScenarios } from '/work/main/bench/byte-scenarios.ts';
import { loadRequestScenarios } from '/work/main/bench/request-scenarios.ts';
import { runScenario } from '/work/main/bench/scenario.ts';
import { scenarioRows, tableHead } from '/work/main/bench/report.ts';
import { startBarePipeline, startStub } from '/work/main/bench/servers.ts';
import { nodeProcesses, peakMibDuring, residentMib } from '/work/main/bench/process-memory.ts';
const [a, b, s1, s2] = [await startBarePipeline(), await startBarePipeline(), await startStub(), await startStub()];
try {
  console.log(tableHead());
  const r = await loadRequestScenarios(s1, s2, true);
  for (const n of ['read', 'search', 'create'] as const) console.log(scenarioRows(await runScenario(r.scenario(n), 2)));
  r.close();
  const y = openByteScenarios(a, b, true);
  for (const n of ['story-1m', 'upload-256m', 'download-64m', 'range-1m'] as const) console.log(scenarioRows(await runScenario(await y.scenario(n), 2)));
  const pids = await nodeProcesses(a.pid);
  console.log(pids, a.pid, await residentMib(pids), await peakMibDuring(pids, async () => {}));
  y.close();
} finally { for (const p of [a, b, s1, s2]) await p.stop(); }
