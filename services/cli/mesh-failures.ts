/** Why the mesh that was meant can't be reached. A file of its own: what explains failures loads nothing that dials. */

/** There is no mesh to talk to; the message says how to start one. */
export class MeshNotRunning extends Error {
  override readonly name = "MeshNotRunning";
}

/** Who answers did not prove to be the mesh that was meant; the message says what to do. */
export class MeshNotTrusted extends Error {
  override readonly name = "MeshNotTrusted";
}
