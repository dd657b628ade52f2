/** HTTP/2 by hand: frames and header blocks that no client library would send. */

const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** One frame of RFC 9113 §4.1. */
export function frame(type: keyof typeof frameTypes, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(frameTypes[type], 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** What an HTTP/2 client says first: the preface and its settings. */
export function preface(settings: Uint8Array = new Uint8Array()): Buffer {
  return Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame("settings", 0, 0, settings)]);
}

/** A header block without compression: literals that are not indexed (RFC 7541 §6.2.2). */
function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(headers).map(([name, value]) =>
    Buffer.concat([Buffer.from([0]), literal(name), literal(value)]),
  );
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const rest = bytes.length - 127;
  const length = [127];
  let left = rest;
  while (left >= 128) {
    length.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  length.push(left);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export function requestHeaders(
  mesh: { readonly url: string },
  path: string,
  more: Record<string, string> = {},
): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": new URL(mesh.url).host,
    ...more,
  });
}
