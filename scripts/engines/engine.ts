// What an engine is: a real server of somebody else's that Muniment is joined to, obtained and run on loopback.
import type { EngineFolders } from './engine-folders.ts';

/** Those that `start` starts unless told; the rest are started by their names. */
export const DEFAULT_ENGINES = ['postgres', 'minio', 'hapi', 'clamav', 'gcs'] as const;
export const ENGINE_NAMES = [...DEFAULT_ENGINES, 'hapi-partitions'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

export interface LaunchCommand {
  program: string;
  args: string[];
  env?: Record<string, string>;
  cwd?: string;
}

export interface EngineContext {
  folders: EngineFolders;
  port: number;
  /** False: only what is there already is used; nothing is downloaded or built. */
  mayBuild: boolean;
  log: (line: string) => void;
}

export interface Engine {
  name: EngineName;
  title: string;
  port: number;
  /** Engines that must answer before this one is started. */
  needs: EngineName[];
  startLimitMs: number;
  stopLimitMs: number;
  /** How to start it, after getting what that takes. Throws EngineUnavailable. */
  obtain(context: EngineContext): Promise<LaunchCommand>;
  /** Resolves once it has done real work with our credentials; throws until then. */
  probe(context: EngineContext): Promise<void>;
  /** Makes what a server expects to find in it. Repeatable. */
  furnish(context: EngineContext): Promise<void>;
  /** The variables that join a server to it. */
  environment(context: EngineContext): Record<string, string>;
}

/** Why an engine cannot be had here, in one line. */
export class EngineUnavailable extends Error {}
