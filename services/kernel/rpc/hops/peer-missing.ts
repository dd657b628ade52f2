/** A peer that is neither in this process nor named in the configuration. */
export class PeerMissing extends Error {
  override readonly name = "PeerMissing";
}
