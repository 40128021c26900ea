// The circuits of all organisations; those that share one HAPI are mirrored one only, so each base has one.
import type { OrgId } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import { createCircuit, type Circuit } from './circuit.ts';

export interface Circuits {
  /** Organisations to which nothing may be sent. */
  open(): { org: OrgId; orgName: string }[];
  record(of: { org: OrgId; orgName: string }, transportFailed: boolean): void;
  /** Starts the probes that are due; `answered` is called for each circuit that closes. */
  probe(answered: () => void): void;
}

/** `ask` resolves to whether the HAPI of an organisation answers, and never rejects. */
export function createCircuits(ask: (orgName: string) => Promise<boolean>, log: Logger, random: () => number): Circuits {
  const circuits = new Map<OrgId, { orgName: string; circuit: Circuit }>();

  async function probeOne(orgName: string, circuit: Circuit, answered: () => void): Promise<void> {
    if (!(await ask(orgName)) || !circuit.open) return;
    circuit.close();
    log.info({ org: orgName }, 'HAPI answers again: the mirror goes on');
    answered();
  }

  return {
    open: () => [...circuits].filter(([, { circuit }]) => circuit.open).map(([org, { orgName }]) => ({ org, orgName })),
    record({ org, orgName }, transportFailed) {
      const entry = circuits.get(org) ?? { orgName, circuit: createCircuit(random) };
      circuits.set(org, entry);
      if (entry.circuit.record(transportFailed)) log.warn({ org: orgName }, 'HAPI does not answer: deliveries wait, it is asked from time to time');
    },
    probe(answered) {
      for (const { orgName, circuit } of circuits.values()) if (circuit.probeDue(Date.now())) void probeOne(orgName, circuit, answered);
    },
  };
}
