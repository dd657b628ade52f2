// Keeps L9: a mesh that cannot open its port says why and what to do about it.

/** Why a port could not be opened. */
export type ListenFailure = "PORT_IN_USE" | "PORT_FORBIDDEN" | "ADDRESS_UNAVAILABLE";

/** Thrown by listen() when the address cannot be bound; the message is meant for the person who started the mesh. */
export class ListenError extends Error {
  readonly reason: ListenFailure;
  readonly host: string;
  readonly port: number;

  constructor(reason: ListenFailure, host: string, port: number, cause: unknown) {
    super(`${describeFailure(reason, host, port)} Choose another with ATOLL_LISTEN or --listen (host:port).`, {
      cause,
    });
    this.name = "ListenError";
    this.reason = reason;
    this.host = host;
    this.port = port;
  }
}

/** Turns what the operating system said into a ListenError; anything else comes back as it was. */
export function explainListenFailure(cause: unknown, host: string, port: number): unknown {
  const reason = reasonOf(cause);
  return reason === undefined ? cause : new ListenError(reason, host, port, cause);
}

function reasonOf(cause: unknown): ListenFailure | undefined {
  switch (cause instanceof Error && "code" in cause ? cause.code : undefined) {
    case "EADDRINUSE":
      return "PORT_IN_USE";
    case "EACCES":
    case "EPERM":
      return "PORT_FORBIDDEN";
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "ADDRESS_UNAVAILABLE";
    default:
      return undefined;
  }
}

function describeFailure(reason: ListenFailure, host: string, port: number): string {
  switch (reason) {
    case "PORT_IN_USE":
      return `Port ${port} on ${host} is already in use, perhaps by another mesh.`;
    case "PORT_FORBIDDEN":
      return `This user may not open port ${port} on ${host}; ports below 1024 often need more rights.`;
    case "ADDRESS_UNAVAILABLE":
      return `${host} is not an address of this machine.`;
  }
}
