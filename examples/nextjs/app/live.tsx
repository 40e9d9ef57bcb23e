"use client";

import { KentonganProvider } from "kentongan-react";
import { tabs } from "kentongan/tabs";
import type { ReactNode } from "react";

/** One connection for all pages, and for all tabs of this browser. The session cookie of the app is the credential. */
export function Live({ children }: { children: ReactNode }) {
  return <KentonganProvider options={{ share: tabs(), renew: () => fetch("/api/auth/session") }}>{children}</KentonganProvider>;
}
