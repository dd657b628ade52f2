// Writes compilable copies of the contracts of others (gen/proto), each at its import path, so that buf needs no network.
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { printProto } from "./print-proto.ts";

/** Import path → the file of an npm package that holds it, copied as it is with its licence header. */
const copies = {
  "google/rpc/error_details.proto": "google-proto-files/google/rpc/error_details.proto",
  "google/rpc/status.proto": "google-proto-files/google/rpc/status.proto",
  "grpc/health/v1/health.proto": "grpc-health-check/proto/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto": "@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto",
  "grpc/reflection/v1alpha/reflection.proto": "@grpc/reflection/build/proto/grpc/reflection/v1alpha/reflection.proto",
} as const;

const validateHeader = `Copyright 2023-2026 Buf Technologies, Inc.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.

Printed by proto/vendor-protos.ts from the descriptor in @bufbuild/protovalidate: the same definitions and options,
without the comments of the original (https://github.com/bufbuild/protovalidate).
`;

function openOutput(root: string, importPath: string): string {
  const path = join(root, importPath);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

/** Replaces `root` with fresh copies. Throws when a package no longer ships the file that is expected of it. */
export function vendorProtos(root: string): void {
  rmSync(root, { recursive: true, force: true });
  for (const [importPath, source] of Object.entries(copies)) {
    copyFileSync(fileURLToPath(import.meta.resolve(source)), openOutput(root, importPath));
  }
  const validate = openOutput(root, "buf/validate/validate.proto");
  writeFileSync(validate, printProto(file_buf_validate_validate, validateHeader));
}
