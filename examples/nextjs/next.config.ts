import type { NextConfig } from "next";

const config: NextConfig = {
  // In production the proxy in front hands /api/ws and its relatives to Kentongan (README.md has the rule). Without one these rewrites do it.
  async rewrites() {
    const server = process.env["KENTONGAN_URL"] ?? "http://localhost:3001";
    return ["ws", "ws/extend", "sse", "history", "presence", "ticket"].map((route) => ({ source: `/api/${route}`, destination: `${server}/api/${route}` }));
  },
};

export default config;
