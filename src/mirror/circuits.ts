// The circuits of all organisations; those that share one HAPI are mirrored one only, so each base has one.
import type { OrgId } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import { createCircuit, type Circuit } from './circuit.ts';

interface MirroredOrganisation { org: OrgId; orgName: string }

export interface Circuits {
  /** Organisations to which nothing may be sent. */
  open(): MirroredOrganisation[];
  /** `denied` is said where HAPI does not let us in: nothing more is sent until a question of ours is answered. */
  record(of: MirroredOrganisation, ended: { transportFailed: boolean; denied?: string }): void;
  /** Starts the probes that are due; `answered` is called for each circuit that closes. */
  probe(answered: () => void): void;
}

export interface CircuitsOptions {
  /** Whether the HAPI of an organisation answers, `inside` = with what only is told to whom it lets in. Never rejects. */
  ask: (orgName: string, inside: boolean) => Promise<boolean>;
  /** HAPI began to refuse our credentials, or (undefined) ceased to. Never rejects. */
  onPause: (org: OrgId, reason: string | undefined) => void;
  log: Logger;
  random: () => number;
}

interface Entry {
  org: OrgId;
  orgName: string;
  circuit: Circuit;
  denied: boolean;
}

export function createCircuits({ ask, onPause, log, random }: CircuitsOptions): Circuits {
  const circuits = new Map<OrgId, Entry>();

  async function probeOne(entry: Entry, answered: () => void): Promise<void> {
    const { org, orgName, circuit } = entry;
    if (!(await ask(orgName, entry.denied)) || !circuit.open) return;
    circuit.close();
    if (entry.denied) onPause(org, undefined);
    entry.denied = false;
    log.info({ org: orgName }, 'HAPI answers again: the mirror goes on');
    answered();
  }

  return {
    open: () => [...circuits.values()].filter(({ circuit }) => circuit.open).map(({ org, orgName }) => ({ org, orgName })),
    record({ org, orgName }, { transportFailed, denied }) {
      const entry = circuits.get(org) ?? { org, orgName, circuit: createCircuit(random), denied: false };
      circuits.set(org, entry);
      if (denied !== undefined) {
        if (!entry.circuit.openNow()) return;
        entry.denied = true;
        onPause(org, denied);
        log.error({ org: orgName }, `${denied}: deliveries rest, it is asked from time to time`);
      } else if (entry.circuit.record(transportFailed)) log.warn({ org: orgName }, 'HAPI does not answer: deliveries wait, it is asked from time to time');
    },
    probe(answered) {
      for (const entry of circuits.values()) if (entry.circuit.probeDue(performance.now())) void probeOne(entry, answered);
    },
  };
}
