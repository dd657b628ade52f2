/** AdminService: how the mesh is, its configuration without secrets, and one-time links for the page. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type AdminService,
  CreateLinkResponseSchema,
  GetConfigResponseSchema,
  type GetStatusResponse,
  ProveIdentityResponseSchema,
  RedeemLinkResponseSchema,
} from "../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { type MeshConfig, MeshConfigSchema } from "../../../gen/atoll/config/v1/mesh_config_pb.ts";
import type { MeshProver } from "../../kernel/auth/mesh-proof.ts";
import { revisionOf } from "../../kernel/config/config-revision.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { connectionEndsKey, principalOf } from "../../kernel/rpc/call-context.ts";
import { type LinkDesk, linkTtlMs } from "./link-desk.ts";
import { linkGrant } from "./link-grant.ts";

export interface AdminDeps {
  readonly links: LinkDesk;
  readonly status: () => Promise<GetStatusResponse>;
  /** The configuration in force, with secrets left out. */
  readonly config: () => MeshConfig;
  readonly prove: MeshProver;
}

export function createAdminService({
  links,
  status,
  config,
  prove,
}: AdminDeps): Partial<ServiceImpl<typeof AdminService>> {
  return {
    getStatus: () => status(),
    getConfig: () =>
      create(GetConfigResponseSchema, { config: config(), revision: revisionOf(MeshConfigSchema, config()) }),
    createLink({ requestId, ttlS, scopes, sessionId }, context) {
      const maker = principalOf(context);
      const key = `${maker.tenant} ${maker.name} ${requestId}`;
      const body = JSON.stringify([ttlS, sessionId, [...scopes].sort((one, other) => one - other)]);
      const grant = linkGrant(maker, { scopes, sessionId });
      const { url, expiresAtMs } = links.create(grant, ttlS === 0 ? linkTtlMs : ttlS * 1000, { key, body });
      return create(CreateLinkResponseSchema, { url, expiresAt: timestampFromMs(expiresAtMs) });
    },
    async redeemLink({ code }, context) {
      const { token, expiresAtMs } = await links.redeem(code, context.requestHeader.get("origin") ?? undefined);
      return create(RedeemLinkResponseSchema, { token, expiresAt: timestampFromMs(expiresAtMs) });
    },
    proveIdentity({ nonce }, context) {
      const ends = context.values.get(connectionEndsKey)();
      if (ends === undefined) {
        throw failure(ErrorReason.PEER_UNAVAILABLE, "the proof is about a connection, and this call came over none", {
          metadata: { service: "gateway" },
        });
      }
      return create(ProveIdentityResponseSchema, { proof: prove(nonce, ends) });
    },
  };
}
