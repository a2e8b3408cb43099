import type { Port } from '../../port/port.js';
import type {
  Channels,
  EngineName,
  Measured,
  Point,
  RequestsPerConnection,
  TechniqueName,
  TopologyName,
  Variant,
} from '../../results/schema.js';

/** Where a server listens, and with how many workers on which CPUs. */
export type ServerPlace = {
  address: string;
  port: number;
  workers: number;
  cpus: number[];
  /** How large its requests will be, where that is known. */
  messageBytes?: number | null;
};

/** A server's folders: one of its own, empty when it starts and gone after it, and one with what it serves. */
export type ServerFolders = { scratch: string; content: string };

/** How to load a server, for one sample. */
export type Load = {
  address: string;
  port: number;
  threads: number;
  point: Point;
  durationMs: number;
  warmupMs: number;
  /** Of all that is random. */
  seed: number;
};

/** What a load generator says when it is done. A sample with any fault is a failed one: its work was not the same. */
export type LoadOutcome = {
  measured:
    | Pick<
        Measured,
        'windowUs' | 'requests' | 'connections' | 'unsent' | 'latencyUs' | 'serviceUs' | 'clientEngine'
      >
    | undefined;
  faults: string[];
};

/**
 * Says words to the server and resolves to all that it answers, for which the words must make it close the connection; or
 * to so many bytes of it.
 */
export type Ask = (words: string, bytes?: number) => Promise<string>;

/** How a server's channels work. */
export type ChannelsKind = Pick<Channels, 'engine' | 'techniques' | 'batch' | 'moderationUs'>;

/** What a server says it runs as: channels, or stock I/O, by the variant's id where it can tell which. */
export type Identity = (ChannelsKind & { fineGrainedLocks?: boolean }) | { stock: string } | null;

/** A server that was started: its process, its workers, and its folders. */
export type Started = { pid: number; workers: number; folders: ServerFolders };

/** The last of a server's complaints, and whether with them it cannot serve. */
export type Complaints = { words: string; fatal: boolean };

/** The server's CPUs that are used: all of those that it has, each number of them from 1, or these numbers. */
export type Cores = 'all' | 'each' | number[];

/** What is varied; a point is taken for each combination. */
export type Grid = {
  workload: string[];
  requestsPerConnection: (RequestsPerConnection | null)[];
  messageBytes: (number | null)[];
  cores: Cores;
  connections: number[];
  rate: (number | null)[];
};

/** What to measure on one topology, whatever the machine; a point that several grids have is measured once. */
export type PhaseSpec = {
  /** Whether what its first whole variant gains is what the run is to answer. */
  headline?: boolean | undefined;
  /** What the phase is about, in a few words. */
  about: string;
  topology: TopologyName;
  variants: Variant[];
  grids: Grid[];
  samples: number;
};

/** What a preset measures, and how long each sample takes. */
export type Preset = { phases: PhaseSpec[]; durationMs: number; warmupMs: number };

/** What all of a run's servers serve, and what of it is said in a report. */
export type Content = {
  folder: string;
  parameters: Record<string, string | number>;
  remove(): void;
};

/** An application under test. Everything else in bench/ is the same for all of them. */
export type Application = {
  name: string;
  /** One of its port’s other versions, where that is asked for. */
  version?: string | undefined;
  /** What it is built from; undefined where it is all our own. */
  port?: (() => Port) | undefined;
  workload: string;
  parameters: Record<string, string | number>;
  /** The names of its workloads. */
  workloads: readonly string[];
  /** What of a point the command line may choose. */
  varies: readonly (keyof Grid)[];
  /** What is told to every server, whatever its variant. */
  commonArguments: string[];
  /** Whether its servers can run with item locks alone: then every variant has an -FL form. */
  fineGrainedLocks: boolean;
  /** The variants over stock I/O; the first is what all ratios are to. */
  stock: readonly [Variant, ...Variant[]];
  /** The techniques that its servers can be run with and without. */
  techniques: readonly TechniqueName[];
  defaultPort: number;
  preset(name: 'quick' | 'full', engines: EngineName[]): Preset;
  /** Make what these workloads ask for. */
  prepareContent(workloads: readonly string[], signal: AbortSignal): Promise<Content>;
  serverCommand(variant: Variant, place: ServerPlace, folders: ServerFolders): string[];
  /** Where what a server says is kept for the bench, which `identify` and `complaints` may read; undefined: nowhere. */
  wordsFile?: ((folders: ServerFolders) => string) | undefined;
  /** Processes of a server that is up: more than one where workers are processes. */
  processes(place: ServerPlace): number;
  /** What ends it, with all its processes, when this process dies: the kernel tells the one that was started. */
  orphaned: 'KILL' | 'TERM';
  /** Whether a server that was started serves. */
  isReady(ask: Ask, folders: ServerFolders): Promise<boolean>;
  identify(ask: Ask, folders: ServerFolders): Promise<Identity>;
  /** What the server's channels have done so far; null where it does not tell. */
  readChannels(ask: Ask, started: Started): Promise<Channels | null>;
  /** What a server complained of in files of its own, if it did. */
  complaints(folders: ServerFolders): Complaints;
  /** What the load generator is told: the words of `megapipe load`. */
  loadWords(load: Load): string[];
  readLoad(output: string): LoadOutcome;
};
