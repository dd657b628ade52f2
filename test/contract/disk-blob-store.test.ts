import { openBlobStore } from "../../services/kernel/store/open-blob-store.ts";
import { blobStoreSuite } from "./blob-store-suite.ts";

blobStoreSuite("the blob store on disk", { open: openBlobStore });
