// What `billet coordinator restore` tells of a restore: made by the coordinator's code, shown by the CLI.

/** What a person has to know of it. JSON. */
export interface RestoreReport {
  readonly stateDir: string;
  readonly takenAt: string;
  readonly revision: number;
  readonly from: string;
  readonly history: string;
  readonly ca: string;
  readonly replaced: string | null;
  readonly instances: number;
  readonly tokensRevoked: number;
  /** Blobs that the registry held, and the backup does not. */
  readonly missingBlobs: readonly { readonly digest: string; readonly sizeBytes: number }[];
  readonly leftOut: readonly string[];
}
