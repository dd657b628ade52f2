// Builds the page into web/dist: files with hashed names and nothing inline, so that the gateway's content security
// policy (script-src 'self'; style-src 'self'; img-src 'self' blob:) needs no exception.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
    // One file of about 550 kB (160 kB compressed): React, Connect, marked and the contract's descriptors are all needed at once.
    chunkSizeWarningLimit: 600,
    modulePreload: { polyfill: false },
  },
});
