/**
 * The key pair of a mesh (Ed25519), made from the 32 bytes of its `mesh.key`: a folder that an earlier version made, whose
 * bytes were a key for HMAC, gives a pair as well.
 */
import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from "node:crypto";

/** RFC 8410: what stands before the 32 bytes of a private key in PKCS #8. */
const privateKeyPrefix = Buffer.from("302e020100300506032b657004220420", "hex");
const purpose = "atoll: key pair that signs tokens, 1";

export interface SigningKeys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** @param secret The content of `mesh.key`, at least 32 bytes. */
export function deriveSigningKeys(secret: Uint8Array): SigningKeys {
  const seed = Buffer.from(hkdfSync("sha256", secret, new Uint8Array(), purpose, 32));
  const privateKey = createPrivateKey({
    key: Buffer.concat([privateKeyPrefix, seed]),
    format: "der",
    type: "pkcs8",
  });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

/** A public key as `mesh.pub` has it: 43 characters of base64url. */
export function writePublicKey(publicKey: KeyObject): string {
  const { x } = publicKey.export({ format: "jwk" });
  if (x === undefined) throw new TypeError("not a public key of Ed25519");
  return x;
}

/** Throws when the text is no key. */
export function readPublicKey(text: string): KeyObject {
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: text }, format: "jwk" });
}
