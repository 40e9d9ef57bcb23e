import type { NextConfig } from "next";

const config: NextConfig = {
  // In production the proxy in front hands /api/ws and its relatives to Kentongan (README.md has the rule). `next dev` does it by itself.
  async rewrites() {
    const server = process.env["KENTONGAN_URL"] ?? "http://localhost:3001";
    return ["ws", "sse", "history", "presence", "ticket"].map((route) => ({ source: `/api/${route}`, destination: `${server}/api/${route}` }));
  },
};

export default config;
